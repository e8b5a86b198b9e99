/**
 * Propagation delay with uniform jitter: `delay TIME JITTER` in tc-netem(8). Each frame gets delay ± jitter, never
 * less than nothing. As in netem, frames whose jitter differs by more than their distance overtake each other.
 */
import type { Random } from './random.ts';
import type { Stage, TimedStage, Timers } from './stage.ts';

export class Delay implements TimedStage {
  delayNs = 0;
  jitterNs = 0;
  readonly #next: Stage;
  readonly #timers: Timers;
  readonly #random: Random;

  constructor(next: Stage, timers: Timers, random: Random) {
    this.#next = next;
    this.#timers = timers;
    this.#random = random;
  }

  push(frame: number, nowNs: number): void {
    if (this.delayNs === 0 && this.jitterNs === 0) {
      this.#next.push(frame, nowNs);
      return;
    }
    const jitterNs = this.jitterNs === 0 ? 0 : this.jitterNs * (2 * this.#random() - 1);
    this.#timers.at(nowNs + Math.max(0, this.delayNs + jitterNs), this, frame);
  }

  due(frame: number, deadlineNs: number): void {
    this.#next.push(frame, deadlineNs);
  }
}
