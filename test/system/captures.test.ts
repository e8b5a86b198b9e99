/** Captures of real devices by the programs people use: compared with tcpdump's, ended, interrupted and killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { readCapture } from '../../src/capture/reader.ts';
import {
  cli,
  eventually,
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { exit, output } from '../helpers/traffic.ts';

const NUMBERS = fileURLToPath(new URL('send-numbers.mjs', import.meta.url));
const MAC_BYTES = 6;

const labs: RunningLab[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    await exit(child);
  }
  for (const lab of labs.splice(0)) {
    if (lab.daemon.exitCode === null && lab.daemon.signalCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
});

async function pair(impair = '{}', ...args: string[]): Promise<RunningLab> {
  const name = uniqueLabName();
  return started(name, pairYaml(name, '', impair), args);
}

async function withoutOffload(impair: string): Promise<RunningLab> {
  const name = uniqueLabName();
  return started(name, pairYaml(name, '', impair).replaceAll('/24 }', '/24, offload: false }'));
}

async function started(name: string, yaml: string, args: string[] = []): Promise<RunningLab> {
  const lab = await startLab(name, yaml, args);
  labs.push(lab);
  return lab;
}

/** Starts a program and waits until its stderr says that it captures. */
async function capturing(says: RegExp, file: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  for await (const chunk of child.stderr!.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (says.test(text)) break;
  }
  child.stderr!.resume();
  return child;
}

function dump(lab: RunningLab, ...args: string[]): Promise<ChildProcess> {
  return capturing(/Ctrl-C ends it/, process.execPath, cli, '--socket', lab.socket, 'dump', ...args);
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGINT');
  expect(await exit(child)).toBe(0);
}

async function packetsOf(path: string): Promise<CapturePacket[]> {
  const packets: CapturePacket[] = [];
  for await (const packet of readCapture(createReadStream(path))) packets.push(packet);
  return packets;
}

/** Numbered datagrams both ways, at the same time. */
async function trafficBothWays(lab: RunningLab, count: number): Promise<void> {
  const senders = [
    lab.spawnIn('a', NUMBERS, '198.18.0.2', String(count)),
    lab.spawnIn('b', NUMBERS, '198.18.0.1', String(count)),
  ];
  for (const sender of senders) expect(await exit(sender)).toBe(0);
}

/** Frames as text, those that this hardware address has sent, or those it has not. */
function framesBy(packets: readonly CapturePacket[], mac: string, sent: boolean): string[] {
  return packets
    .map(({ bytes }) => Buffer.from(bytes).toString('hex'))
    .filter((hex) => (hex.slice(2 * MAC_BYTES, 4 * MAC_BYTES) === mac) === sent);
}

const time = ({ seconds, nanoseconds }: CapturePacket): bigint =>
  BigInt(seconds) * 10n ** 9n + BigInt(nanoseconds);

/** The counts of each Interface Statistics Block: received, accepted, dropped, delivered. */
function statisticsIn(path: string): { accepted: number; dropped: number; delivered: number }[] {
  const bytes = readFileSync(path);
  const found = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) {
    if (bytes.readUInt32LE(at) !== 5) continue;
    const counts = new Map<number, number>();
    for (let option = at + 20; bytes.readUInt16LE(option) !== 0; ) {
      const [code, length] = [bytes.readUInt16LE(option), bytes.readUInt16LE(option + 2)];
      if (length === 8) counts.set(code, Number(bytes.readBigUInt64LE(option + 4)));
      option += 4 + ((length + 3) & ~3);
    }
    found.push({ accepted: counts.get(6)!, dropped: counts.get(7)!, delivered: counts.get(8)! });
  }
  return found;
}

