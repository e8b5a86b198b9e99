/**
 * Corruption: `corrupt PERCENT [CORRELATION]` of tc-netem(8) inverts one bit of so many frames, at any place in the
 * frame, its link header included; `ber RATE` inverts each bit with that probability, whatever frame it is in.
 *
 * Nothing is dropped for it here: there is no frame check sequence, so the receiver sees what the error made of the
 * frame, and drops it if a checksum tells.
 */
import { Correlated } from './correlated.ts';
import { ln, ln1p } from './logarithm.ts';
import type { Random } from './random.ts';
import { type Impairment, type ImpairmentStage, NOWHERE, type Stage, type StageContext } from './stage.ts';
import { formatPercent, parsePercent, UnitError } from './units.ts';
import { positional, type Word } from './words.ts';

export type CorruptSettings = {
  /** Probability, 0 to 1, that a frame has one bit inverted. */
  readonly corrupt: number;
  readonly corruptCorrelation: number;
  /** Probability, 0 to 1, that a bit is inverted. */
  readonly bitErrorRate: number;
};

export const NO_CORRUPTION: CorruptSettings = { corrupt: 0, corruptCorrelation: 0, bitErrorRate: 0 };

export const CORRUPT_WORDS: readonly Word<CorruptSettings>[] = [
  {
    name: 'corrupt',
    syntax: 'PERCENT [CORRELATION]',
    help: 'Percentage of frames that have one bit inverted, as 0.1%.',
    read: (args) => ({
      corrupt: args.value(parsePercent, 'a percentage such as 0.1%'),
      corruptCorrelation: args.optional(parsePercent, 'correlation') ?? 0,
    }),
    write: ({ corrupt: probability, corruptCorrelation: correlation }) =>
      probability === 0 && correlation === 0
        ? undefined
        : positional(formatPercent(probability), [formatPercent(correlation), correlation === 0]),
  },
  {
    name: 'ber',
    syntax: 'RATE',
    help: 'Bit-error rate: the probability that a bit is inverted, as 1e-6.',
    read: (args) => ({ bitErrorRate: args.value(parseRatio, 'a probability such as 1e-6') }),
    write: ({ bitErrorRate }) => (bitErrorRate === 0 ? undefined : String(bitErrorRate)),
  },
];

function parseRatio(text: string): number {
  const value = Number(text);
  if (!/^(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i.test(text) || value > 1) {
    throw new UnitError(`"${text.slice(0, 40)}": expected a probability from 0 to 1, such as 1e-6`);
  }
  return value;
}

export const corrupt: Impairment<CorruptSettings> = {
  isOn: (settings) => settings.corrupt > 0 || settings.bitErrorRate > 0,
  create: (context) => new Corrupt(context),
};

class Corrupt implements ImpairmentStage<CorruptSettings> {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #uniform: Correlated;
  readonly #place: Random;
  readonly #gap: Random;
  #probability = 0;
  #bitErrorRate = 0;
  /** Bits that are left as they are before the next error. */
  #goodBits = 0;

  constructor(context: StageContext) {
    this.#context = context;
    this.#uniform = new Correlated(context.random('corrupt'));
    this.#place = context.random('corrupt-place');
    this.#gap = context.random('ber');
  }

  set(settings: CorruptSettings): void {
    this.#probability = settings.corrupt;
    this.#uniform.correlation = settings.corruptCorrelation;
    if (settings.bitErrorRate === this.#bitErrorRate) return;
    this.#bitErrorRate = settings.bitErrorRate;
    this.#goodBits = this.#drawGoodBits();
  }

  push(frame: number, nowNs: number): void {
    const bits = this.#context.frames.length[frame]! * 8;
    if (this.#probability > 0 && this.#uniform.draw() < this.#probability) {
      this.#invert(frame, Math.floor(this.#place() * bits));
    }
    if (this.#bitErrorRate > 0) this.#pass(frame, bits);
    this.next.push(frame, nowNs);
  }

  /** Errors come after gaps of geometric length: one draw an error, not one a bit. */
  #pass(frame: number, bits: number): void {
    let at = this.#goodBits;
    while (at < bits) {
      this.#invert(frame, at);
      at += 1 + this.#drawGoodBits();
    }
    this.#goodBits = at - bits;
  }

  #drawGoodBits(): number {
    if (this.#bitErrorRate === 0) return Number.POSITIVE_INFINITY;
    if (this.#bitErrorRate === 1) return 0;
    return Math.floor(ln(1 - this.#gap()) / ln1p(-this.#bitErrorRate));
  }

  #invert(frame: number, bit: number): void {
    const { frames } = this.#context;
    frames.changed[frame] = 1;
    frames.bytes[frames.offset(frame) + (bit >>> 3)]! ^= 1 << (bit & 7);
  }
}
