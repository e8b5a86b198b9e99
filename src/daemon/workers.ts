/** What the workers of a running lab say of themselves. */
import { type Arena, FIRST_WORKER, THREAD_ALIVE, THREAD_STATE } from '../arena/arena.ts';
import {
  WORKER_BUSY_NS,
  WORKER_ITERATIONS,
  WORKER_LOOP_LAG,
  WORKER_SLOTS_USED,
  WORKER_SPIN_NS,
  WORKER_TAPS,
  WORKER_TIMED_TAPS,
  WORKER_TIMED_TAPS_NS,
} from '../engine/counters.ts';
import { readHistogram } from '../engine/histogram.ts';
import type { WorkerStatus } from './contract.ts';

export function workerStatus(arena: Arena, index: number): WorkerStatus {
  const { f64, i32 } = arena;
  const at = arena.workerCounters(index);
  return {
    index,
    alive: Atomics.load(i32, arena.threadWord(FIRST_WORKER + index, THREAD_STATE)) === THREAD_ALIVE,
    busyNs: f64[at + WORKER_BUSY_NS]!,
    spinNs: f64[at + WORKER_SPIN_NS]!,
    iterations: f64[at + WORKER_ITERATIONS]!,
    loopLag: readHistogram(f64, at + WORKER_LOOP_LAG),
    slots: arena.capacity.slotsPerWorker,
    slotsUsed: f64[at + WORKER_SLOTS_USED]!,
    taps: f64[at + WORKER_TAPS]!,
    timedTaps: f64[at + WORKER_TIMED_TAPS]!,
    timedTapsNs: f64[at + WORKER_TIMED_TAPS_NS]!,
  };
}
