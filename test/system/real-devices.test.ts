/** The whole path on real TAP devices, between processes. */
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { readCapture } from '../../src/capture/reader.ts';
import type { DescriptorStatus, InterfaceStatus, LinkStatus } from '../../src/daemon/contract.ts';
import {
  eventually,
  namespacesOf,
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { exit, output, pingMs } from '../helpers/traffic.ts';

const script = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const running: RunningLab[] = [];
afterEach(async () => {
  for (const lab of running.splice(0)) {
    if (lab.daemon.exitCode === null && lab.daemon.signalCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
});

async function pair(extra = '', impair = '{}', args: readonly string[] = []): Promise<RunningLab> {
  const name = uniqueLabName();
  const lab = await startLab(name, pairYaml(name, extra, impair), args);
  running.push(lab);
  return lab;
}

/** Numbers of the test's datagrams in a capture, after a check of every byte of the payload. */
function numbersIn(packets: readonly CapturePacket[]): number[] {
  return packets.map(({ bytes, wireLength }) => {
    const payload = bytes.subarray(42);
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    expect(bytes.length).toBe(wireLength);
    expect(wireLength).toBe(42 + 64 + (number % 1000));
    expect(payload.subarray(4).every((byte) => byte === (number & 0xff))).toBe(true);
    return number;
  });
}

async function packetsOf(source: AsyncIterable<Uint8Array>): Promise<CapturePacket[]> {
  const packets: CapturePacket[] = [];
  for await (const packet of readCapture(source)) packets.push(packet);
  return packets;
}

/** `udp dst port 9999` for Ethernet and IPv4 without options. */
const PORT_9999 =
  'ldh [12]\njne #0x800, no\nldb [23]\njne #17, no\nldh [36]\njne #9999, no\nret #262144\nno: ret #0';

describe.skipIf(noRealDevices)('a lab on real TAP devices', () => {
  it('captures every frame once and in order while two processes attach and detach', async () => {
    const count = 4_000;
    const lab = await pair('', '{}', ['--workers', '2']);
    // While an address is being resolved the sender's kernel keeps datagrams back, and lets others overtake them.
    await pingMs(lab);
    const { id } = await lab.request<{ id: number }>('POST', '/v1/interfaces/b:eth0/descriptors', {
      program: PORT_9999,
    });
    const stream = new Promise<CapturePacket[]>((resolve, reject) => {
      httpRequest(
        { socketPath: lab.socket, path: `/v1/descriptors/${id}/stream?format=pcapng` },
        (response) => {
          packetsOf(response).then(resolve, reject);
        },
      ).end();
    });
    const clients = ['a:eth0', 'b:eth0'].map((name) =>
      output(
        spawn(process.execPath, [script('attach-detach.mjs'), lab.socket, name, '60'], {
          stdio: ['ignore', 'pipe', 'inherit'],
        }),
      ),
    );
    const sender = lab.spawnIn('a', script('send-numbers.mjs'), '198.18.0.2', String(count));
    expect(await exit(sender)).toBe(0);
    const matched = (await Promise.all(clients)).map((text) => JSON.parse(text).matched as number);
    await eventually(async () => {
      const status = await lab.request<DescriptorStatus & { readers: { frames: number }[] }>(
        'GET',
        `/v1/descriptors/${id}`,
      );
      return status.accepted === count && status.dropped === 0 && status.readers[0]?.frames === count;
    });
    const [link] = (await lab.request<{ links: LinkStatus[] }>('GET', '/v1/links')).links;
    expect(link!.forward.inFlight).toBe(0);
    await lab.request('DELETE', `/v1/descriptors/${id}`);
    expect(numbersIn(await stream)).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(matched.every((each) => each > 0)).toBe(true);
    const descriptors = await lab.request<{ descriptors: unknown[] }>('GET', '/v1/descriptors');
    expect(descriptors.descriptors).toEqual([]);
  });

  it('writes every captured frame to the file of the lab, complete when the lab goes down', async () => {
    const count = 1_000;
    const name = uniqueLabName();
    const filter = '"@udp"';
    const extra = `descriptors:\n  - { interface: "b:eth0", direction: out, filter: ${filter}, write: got.pcapng }\n`;
    const lab = await startLab(name, pairYaml(name, extra, '{ delay: 5ms }'));
    running.push(lab);
    await pingMs(lab);
    expect(await exit(lab.spawnIn('a', script('send-numbers.mjs'), '198.18.0.2', String(count)))).toBe(0);
    await eventually(async () => {
      const { links } = await lab.request<{ links: LinkStatus[] }>('GET', '/v1/links');
      return links[0]!.forward.offered.frames >= count && links[0]!.forward.inFlight === 0;
    });
    lab.daemon.kill('SIGINT');
    expect(await exit(lab.daemon)).toBe(0);
    const packets = await packetsOf(createReadStream(join(lab.directory, 'got.pcapng')));
    const sent = packets.filter(({ bytes }) => bytes[36] === 9999 >> 8 && bytes[37] === (9999 & 0xff));
    expect(numbersIn(sent)).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(sent.every((each) => each.interfaceName === 'b:eth0')).toBe(true);
    const times = sent.map((each) => BigInt(each.seconds) * 1_000_000_000n + BigInt(each.nanoseconds));
    expect(times.every((each, i) => i === 0 || each >= times[i - 1]!)).toBe(true);
    expect(await namespacesOf(name)).toEqual([]);
  });

  it('delays, loses and limits as told, and changes while it runs', async () => {
    const lab = await pair('', '{ delay: 10ms }');
    const before = await pingMs(lab);
    expect(before).toBeGreaterThanOrEqual(20);
    expect(before).toBeLessThan(60);
    const set = await taplab(['set', 'ab', 'delay 40ms'], lab.socket);
    expect(set).toMatchObject({ status: 0 });
    const after = await pingMs(lab);
    expect(after).toBeGreaterThanOrEqual(80);
    expect(after).toBeLessThan(160);
    expect(await taplab(['set', 'ab', 'loss 100%'], lab.socket)).toMatchObject({ status: 0 });
    await exit(lab.spawnIn('a', script('send-numbers.mjs'), '198.18.0.2', '100'));
    const { forward } = await lab.request<LinkStatus>('GET', '/v1/links/ab');
    expect(forward.drops.loss).toBeGreaterThanOrEqual(100);
  });

  it('exports what it counts to Prometheus', async () => {
    const lab = await pair();
    await lab.request('POST', '/v1/interfaces/b:eth0/descriptors', { filter: '@udp' });
    // The workers have the compiled filter soon after; what is counted below, it has counted.
    await eventually(
      async () =>
        (await lab.request<InterfaceStatus>('GET', '/v1/interfaces/b:eth0')).filterEngine === 'wasm',
    );
    await exit(lab.spawnIn('a', script('send-numbers.mjs'), '198.18.0.2', '200'));
    await eventually(
      async () => (await lab.request<InterfaceStatus>('GET', '/v1/interfaces/b:eth0')).transmit.frames > 200,
    );
    const text = await (await fetch(lab.metrics)).text();
    const value = (name: string, ...labels: string[]): number => {
      const line = text
        .split('\n')
        .find((each) => each.startsWith(`${name}{`) && labels.every((label) => each.includes(label)));
      return Number(line?.split(' ').at(-1));
    };
    const status = await lab.request<InterfaceStatus>('GET', '/v1/interfaces/a:eth0');
    expect(value('taplab_interface_receive_frames_total', 'interface="a:eth0"')).toBeGreaterThanOrEqual(200);
    expect(value('taplab_interface_receive_frames_total', 'interface="a:eth0"')).toBeLessThanOrEqual(
      status.receive.frames,
    );
    expect(value('taplab_bpf_accepted_total', 'interface="b:eth0"')).toBe(200);
    expect(value('taplab_bpf_received_total', 'interface="b:eth0"')).toBeGreaterThan(200);
    expect(value('taplab_link_drops_total', 'link="ab"', 'direction="forward"', 'reason="loss"')).toBe(0);
    expect(value('taplab_build_info', 'version=')).toBe(1);
  });

  it('lets readers of a deleted interface read to the end, and goes on', async () => {
    const lab = await pair();
    const { id } = await lab.request<{ id: number }>('POST', '/v1/interfaces/b:eth0/descriptors', {
      filter: '@udp',
    });
    await exit(lab.spawnIn('a', script('send-numbers.mjs'), '198.18.0.2', '50'));
    // They have been sent, which is not to say that they have arrived.
    await eventually(async () => {
      const { accepted } = await lab.request<DescriptorStatus>('GET', `/v1/descriptors/${id}`);
      return accepted >= 50;
    });
    await run('ip', ['-n', lab.namespace('b'), 'link', 'del', 'eth0']);
    await eventually(async () => !(await lab.request<InterfaceStatus>('GET', '/v1/interfaces/b:eth0')).up);
    const packets = await new Promise<CapturePacket[]>((resolve, reject) => {
      httpRequest({ socketPath: lab.socket, path: `/v1/descriptors/${id}/stream` }, (response) => {
        packetsOf(response).then(resolve, reject);
      }).end();
    });
    expect(numbersIn(packets.filter(({ bytes }) => bytes[36] === 9999 >> 8))).toHaveLength(50);
    await expect(lab.request('POST', '/v1/interfaces/b:eth0/descriptors', {})).rejects.toThrow(
      /b:eth0 is gone/,
    );
    expect((await lab.request<InterfaceStatus>('GET', '/v1/interfaces/a:eth0')).up).toBe(true);
  });
});

describe.skipIf(noRealDevices)('bringing a lab up and down', () => {
  it('cleans up what a killed daemon left', async () => {
    const name = uniqueLabName();
    const lab = await startLab(name, pairYaml(name));
    lab.daemon.kill('SIGKILL');
    await exit(lab.daemon);
    expect(await namespacesOf(name)).toHaveLength(2);
    const again = await startLab(name, pairYaml(name));
    running.push(again);
    expect(await pingMs(again)).toBeLessThan(20);
    expect(await again.stop()).toBe(0);
    expect(await namespacesOf(name)).toEqual([]);
  });

  it.skipIf(isMissing('pgrep'))('leaves nothing behind when it is interrupted at any moment', async () => {
    for (const delayMs of [0, 50, 100, 150, 200, 250, 300, 400, 600]) {
      const name = uniqueLabName();
      const up = startLab(name, pairYaml(name));
      up.catch(() => {});
      const pid = await findDaemon(name);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      process.kill(pid, 'SIGINT');
      await up.then(
        (lab) => exit(lab.daemon),
        () => undefined,
      );
      await eventually(() => !isAlive(pid));
      expect({ delayMs, left: await namespacesOf(name) }).toEqual({ delayMs, left: [] });
    }
  });

  it('takes the lab down when nobody reads its output any more', async () => {
    const name = uniqueLabName();
    const lab = await startLab(name, pairYaml(name));
    running.push(lab);
    lab.daemon.stderr!.destroy();
    // Something to say; the answer may or may not come before the daemon has noticed.
    await lab.request('POST', '/v1/interfaces/a:eth0/descriptors', {}).catch(() => {});
    expect(await exit(lab.daemon)).toBe(0);
    expect(await namespacesOf(name)).toEqual([]);
  });

  it('says what is in the way of a namespace, and makes nothing', async () => {
    const name = uniqueLabName();
    await run('ip', ['netns', 'add', `taplab-${name}-b`]);
    try {
      await expect(startLab(name, pairYaml(name))).rejects.toThrow(
        new RegExp(`taplab-${name}-b.*ip netns del`, 's'),
      );
      expect(await namespacesOf(name)).toEqual([`taplab-${name}-b`]);
    } finally {
      await removeNamespaces(name);
    }
  });

  it('refuses to bring up a lab that is up', async () => {
    const lab = await pair();
    await expect(startLab(lab.name, pairYaml(lab.name))).rejects.toThrow(/already running/);
    expect(await namespacesOf(lab.name)).toHaveLength(2);
  });

  it('goes down when asked over the socket, and the command returns when it is down', async () => {
    const lab = await pair();
    expect(await taplab(['down'], lab.socket)).toMatchObject({ status: 0 });
    expect(await namespacesOf(lab.name)).toEqual([]);
    await eventually(() => lab.daemon.exitCode === 0);
  });
});

/** The pid of the daemon of a lab, as soon as there is one. */
async function findDaemon(name: string): Promise<number> {
  let pid = 0;
  await eventually(async () => {
    const { stdout } = await run('pgrep', ['-f', `up .*taplab-${name}-`]).catch(() => ({ stdout: '' }));
    pid = Number(stdout.split('\n')[0]);
    return pid > 0;
  });
  return pid;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
