/** Contenders of the benchmark under one signature: our engines in worker threads, libpcap in a child process. */

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Program } from '../../vm/index.ts';
import type { ContenderJob } from './contender-worker.ts';
import { FRAME_COUNT } from './traffic.ts';

export type Timing = { readonly nanoseconds: number; readonly matches: number };

/** Something that can run its filter over all frames again and again. */
export type Contender = {
  /** Rounds that take about one turn. */
  readonly rounds: number;
  run(rounds: number): Promise<Timing>;
  close(): Promise<void>;
};

/** Starts one of our engines with a program, or with all that are to be fused, and warms it up. */
export async function startEngine(
  engine: ContenderJob['engine'],
  programs: readonly Program[],
  turnNs: number,
): Promise<Contender> {
  const file = join(import.meta.dirname, 'contender-worker.js');
  if (!existsSync(file)) throw new Error(`${file} is missing: build first, then run the benchmark from dist`);
  const workerData: ContenderJob = { engine, programs: programs.map(({ words }) => words), turnNs };
  const worker = new Worker(file, { workerData });
  const answer = async <T>(): Promise<T> => (await once(worker, 'message'))[0] as T;
  return {
    rounds: await answer<number>(),
    run: (rounds) => {
      worker.postMessage(rounds);
      return answer<Timing>();
    },
    close: async () => {
      await worker.terminate();
    },
  };
}

/**
 * Lets contenders take `turns` turns, one after the other, so that what else the machine does falls on all of them
 * alike. Returns the median of each one's nanoseconds per frame.
 */
export async function takeTurns(contenders: readonly Contender[], turns: number): Promise<number[]> {
  const samples: number[][] = contenders.map(() => []);
  for (let turn = 0; turn < turns; turn++) {
    for (const [i, { rounds, run }] of contenders.entries()) {
      samples[i]!.push((await run(rounds)).nanoseconds / rounds / FRAME_COUNT);
    }
  }
  return samples.map(median);
}

/** The middle value; of two, the larger. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
