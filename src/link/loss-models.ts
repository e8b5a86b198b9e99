/**
 * Models of loss: each is a function that says of one frame after the other whether it is lost.
 *
 * The chains are those of net/sched/sch_netem.c (loss_4state, loss_gilb_ell) step by step, after S. Salsano and
 * others, "Definition of a general and intuitive loss model for packet networks". They start in the good state.
 */
import type { Random } from './random.ts';
import { parseCount, UnitError } from './units.ts';
import type { Arguments } from './words.ts';

/** The first and the last of some frames, counted from 1. */
export type FrameRange = readonly [first: number, last: number];

type StateModel = {
  readonly kind: 'state';
  readonly p13: number;
  readonly p31: number;
  readonly p32: number;
  readonly p23: number;
  readonly p14: number;
};
type GilbertElliott = {
  readonly kind: 'gemodel';
  /** Probabilities of going from good to bad, and back. */
  readonly p: number;
  readonly r: number;
  /** 1-h and 1-k of tc-netem(8). */
  readonly lossInBad: number;
  readonly lossInGood: number;
};
/** `every` frames, or those in `frames`; 0 and empty when it is the other. */
type Pattern = { readonly kind: 'pattern'; readonly every: number; readonly frames: readonly FrameRange[] };

export type LossModel = StateModel | GilbertElliott | Pattern;

const MAX_RANGES = 256;

/** Makes the decision of a model. */
export function lossOf(model: LossModel, random: Random): () => boolean {
  switch (model.kind) {
    case 'state':
      return fourStates(model, random);
    case 'gemodel':
      return gilbertElliott(model, random);
    case 'pattern':
      return model.every > 0 ? everyNth(model.every) : listed(model.frames);
  }
}

function fourStates({ p13, p31, p32, p23, p14 }: StateModel, random: Random): () => boolean {
  let state = 1;
  return () => {
    const drawn = random();
    switch (state) {
      case 1:
        if (drawn < p14) state = 4;
        else if (drawn < p14 + p13) state = 3;
        break;
      case 2:
        if (drawn < p23) state = 3;
        break;
      case 3:
        if (drawn < p32) state = 2;
        else if (drawn < p32 + p31) state = 1;
        break;
      default:
        state = 1;
    }
    return state >= 3;
  };
}

/** The loss is that of the state before the step, as in netem. */
function gilbertElliott({ p, r, lossInBad, lossInGood }: GilbertElliott, random: Random): () => boolean {
  let isBad = false;
  return () => {
    const probability = isBad ? lossInBad : lossInGood;
    if (random() < (isBad ? r : p)) isBad = !isBad;
    return random() < probability;
  };
}

function everyNth(every: number): () => boolean {
  let count = 0;
  return () => {
    count = (count + 1) % every;
    return count === 0;
  };
}

function listed(ranges: readonly FrameRange[]): () => boolean {
  let count = 0;
  let at = 0;
  return () => {
    count++;
    while (at < ranges.length && ranges[at]![1] < count) at++;
    return at < ranges.length && ranges[at]![0] <= count;
  };
}

/** `every 3`, or `1,5,9-12`, whose order does not matter. */
export function readPattern(args: Arguments): Pattern {
  const kind = 'pattern';
  if (args.take('every') !== undefined) {
    return {
      kind,
      every: args.value(parseCount, 'a whole number such as 3', 'loss pattern every'),
      frames: [],
    };
  }
  const frames = [args.value(parseRange, 'every N, or frames as 1,5,9-12', 'loss pattern')];
  for (;;) {
    const range = args.optional(parseRange, 'loss pattern');
    if (range === undefined) break;
    frames.push(range);
    if (frames.length > MAX_RANGES) args.refuse(`loss pattern: more than ${MAX_RANGES} entries`);
  }
  frames.sort(([a], [b]) => a - b);
  const overlap = frames.find(([first], i) => i > 0 && first <= frames[i - 1]![1]);
  if (overlap !== undefined) args.refuse(`loss pattern: frame ${overlap[0]} is given twice`);
  return { kind, every: 0, frames };
}

export function formatPattern({ every, frames }: Pattern): string {
  if (every > 0) return `every ${every}`;
  return frames.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

function parseRange(text: string): FrameRange {
  const [first, last = first, ...more] = text.split('-');
  const range = [parseCount(first!), parseCount(last!)] as const;
  if (more.length > 0 || range[1] < range[0]) {
    throw new UnitError(`"${text.slice(0, 40)}": expected frames as 5 or 9-12`);
  }
  return range;
}
