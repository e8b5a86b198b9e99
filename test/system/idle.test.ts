/** A lab in which nothing moves leaves the processor alone: its threads sleep until something comes, and poll nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import {
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  startLab,
  uniqueLabName,
} from '../helpers/real.ts';

let lab: RunningLab | undefined;
afterEach(async () => {
  if (lab === undefined) return;
  if (lab.daemon.exitCode === null) await lab.stop();
  await removeNamespaces(lab.name);
  lab = undefined;
});

/** How often each thread of a process has gone to sleep by itself, the first thread first; proc(5). */
function sleeps(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => a - b)
    .map((thread) => {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
      return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)![1]);
    });
}

/** How often in its quietest of six half seconds each thread went to sleep: what polls wakes up in all of them. */
async function fewestSleeps(pid: number): Promise<number[]> {
  let fewest: number[] = [];
  for (let i = 0; i < 6; i++) {
    const before = sleeps(pid);
    await sleep(500);
    const counts = sleeps(pid).map((count, thread) => count - before[thread]!);
    fewest = counts.map((count, thread) => Math.min(count, fewest[thread] ?? count));
  }
  return fewest;
}

it.skipIf(noRealDevices)(
  'no thread wakes up, but for one that looks whether links are overloaded',
  async () => {
    const name = uniqueLabName();
    lab = await startLab(name, `${pairYaml(name)}workers: 2\n`);
    const pid = lab.daemon.pid!;
    // Nodes ask for their neighbours and routers when they come up.
    await sleep(4000);
    for (const impair of ['clear', 'delay 5ms 1ms rate 20mbit', 'delay 5ms precision high']) {
      await lab.request('PATCH', '/v1/links/ab', { impair });
      const [first, ...others] = await fewestSleeps(pid);
      expect(others.length).toBeGreaterThanOrEqual(2);
      // A poller wakes up at least 50 times, with 10 ms between its looks.
      expect(first, impair).toBeLessThan(15);
      expect(Math.max(...others), impair).toBeLessThan(10);
    }
  },
  30_000,
);
