/**
 * Duplication: `duplicate PERCENT [CORRELATION]` of tc-netem(8). The copy follows the frame through what comes after
 * this stage, on its own: it may be corrupted, queued and delayed otherwise. A copy is never copied again.
 *
 * Unlike in netem, the copy is of a frame that was not lost: loss comes before. A copy for which there is no slot is
 * counted as one that was made and dropped, reason `pool`.
 */
import { Correlated } from './correlated.ts';
import { type Impairment, type ImpairmentStage, NOWHERE, type Stage, type StageContext } from './stage.ts';
import { formatPercent, parsePercent } from './units.ts';
import { positional, type Word } from './words.ts';

export type DuplicateSettings = {
  /** Probability, 0 to 1, that a frame comes twice. */
  readonly duplicate: number;
  readonly duplicateCorrelation: number;
};

export const NO_DUPLICATES: DuplicateSettings = { duplicate: 0, duplicateCorrelation: 0 };

export const DUPLICATE_WORDS: readonly Word<DuplicateSettings>[] = [
  {
    name: 'duplicate',
    syntax: 'PERCENT [CORRELATION]',
    help: 'Percentage of frames that come twice, as 1%.',
    read: (args) => ({
      duplicate: args.value(parsePercent, 'a percentage such as 1%'),
      duplicateCorrelation: args.optional(parsePercent, 'correlation') ?? 0,
    }),
    write: ({ duplicate: probability, duplicateCorrelation: correlation }) =>
      probability === 0 && correlation === 0
        ? undefined
        : positional(formatPercent(probability), [formatPercent(correlation), correlation === 0]),
  },
];

export const duplicate: Impairment<DuplicateSettings> = {
  isOn: (settings) => settings.duplicate > 0,
  create: (context) => new Duplicate(context),
};

class Duplicate implements ImpairmentStage<DuplicateSettings> {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #uniform: Correlated;
  #probability = 0;

  constructor(context: StageContext) {
    this.#context = context;
    this.#uniform = new Correlated(context.random('duplicate'));
  }

  set(settings: DuplicateSettings): void {
    this.#probability = settings.duplicate;
    this.#uniform.correlation = settings.duplicateCorrelation;
  }

  push(frame: number, nowNs: number): void {
    if (this.#uniform.draw() >= this.#probability) {
      this.next.push(frame, nowNs);
      return;
    }
    // The frame may be gone once it was pushed on, so it is copied first.
    const copy = this.#copy(frame);
    this.next.push(frame, nowNs);
    if (copy !== -1) this.next.push(copy, nowNs);
  }

  #copy(frame: number): number {
    const { frames, copied } = this.#context;
    const copy = frames.takeLike(frame);
    copied(frame, copy);
    if (copy === -1) return -1;
    const start = frames.offset(frame);
    frames.bytes.copyWithin(frames.offset(copy), start, start + frames.length[frame]!);
    frames.length[copy] = frames.length[frame]!;
    frames.arrivedNs[copy] = frames.arrivedNs[frame]!;
    return copy;
  }
}
