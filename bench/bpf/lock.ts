/** What the bpf_if lock costs: nobody else wants it, or another thread takes it all the time. */
import { Arena, FIRST_WORKER, THREAD_ALIVE, THREAD_STATE } from '../../src/arena/arena.ts';
import type { LockAnswer, LockJob } from './lock-worker.ts';
import { BenchWorker, median, takeTurns } from './turns.ts';

/** Nanoseconds from one time that a thread has the lock to its next; CPU time where it does not wait for another. */
export type LockTiming = {
  /** A counter in shared memory, without a lock: what is left when the others are taken off. */
  readonly noLockNs: number;
  readonly uncontendedNs: number;
  /** Two threads, each at full speed; waiting included, for the CPU too. */
  readonly contendedNs: number;
};

const TIMES = 500_000;
const WARM_UP = 4;

export async function benchLock(rounds: number): Promise<LockTiming> {
  const capacity = { workers: 2, interfaces: 1, directions: 1, descriptors: 1 };
  const arena = Arena.create({
    ...capacity,
    slotsPerWorker: 1,
    slotBytes: 2048,
    superFramesPerWorker: 0,
    heapBytes: 4096,
  });
  const threads = [0, 1].map((index) => {
    Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER + index, THREAD_STATE), THREAD_ALIVE);
    const job: LockJob = { arena: arena.handle, self: FIRST_WORKER + index };
    return new BenchWorker<LockJob, { times: number; locked: boolean }, LockAnswer>('lock-worker', job);
  });
  const [first, second] = [threads[0]!, threads[1]!];
  try {
    const contenders = [
      async () => (await first.ask({ times: TIMES, locked: false })).cpuNs,
      async () => (await first.ask({ times: TIMES, locked: true })).cpuNs,
      async () => {
        const both = [first, second].map((thread) => thread.ask({ times: TIMES, locked: true }));
        return Math.max(...(await Promise.all(both)).map(({ elapsedNs }) => elapsedNs));
      },
    ];
    await takeTurns(contenders, WARM_UP);
    const [noLockNs, uncontendedNs, contendedNs] = (await takeTurns(contenders, rounds)).map(median);
    return { noLockNs: noLockNs!, uncontendedNs: uncontendedNs!, contendedNs: contendedNs! };
  } finally {
    for (const thread of threads) await thread.close();
  }
}