describe.skipIf(noRealDevices)('captures of real devices', () => {
  it.skipIf(isMissing('tcpdump'))(
    "are those of tcpdump on the node's own end: same frames, same bytes, same order each way",
    async () => {
      // With offload tcpdump would see checksums that are yet to be computed, where a capture of ours has them.
      const lab = await withoutOffload('{ delay: 2ms }');
      const [ours, theirs] = ['ours.pcapng', 'theirs.pcap'].map((name) => join(lab.directory, name)) as [
        string,
        string,
      ];
      const filter = 'udp port 9999 or icmp';
      const tcpdump = await capturing(
        /listening on/,
        ...([
          'ip',
          'netns',
          'exec',
          lab.namespace('a'),
          'tcpdump',
          '-i',
          'eth0',
          '-U',
          '-B',
          '65536',
        ] as const),
        ...['-s', '0', '--immediate-mode', '-Z', 'root', '-w', theirs, filter],
      );
      const taplabDump = await dump(lab, 'a:eth0', filter, '-w', ours, '--buffer', '4mb');
      await trafficBothWays(lab, 1500);
      await eventually(async () => {
        const { links } = await lab.request<{
          links: { forward: { inFlight: number }; reverse: { inFlight: number } }[];
        }>('GET', '/v1/links');
        return links[0]!.forward.inFlight + links[0]!.reverse.inFlight === 0;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      await end(taplabDump);
      await end(tcpdump);
      const [captured, expected] = [await packetsOf(ours), await packetsOf(theirs)];
      const { mac } = await lab.request<{ mac: string }>('GET', '/v1/interfaces/a:eth0');
      const own = mac.replaceAll(':', '');
      for (const sent of [true, false]) {
        const frames = framesBy(expected, own, sent);
        expect(frames.length).toBeGreaterThanOrEqual(1500);
        expect(framesBy(captured, own, sent)).toEqual(frames);
      }
      expect(
        captured.every(({ bytes, flags }) => {
          const isOwn = Buffer.from(bytes.subarray(MAC_BYTES, 2 * MAC_BYTES)).toString('hex') === own;
          return flags === (isOwn ? 1 : 2);
        }),
      ).toBe(true);
      expect(captured.map((packet) => packet.wireLength)).toEqual(
        captured.map(({ bytes }) => bytes.byteLength),
      );
    },
  );

  it('of all interfaces are in the order of time, and complete when they are interrupted in the middle', async () => {
    const lab = await pair('{ delay: 1ms }', '--workers', '2');
    const path = join(lab.directory, 'all.pcapng');
    const all = await dump(lab, '--all', 'udp port 9999', '-w', path);
    const traffic = trafficBothWays(lab, 3000);
    await eventually(async () => {
      const { descriptors } = await lab.request<{ descriptors: { accepted: number }[] }>(
        'GET',
        '/v1/descriptors',
      );
      return descriptors.every(({ accepted }) => accepted > 1000);
    });
    await end(all);
    await traffic;
    const packets = await packetsOf(path);
    const times = packets.map(time);
    expect(times.findIndex((each, i) => i > 0 && each < times[i - 1]!)).toBe(-1);
    const names = ['a:eth0', 'b:eth0'];
    const perInterface = names.map(
      (name) => packets.filter(({ interfaceName }) => interfaceName === name).length,
    );
    expect(statisticsIn(path)).toEqual(
      perInterface.map((frames) => ({ accepted: frames, dropped: 0, delivered: frames })),
    );
    expect(Math.min(...perInterface)).toBeGreaterThan(1000);
    expect(await lab.request('GET', '/v1/descriptors')).toEqual({ descriptors: [] });
  });

  it('show what the link drops, and why', async () => {
    const lab = await pair();
    // So that the node knows the hardware address of the other: it sends nothing without an answer to ARP.
    expect(await exit(lab.spawnIn('a', NUMBERS, '198.18.0.2', '5'))).toBe(0);
    expect((await taplab(['set', 'ab', 'loss 100%'], lab.socket)).status).toBe(0);
    const shown = await dump(lab, 'a:eth0', 'udp port 9999', '--drops', '-c', '20', '--format', 'json');
    const text = output(shown);
    expect(await exit(lab.spawnIn('a', NUMBERS, '198.18.0.2', '40'))).toBe(0);
    const frames = (await text)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    expect(frames.filter(({ direction }) => direction === 'in')).toHaveLength(10);
    expect(frames.filter(({ direction }) => direction === 'drop')).toHaveLength(10);
    expect(frames.find(({ direction }) => direction === 'drop')).toMatchObject({
      dropReason: 'loss',
      link: 'ab',
    });
  });

  it.each([[['a:eth0']], [['--all']]])(
    'of %j leave nothing behind when their client is killed',
    async (what) => {
      const lab = await pair();
      const client = await dump(lab, ...what, '-w', '/dev/null');
      const count = async (): Promise<number> =>
        (await lab.request<{ descriptors: unknown[] }>('GET', '/v1/descriptors')).descriptors.length;
      expect(await count()).toBeGreaterThan(0);
      client.kill('SIGKILL');
      await once(client, 'exit');
      // Not after the ten seconds that a descriptor waits for its first reader.
      await eventually(async () => (await count()) === 0, 1000);
    },
  );

  it('are for members of a read group, who may change nothing', async () => {
    const lab = await pair('{}', '--read-group', '50777', '--max-descriptors-per-user', '1');
    chmodSync(lab.directory, 0o755);
    const asMember = (...args: string[]): Promise<{ status: number | null; text: string }> =>
      new Promise((resolve) => {
        const identity = ['--reuid', '50001', '--regid', '50001', '--groups', '50777'];
        const child = spawn(
          'setpriv',
          [...identity, process.execPath, cli, '--socket', lab.socket, ...args],
          {
            stdio: ['ignore', 'ignore', 'pipe'],
            cwd: '/',
          },
        );
        children.push(child);
        let text = '';
        child.stderr.on('data', (chunk) => {
          text += chunk;
        });
        child.on('close', (status) => resolve({ status, text }));
      });
    const captured = asMember('dump', 'b:eth0', 'udp', '-c', '5');
    await eventually(
      async () =>
        (await lab.request<{ descriptors: unknown[] }>('GET', '/v1/descriptors')).descriptors.length === 1,
      10_000,
    );
    const second = await asMember('attach', 'a:eth0');
    expect(second).toEqual({
      status: 1,
      text: expect.stringMatching(/uid 50001 has 1 descriptors, and may have 1/),
    });
    const sender = lab.spawnIn('a', NUMBERS, '198.18.0.2', '50');
    expect(await captured).toEqual({ status: 0, text: expect.stringContaining('5 frames captured') });
    expect(await exit(sender)).toBe(0);
    const changed = await asMember('set', 'ab', 'delay 5ms');
    expect(changed).toEqual({ status: 1, text: expect.stringMatching(/Only root may change links/) });
    expect((await taplab(['set', 'ab', 'delay 5ms'], lab.socket)).status).toBe(0);
  });
});
