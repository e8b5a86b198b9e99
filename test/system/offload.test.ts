/**
 * Super-frames on real devices: what arrives is what was sent, whatever the link does and whoever looks, and every
 * frame that is seen could have been on a wire.
 */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import type { InterfaceStatus } from '../../src/daemon/contract.ts';
import { balancedBooks } from '../helpers/books.ts';
import {
  eventually,
  noRealDevices,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';

const TRANSFER = join(import.meta.dirname, 'transfer.mjs');
/** CI can ask for more; 10 GB take minutes. */
const BYTES = Number(process.env.TRANSFER_BYTES ?? 30_000_000);
/** At 10 MB/s the slowest combination is done. */
const PATIENCE_MS = 120_000 + BYTES / 10_000;
const cleanUps: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

type Options = { a?: string; b?: string; impair?: string; device?: string };

async function lab({ a = '', b = '', impair = '{}', device = 'tap' }: Options): Promise<RunningLab> {
  const name = uniqueLabName();
  cleanUps.push(() => removeNamespaces(name));
  const running = await startLab(
    name,
    `name: ${name}
device: ${device}
nodes:
  a: { interfaces: { eth0: { ip: [198.18.0.1/24, "fd00::1/64"]${a} } } }
  b: { interfaces: { eth0: { ip: [198.18.0.2/24, "fd00::2/64"]${b} } } }
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"], impair: ${impair} }
`,
  );
  cleanUps.push(() => running.stop());
  // Duplicate address detection of IPv6 takes a second; nobody else is there.
  for (const node of ['a', 'b']) {
    const replace = ['-n', running.namespace(node), 'addr', 'replace'];
    await run('ip', [...replace, `fd00::${node === 'a' ? 1 : 2}/64`, 'dev', 'eth0', 'nodad']);
  }
  return running;
}

/** What the receiver and the sender say of one transfer from a to b. */
async function transfer(running: RunningLab, address: string, bytes = BYTES): Promise<[string, string]> {
  const receiver = running.spawnIn('b', TRANSFER, 'receive', '9001');
  const [ready, received] = lines(receiver);
  await ready!();
  const sender = running.spawnIn('a', TRANSFER, 'send', address, '9001', String(bytes), '7');
  const [sent] = lines(sender);
  return [await received!(), await sent!()];
}

function lines(child: ChildProcess): (() => Promise<string>)[] {
  cleanUps.push(() => child.kill('SIGKILL'));
  const iterator = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await iterator.next()).value);
  return [next, next];
}

/** Resolves when a descriptor is attached to each interface. */
function captured(running: RunningLab): Promise<void> {
  return eventually(async () => {
    const { interfaces } = await running.request<{ interfaces: InterfaceStatus[] }>('GET', '/v1/interfaces');
    return interfaces.every(({ descriptors }) => descriptors === 1);
  });
}

const COMBINATIONS: [string, Options, string][] = [
  ['over a clear link', {}, '198.18.0.2'],
  ['over IPv6', {}, 'fd00::2'],
  ['from TUN to TUN', { device: 'tun' }, '198.18.0.2'],
  ['with a delay', { impair: '{ delay: 5ms }' }, '198.18.0.2'],
  ['with loss and jitter', { impair: '{ delay: 1ms, jitter: 1ms, loss: 0.2% }' }, 'fd00::2'],
  ['with a rate and a short queue', { impair: '{ rate: 300mbit, limit: 64kb }' }, '198.18.0.2'],
  ['to a device without', { b: ', offload: false' }, '198.18.0.2'],
  ['from a device without', { a: ', offload: false' }, 'fd00::2'],
  ['to a smaller MTU', { b: ', mtu: 1300' }, '198.18.0.2'],
  ['without, from and to', { a: ', offload: false', b: ', offload: false' }, '198.18.0.2'],
  [
    'through a rule that looks into frames',
    { impair: '{ rules: [{ match: "tcp[13] & 1 != 0", delay: 1ms }] }' },
    '198.18.0.2',
  ],
];

/** Streams all that is seen at an interface, and keeps nothing. */
async function capture(running: RunningLab, name: string): Promise<void> {
  const { id } = await running.request<{ id: number }>('POST', `/v1/interfaces/${name}/descriptors`, {});
  const path = `/v1/descriptors/${id}/stream?format=pcapng`;
  const request = get({ socketPath: running.socket, path });
  cleanUps.push(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  request.on('error', () => {});
  response.on('error', () => {}).resume();
}

describe.skipIf(noRealDevices !== undefined)('a TCP transfer with offload', { timeout: PATIENCE_MS }, () => {
  test.each<[string, string, Options, string]>(
    ['', ', captured at both ends'].flatMap((captures) =>
      COMBINATIONS.map(([name, ...rest]): [string, string, Options, string] => [name, captures, ...rest]),
    ),
  )('arrives as it was sent %s%s', async (_, captures, options, address) => {
    const running = await lab(options);
    if (captures !== '') await Promise.all(['a:eth0', 'b:eth0'].map((name) => capture(running, name)));
    if (options.b?.includes('mtu')) {
      // Nothing tells the sender of the smaller MTU on a point-to-point link but the segment size it is offered.
      await run('ip', ['-n', running.namespace('a'), 'link', 'set', 'eth0', 'mtu', '1300']);
    }
    const [received, sent] = await transfer(running, address);
    expect(received).toBe(sent);
    expect(JSON.parse(received)).toMatchObject({ length: BYTES });
    const { forward } = await balancedBooks(running, 'ab');
    expect(forward.offered.frames).toBeGreaterThan(BYTES / 1500);
  });

  test('is seen by a capture frame by frame, each with its checksums, and none is missing', async () => {
    const running = await lab({ impair: '{ delay: 1ms }' });
    const captures = ['a:eth0', 'b:eth0'].map((name) => ({
      name,
      file: join(running.directory, `${name[0]}.pcapng`),
    }));
    const dumps = captures.map(({ name, file }) => {
      const ended = taplab(['dump', name, 'tcp port 9001', '-w', file, '--buffer', '8mb'], running.socket);
      return { name, file, ended };
    });
    await captured(running);
    const bytes = 3_000_000;
    const [received, sent] = await transfer(running, '198.18.0.2', bytes);
    expect(received).toBe(sent);
    const { descriptors } = await running.request<{ descriptors: { id: number; dropped: number }[] }>(
      'GET',
      '/v1/descriptors',
    );
    for (const { id, dropped } of descriptors) {
      expect(dropped).toBe(0);
      await taplab(['detach', String(id)], running.socket);
    }
    await Promise.all(dumps.map(({ ended }) => ended));
    if (isMissing('tshark')) return;
    for (const { file } of captures) {
      const fields = ['frame.len', 'tcp.len', 'ip.checksum.status', 'tcp.checksum.status', 'tcp.dstport'];
      const checks = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'];
      const shown = spawnSync(
        'tshark',
        ['-r', file, ...checks, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])],
        { encoding: 'utf8', maxBuffer: 2 ** 28 },
      );
      const rows = shown.stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t').map(Number));
      let payload = 0;
      for (const [length, tcpLength, ipStatus, tcpStatus, port] of rows) {
        expect([length! <= 1514, ipStatus, tcpStatus]).toEqual([true, 1, 1]);
        if (port === 9001) payload += tcpLength!;
      }
      expect(payload).toBeGreaterThanOrEqual(bytes);
    }
  });
});
