/**
 * In place of a scheduler, what keeps no order at all: of all frames that wait one drawn at random leaves when one comes.
 * No scheduler can cost less than that where frames overtake each other, as the memory of each is touched once it leaves,
 * whatever chooses it.
 */
import type { StageTimers, TimedStage, TimerGroup } from '../../src/link/stage.ts';

const NONE = -1;

export class RandomOrder implements TimerGroup {
  /** Frame and stage that wait in each place, NONE where there are none yet. */
  readonly #places: Int32Array;
  readonly #stages: TimedStage[] = [];
  #drawn = 1;

  /** @param frames that wait at once, once so many have come */
  constructor(frames: number) {
    this.#places = new Int32Array(2 * frames).fill(NONE);
  }

  for(stage: TimedStage): StageTimers {
    const number = this.#stages.push(stage) - 1;
    const at = (deadlineNs: number, frame: number): void => this.#exchange(deadlineNs, frame, number);
    return { at, inLine: at };
  }

  group(): TimerGroup {
    return this;
  }

  setPrecision(): void {}

  #exchange(nowNs: number, frame: number, stage: number): void {
    this.#drawn = (Math.imul(this.#drawn, 1_664_525) + 1_013_904_223) | 0;
    const place = Math.floor(((this.#drawn >>> 0) * this.#places.length) / 2 ** 33);
    const [leavingFrame, leavingStage] = [this.#places[2 * place]!, this.#places[2 * place + 1]!];
    this.#places[2 * place] = frame;
    this.#places[2 * place + 1] = stage;
    if (leavingFrame !== NONE) this.#stages[leavingStage]!.due(leavingFrame, nowNs);
  }
}
