/**
 * How late this machine wakes a thread that has a deadline: what no emulator can do better than. Measured by a thread of
 * its own beside what is verified, so that a machine that is too busy is told from a link that does not do what it says.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { LagShared } from './lag-thread.ts';
import { quantile } from './passage.ts';

/** The newest minute. */
const SAMPLES = 60_000;

export class LagMeter {
  readonly #shared: LagShared = {
    words: new Int32Array(new SharedArrayBuffer(8)),
    late: new Float64Array(new SharedArrayBuffer(SAMPLES * 8)),
  };
  readonly #worker: Worker = new Worker(new URL('./lag-thread.js', import.meta.url), {
    workerData: this.#shared,
    name: 'taplab-lag',
  });

  /** Ends the thread. Returns the 99th percentile in nanoseconds; undefined when it never woke up. */
  async stop(): Promise<number | undefined> {
    const ended = once(this.#worker, 'exit');
    Atomics.store(this.#shared.words, 1, 1);
    await ended;
    const count = Math.min(SAMPLES, Atomics.load(this.#shared.words, 0));
    return quantile(
      [...this.#shared.late.subarray(0, count)].sort((a, b) => a - b),
      0.99,
    );
  }
}
