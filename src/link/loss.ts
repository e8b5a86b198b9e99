/**
 * Random loss: each frame is lost with the same probability, whatever happened to others. `loss PERCENT` in
 * tc-netem(8).
 */
import type { Random } from './random.ts';
import type { Drop, Stage } from './stage.ts';

export class Loss implements Stage {
  /** 0 to 1. */
  probability = 0;
  readonly #next: Stage;
  readonly #random: Random;
  readonly #drop: Drop;

  constructor(next: Stage, random: Random, drop: Drop) {
    this.#next = next;
    this.#random = random;
    this.#drop = drop;
  }

  push(frame: number, nowNs: number): void {
    if (this.probability > 0 && this.#random() < this.probability) this.#drop(frame, 'loss');
    else this.#next.push(frame, nowNs);
  }
}
