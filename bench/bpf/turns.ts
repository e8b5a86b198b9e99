/**
 * Contenders that take turns, so that what else the machine does falls on all of them alike, and ratios formed within
 * one round, so that a machine that gets slower from round to round does not show in them.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { median } from '../vm/contender.ts';

export { median } from '../vm/contender.ts';

/** Runs every contender once per round, in changing order. Returns each one's samples. */
export async function takeTurns<T>(
  contenders: readonly (() => T | Promise<T>)[],
  rounds: number,
): Promise<T[][]> {
  const samples: T[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    const order = contenders.map((_, i) => (round % 2 === 0 ? i : contenders.length - 1 - i));
    for (const i of order) samples[i]!.push(await contenders[i]!());
  }
  return samples;
}

/** The median over the rounds of `samples` divided by `base`. */
export function medianRatio(samples: readonly number[], base: readonly number[]): number {
  return median(samples.map((sample, round) => sample / base[round]!));
}

/** A worker of this folder, which answers each message with one. */
export class BenchWorker<Job extends object, Question, Answer> {
  readonly #worker: Worker;

  constructor(name: string, workerData: Job) {
    const file = join(import.meta.dirname, `${name}.js`);
    if (!existsSync(file))
      throw new Error(`${file} is missing: build first, then run the benchmark from dist`);
    this.#worker = new Worker(file, { workerData });
  }

  async ask(question: Question): Promise<Answer> {
    this.#worker.postMessage(question);
    const [answer] = (await once(this.#worker, 'message')) as [Answer];
    return answer;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
