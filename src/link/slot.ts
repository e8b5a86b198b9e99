/**
 * Slots: `slot MIN [MAX] [packets N] [bytes N]` and `slot distribution NAME DELAY JITTER [packets N] [bytes N]` of
 * tc-netem(8): frames wait for a slot and leave together, as on media that are granted in turns (DOCSIS, Wi-Fi).
 *
 * As in netem, a frame that comes after the last slot opened starts the wait for the next one: MIN to MAX later. A
 * slot takes `packets` frames and `bytes` bytes (0: any number); what is left waits for another.
 */
import { DISTRIBUTIONS, type Distribution, type Quantile, quantileOf } from './distribution.ts';
import { FrameList, NONE } from './queue/queue.ts';
import type { Random } from './random.ts';
import {
  type Impairment,
  type ImpairmentStage,
  NOWHERE,
  type Stage,
  type StageContext,
  type StageTimers,
  type TimedStage,
} from './stage.ts';
import { formatSize, formatTime, parseCount, parseSize, parseTime, UnitError } from './units.ts';
import type { Arguments, Word } from './words.ts';

export type Slot = {
  /** How long until the next slot opens: mean, variation, and how that is distributed (uniform: mean ± variation). */
  readonly delayNs: number;
  readonly jitterNs: number;
  readonly distribution: Exclude<Distribution, object>;
  /** What fits in one; 0 is any number. */
  readonly frames: number;
  readonly bytes: number;
};

export type SlotSettings = { readonly slot: Slot | null };

export const NO_SLOT: SlotSettings = { slot: null };

const TIME = 'a time such as 800us';

export const SLOT_WORDS: readonly Word<SlotSettings>[] = [
  {
    name: 'slot',
    syntax:
      'MIN [MAX] [packets N] [bytes SIZE] | distribution NAME DELAY JITTER [packets N] [bytes SIZE] | none',
    help: 'Frames leave together in slots, as 800us 1ms packets 42.',
    read: (args) => {
      if (args.take('none') !== undefined) return NO_SLOT;
      const timing = args.take('distribution') === undefined ? readRange(args) : readDistributed(args);
      const frames =
        args.take('packets') === undefined ? 0 : args.value(parseCount, 'a whole number', 'packets');
      const bytes =
        args.take('bytes') === undefined ? 0 : args.value(parseSize, 'a size such as 64kb', 'bytes');
      return { slot: { ...timing, frames, bytes } };
    },
    write: ({ slot: settings }) => (settings === null ? undefined : formatSlot(settings)),
  },
];

type Timing = Pick<Slot, 'delayNs' | 'jitterNs' | 'distribution'>;

function readRange(args: Arguments): Timing {
  const minNs = args.value(parseTime, TIME);
  const maxNs = args.optional(parseTime) ?? minNs;
  if (maxNs < minNs) args.refuse('slot: the maximum is below the minimum');
  if (maxNs === 0) args.refuse('slot: needs a time above 0');
  return { delayNs: (minNs + maxNs) / 2, jitterNs: (maxNs - minNs) / 2, distribution: 'uniform' };
}

function readDistributed(args: Arguments): Timing {
  const distribution = args.value(parseName, DISTRIBUTIONS.join(', '), 'slot distribution');
  const delayNs = args.value(parseTime, TIME, 'slot distribution');
  return { distribution, delayNs, jitterNs: args.value(parseTime, TIME, 'slot distribution') };
}

function parseName(text: string): Slot['distribution'] {
  const name = DISTRIBUTIONS.find((each) => each === text);
  if (name === undefined) throw new UnitError(`"${text.slice(0, 40)}": expected ${DISTRIBUTIONS.join(', ')}`);
  return name;
}

function formatSlot({ delayNs, jitterNs, distribution, frames, bytes }: Slot): string {
  const [minNs, maxNs] = [delayNs - jitterNs, delayNs + jitterNs];
  const isRange = distribution === 'uniform' && minNs >= 0;
  return [
    ...(isRange
      ? [formatTime(minNs)]
      : ['distribution', distribution, formatTime(delayNs), formatTime(jitterNs)]),
    ...(isRange && jitterNs > 0 ? [formatTime(maxNs)] : []),
    ...(frames > 0 ? [`packets ${frames}`] : []),
    ...(bytes > 0 ? [`bytes ${formatSize(bytes)}`] : []),
  ].join(' ');
}

export const slot: Impairment<SlotSettings> = {
  isOn: (settings) => settings.slot !== null,
  create: (context) => new SlotStage(context),
};

class SlotStage implements ImpairmentStage<SlotSettings>, TimedStage {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #timers: StageTimers;
  readonly #random: Random;
  readonly #waiting: FrameList;
  #slot: Slot | null = null;
  #quantile: Quantile = quantileOf('uniform');
  /** When the next slot opens, or the last one did. A timer with another deadline is one that was outdated. */
  #opensNs: number = Number.NEGATIVE_INFINITY;
  #framesLeft = 0;
  #bytesLeft = 0;

  constructor(context: StageContext) {
    this.#context = context;
    this.#timers = context.timers.for(this);
    this.#random = context.random('slot');
    this.#waiting = new FrameList(context.frames);
  }

  get busy(): boolean {
    return this.#waiting.frames > 0;
  }

  /** What waits, waits for the slot it was given; without slots it goes at once. */
  set({ slot: settings }: SlotSettings, nowNs: number): void {
    this.#slot = settings;
    if (settings !== null) this.#quantile = quantileOf(settings.distribution);
    else if (this.busy) this.#open(nowNs);
  }

  push(frame: number, nowNs: number): void {
    const isFirst = !this.busy;
    this.#waiting.append(frame);
    if (!isFirst) return;
    if (this.#opensNs < nowNs) this.#open(nowNs);
    else this.#timers.at(this.#opensNs, frame);
  }

  due(_frame: number, deadlineNs: number): void {
    if (deadlineNs !== this.#opensNs) return;
    while (this.#framesLeft > 0 && this.#bytesLeft > 0) {
      const frame = this.#waiting.shift();
      if (frame === NONE) return;
      this.#framesLeft--;
      this.#bytesLeft -= this.#context.frames.length[frame]!;
      this.next.push(frame, deadlineNs);
    }
    this.#open(deadlineNs);
  }

  /** Draws when the next slot opens, and has what waits wait for it. */
  #open(nowNs: number): void {
    const { delayNs, jitterNs, frames, bytes } = this.#slot ?? {
      delayNs: 0,
      jitterNs: 0,
      frames: 0,
      bytes: 0,
    };
    const jitter = jitterNs === 0 ? 0 : jitterNs * this.#quantile(this.#random());
    this.#opensNs = nowNs + Math.max(0, delayNs + jitter);
    this.#framesLeft = frames || Number.POSITIVE_INFINITY;
    this.#bytesLeft = bytes || Number.POSITIVE_INFINITY;
    if (this.busy) this.#timers.at(this.#opensNs, this.#waiting.head);
  }
}
