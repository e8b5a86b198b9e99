/**
 * Loss of frames: `loss` of tc-netem(8), with its models and their arguments, and patterns that draw nothing.
 *
 *   loss [random] P [CORRELATION]          each frame by itself; correlation as in correlated.ts
 *   loss state P13 [P31 [P32 [P23 [P14]]]] four states: 1 received, 2 received in a burst, 3 lost in it, 4 lost alone
 *   loss gemodel P [R [1-H [1-K]]]         Gilbert-Elliott: P good to bad, R back, 1-H and 1-K the losses there
 *   loss pattern every N                   each Nth frame
 *   loss pattern 1,5,9-12                  these, counted from 1 since the pattern was set
 *
 * followed by `ecn`: mark frames that can carry a mark (RFC 3168) instead of losing them.
 */
import { Correlated } from './correlated.ts';
import { markCongestion } from './ecn.ts';
import { formatPattern, type LossModel, lossOf, readPattern } from './loss-models.ts';
import type { Random } from './random.ts';
import { type Impairment, type ImpairmentStage, NOWHERE, type Stage, type StageContext } from './stage.ts';
import { formatPercent, parsePercent } from './units.ts';
import { type Arguments, positional, type Word } from './words.ts';

export type LossSettings = {
  /** Probability, 0 to 1, that a frame is lost. Not used while there is a model. */
  readonly loss: number;
  readonly lossCorrelation: number;
  /** What decides instead of `loss`. */
  readonly lossModel: LossModel | null;
  /** Mark ECN-capable frames instead of losing them. */
  readonly lossEcn: boolean;
};

export const NO_LOSS: LossSettings = { loss: 0, lossCorrelation: 0, lossModel: null, lossEcn: false };

const PROBABILITY = 'a percentage such as 0.5%';

export const LOSS_WORDS: readonly Word<LossSettings>[] = [
  {
    name: 'loss',
    syntax:
      '[random] P [CORRELATION] | state P13 [P31 [P32 [P23 [P14]]]] | gemodel P [R [1-H [1-K]]] | pattern every N | pattern LIST [ecn]',
    help: 'Frames lost: a percentage as 0.5%, or one of the models random, state, gemodel and pattern.',
    read: (args) => {
      const kind = args.take('random', 'state', 'gemodel', 'pattern') ?? 'random';
      const decided =
        kind === 'random'
          ? {
              loss: args.value(parsePercent, PROBABILITY),
              lossCorrelation: args.optional(parsePercent, 'correlation') ?? 0,
              lossModel: null,
            }
          : { loss: 0, lossCorrelation: 0, lossModel: readModel(kind, args) };
      return { ...decided, lossEcn: args.take('ecn') !== undefined };
    },
    write: ({ loss, lossCorrelation, lossModel, lossEcn }) => {
      if (loss === 0 && lossCorrelation === 0 && lossModel === null && !lossEcn) return undefined;
      const decided =
        lossModel === null
          ? positional(formatPercent(loss), [formatPercent(lossCorrelation), lossCorrelation === 0])
          : writeModel(lossModel);
      return lossEcn ? `${decided} ecn` : decided;
    },
  },
];

/** The defaults are those of tc (iproute2, tc/q_netem.c). */
function readModel(kind: LossModel['kind'], args: Arguments): LossModel {
  const optional = (what: string, otherwise: number): number =>
    args.optional(parsePercent, `loss ${kind}: ${what}`) ?? otherwise;
  switch (kind) {
    case 'state': {
      const p13 = args.value(parsePercent, PROBABILITY, 'loss state');
      const p31 = optional('p31', 1 - p13);
      const p32 = optional('p32', 0);
      const p23 = optional('p23', 1);
      const p14 = optional('p14', 0);
      if (p13 + p14 > 1) args.refuse('loss state: p13 and p14 are more than 100% together');
      if (p31 + p32 > 1) args.refuse('loss state: p31 and p32 are more than 100% together');
      return { kind, p13, p31, p32, p23, p14 };
    }
    case 'gemodel': {
      const p = args.value(parsePercent, PROBABILITY, 'loss gemodel');
      return {
        kind,
        p,
        r: optional('r', 1 - p),
        lossInBad: optional('1-h', 1),
        lossInGood: optional('1-k', 0),
      };
    }
    case 'pattern':
      return readPattern(args);
  }
}

function writeModel(model: LossModel): string {
  const percents = (...values: number[]): string => values.map(formatPercent).join(' ');
  switch (model.kind) {
    case 'state':
      return `state ${percents(model.p13, model.p31, model.p32, model.p23, model.p14)}`;
    case 'gemodel':
      return `gemodel ${percents(model.p, model.r, model.lossInBad, model.lossInGood)}`;
    case 'pattern':
      return `pattern ${formatPattern(model)}`;
  }
}

export const loss: Impairment<LossSettings> = {
  isOn: ({ loss: probability, lossModel }) => probability > 0 || lossModel !== null,
  create: (context) => new Loss(context),
};

class Loss implements ImpairmentStage<LossSettings> {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #random: Random;
  readonly #uniform: Correlated;
  #settings: LossSettings = NO_LOSS;
  #isLost: () => boolean = () => false;

  constructor(context: StageContext) {
    this.#context = context;
    this.#random = context.random('loss');
    this.#uniform = new Correlated(this.#random);
  }

  /** A model that did not change keeps its state. */
  set(settings: LossSettings): void {
    const isSame = JSON.stringify(settings.lossModel) === JSON.stringify(this.#settings.lossModel);
    this.#settings = settings;
    this.#uniform.correlation = settings.lossCorrelation;
    if (settings.lossModel === null) this.#isLost = () => this.#uniform.draw() < this.#settings.loss;
    else if (!isSame) this.#isLost = lossOf(settings.lossModel, this.#random);
  }

  push(frame: number, nowNs: number): void {
    const { frames, linkType, drop } = this.#context;
    if (!this.#isLost()) this.next.push(frame, nowNs);
    else if (this.#settings.lossEcn && markCongestion(frames, frame, linkType)) this.next.push(frame, nowNs);
    else drop(frame, 'loss');
  }
}
