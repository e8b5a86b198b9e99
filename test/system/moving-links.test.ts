/** Links that go from worker to worker on real TAPs while datagrams are under way: each arrives once, and in order. */
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/reader.ts';
import type { InterfaceStatus, LinkStatus } from '../../src/daemon/contract.ts';
import {
  eventually,
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  uniqueLabName,
} from '../helpers/real.ts';
import { exit, output } from '../helpers/traffic.ts';

const FLOWS = fileURLToPath(new URL('flows.mjs', import.meta.url));
const PER_SECOND = 4000;

let lab: RunningLab | undefined;
let captures: string | undefined;
afterEach(async () => {
  if (lab !== undefined) {
    if (lab.daemon.exitCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
  if (captures !== undefined) rmSync(captures, { recursive: true, force: true });
  lab = captures = undefined;
});

async function started(impair: string, extra = ''): Promise<RunningLab> {
  const name = uniqueLabName();
  lab = await startLab(name, `${pairYaml(name, extra, impair)}workers: 2\n`);
  return lab;
}

/** Moves link ab to a worker, once it has arrived at the last: a full queue at 3 Mbit/s takes it three seconds. */
async function move({ request }: RunningLab, worker: number): Promise<void> {
  await eventually(
    () =>
      request('PATCH', '/v1/links/ab', { worker }).then(
        () => true,
        (error: Error) => {
          if (!/409|still has frames/.test(error.message)) throw error;
          return false;
        },
      ),
    20_000,
  );
}

async function numbersOf(path: string): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { bytes } of readCapture(createReadStream(path))) {
    numbers.push(Buffer.from(bytes).readUInt32BE(46));
  }
  return numbers;
}

describe.skipIf(noRealDevices)('a link that goes from worker to worker', () => {
  it.each(['{}', '{ delay: 15ms }', '{ delay: 5ms, rate: 20mbit }', '{ rate: 3mbit, limit: 1mb }'])(
    'delivers every datagram once and in order, and descriptors see them all: %s',
    async (impair) => {
      captures = mkdtempSync(join(tmpdir(), 'taplab-moves-'));
      const paths = [join(captures, 'sent.pcapng'), join(captures, 'arrived.pcapng')] as const;
      const descriptors = (['a', 'b'] as const).map(
        (end, i) =>
          `  - { interface: "${end}:eth0", filter: udp port 9999, direction: ${i === 0 ? 'in' : 'out'}, write: "${paths[i]}" }\n`,
      );
      const running = await started(impair, `descriptors:\n${descriptors.join('')}`);
      const count = 10_000;
      const receiver = running.spawnIn('b', FLOWS, 'receive', '1', `${count}`);
      try {
        await once(receiver.stdout!, 'data');
        const report = output(receiver);
        const sender = running.spawnIn('a', FLOWS, 'send', '198.18.0.2', '1', `${count}`, `${PER_SECOND}`);
        let moves = 0;
        while (sender.exitCode === null) {
          await move(running, moves++ % 2);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        expect(await exit(sender)).toBe(0);
        expect(moves).toBeGreaterThan(2);
        // On a busy machine the node's kernel may drop some before taplab reads them.
        expect(JSON.parse(await report)).toMatchObject({ twice: 0, late: 0 });
      } finally {
        receiver.kill('SIGKILL');
      }
      await move(running, 1);
      const { forward, reverse } = await running.request<LinkStatus>('GET', '/v1/links/ab');
      expect([forward.workers, reverse.workers]).toEqual([[1], [1]]);
      expect(forward.offered.frames).toBeGreaterThan(count / 4);
      expect(forward.delivered.frames).toBe(forward.offered.frames - forward.drops.carrier);
      const near = await running.request<InterfaceStatus>('GET', '/v1/interfaces/a%3Aeth0');
      expect(near.readers).toHaveLength(1);
      expect(near.receive).toEqual(forward.offered);
      const far = await running.request<InterfaceStatus>('GET', '/v1/interfaces/b%3Aeth0');
      expect(far.transmit).toEqual(forward.delivered);
      expect(await running.stop()).toBe(0);
      const [sent, arrived] = await Promise.all(paths.map(numbersOf));
      for (const numbers of [sent!, arrived!]) {
        expect(numbers.length).toBeGreaterThan(count / 4);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      }
    },
    120_000,
  );

  it('holds what is under way to its time, can be changed meanwhile, and refuses what it cannot do', async () => {
    const running = await started('{ delay: 5s }');
    const { request } = running;
    const move = (worker: number): Promise<unknown> => request('PATCH', '/v1/links/ab', { worker });
    const { forward } = await request<LinkStatus>('GET', '/v1/links/ab');
    const other = 1 - forward.workers[0]!;
    // It asks for the address of its neighbour first, and nobody answers in time.
    const asking = run('ip', [
      'netns',
      'exec',
      running.namespace('a'),
      'ping',
      '-c',
      '1',
      '-W',
      '1',
      '198.18.0.2',
    ]);
    asking.catch(() => {});
    const status = (): Promise<LinkStatus> => request('GET', '/v1/links/ab');
    await eventually(async () => (await status()).forward.inFlight > 0);
    await move(other);
    await expect(move(1 - other)).rejects.toThrow(/still has frames of it/);
    await request('PATCH', '/v1/links/ab', { impair: 'delay 1ms' });
    await eventually(async () => {
      const { forward } = await status();
      return forward.inFlight === 0 && forward.delivered.frames > 0;
    }, 20_000);
    await request('PATCH', '/v1/links/ab', { impair: 'slot 1ms' });
    await expect(move(1 - other)).rejects.toThrow(/slot goes by the time of its worker/);
    await expect(move(2)).rejects.toThrow(/there is no worker 2; this run has 2/);
  });
});
