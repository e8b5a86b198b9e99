/**
 * Reordering: `reorder PERCENT [CORRELATION] [gap N]` of tc-netem(8). Frames that are chosen go past the delay, and
 * so overtake those that wait in it; of each N frames the first N - 1 are never chosen. Without a delay there is
 * nothing to overtake. Unlike in netem a chosen frame has passed the rate limiter: it overtakes what is in the air, not what is queued.
 */
import { Correlated } from './correlated.ts';
import type { Random } from './random.ts';
import { formatPercent, parseCount, parsePercent } from './units.ts';
import { positional, type Word } from './words.ts';

export type ReorderSettings = {
  /** Probability, 0 to 1, that a frame overtakes. */
  readonly reorder: number;
  readonly reorderCorrelation: number;
  /** At most one of so many frames is chosen; 1 lets all be. */
  readonly reorderGap: number;
};

export const NO_REORDER: ReorderSettings = { reorder: 0, reorderCorrelation: 0, reorderGap: 1 };

export const REORDER_WORDS: readonly Word<ReorderSettings>[] = [
  {
    name: 'reorder',
    syntax: 'PERCENT [CORRELATION] [gap N]',
    help: 'Percentage of frames that go past the delay and overtake others, as 25% 50% gap 5.',
    read: (args) => ({
      reorder: args.value(parsePercent, 'a percentage such as 25%'),
      reorderCorrelation: args.optional(parsePercent, 'correlation') ?? 0,
      reorderGap:
        args.take('gap') === undefined ? 1 : args.value(parseCount, 'a whole number such as 5', 'gap'),
    }),
    write: ({ reorder: probability, reorderCorrelation: correlation, reorderGap: gap }) => {
      if (probability === 0 && correlation === 0 && gap === 1) return undefined;
      const text = positional(formatPercent(probability), [formatPercent(correlation), correlation === 0]);
      return gap === 1 ? text : `${text} gap ${gap}`;
    },
  },
];

/** Chooses the frames that overtake. */
export class Overtaking {
  readonly #uniform: Correlated;
  #probability = 0;
  #gap = 1;
  /** Frames delayed since the last that was chosen. */
  #delayed = 0;

  constructor(random: Random) {
    this.#uniform = new Correlated(random);
  }

  set(settings: ReorderSettings): void {
    this.#probability = settings.reorder;
    this.#uniform.correlation = settings.reorderCorrelation;
    this.#gap = settings.reorderGap;
  }

  /** Whether the next frame does. */
  choose(): boolean {
    if (this.#probability === 0) return false;
    const isChosen = this.#delayed >= this.#gap - 1 && this.#uniform.draw() < this.#probability;
    this.#delayed = isChosen ? 0 : this.#delayed + 1;
    return isChosen;
  }
}
