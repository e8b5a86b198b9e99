/**
 * Random numbers that resemble the one before: get_crandom() of the kernel's net/sched/sch_netem.c, in floating
 * point. Each is (1 - correlation) × a fresh one + correlation × the last.
 *
 * This is netem's arithmetic with netem's property: the mean of two numbers is not uniform, it lies nearer to the
 * middle. So `loss 10% 50%` loses fewer than 10 % of the frames, here as there. tc-netem(8) calls it deprecated for
 * loss and recommends `loss state` and `loss gemodel`.
 */
import type { Random } from './random.ts';

export class Correlated {
  /** 0 to 1. */
  correlation = 0;
  readonly #random: Random;
  #last: number;

  constructor(random: Random) {
    this.#random = random;
    this.#last = random();
  }

  /** A number in [0, 1). */
  draw(): number {
    if (this.correlation === 0) return this.#random();
    this.#last = (1 - this.correlation) * this.#random() + this.correlation * this.#last;
    return this.#last;
  }
}
