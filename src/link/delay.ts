/**
 * Propagation delay with jitter: `delay TIME [JITTER [CORRELATION]] [distribution NAME]` of tc-netem(8). Each frame
 * gets delay + jitter × a deviation (distribution.ts), never less than nothing. As in netem, frames whose jitter
 * differs by more than their distance overtake each other.
 *
 * Unlike netem: nanoseconds in floating point, so nothing is rounded to the steps of a table.
 */
import { Correlated } from './correlated.ts';
import { DISTRIBUTIONS, type Distribution, parseTable, type Quantile, quantileOf } from './distribution.ts';
import { Overtaking, type ReorderSettings } from './reorder.ts';
import {
  type Impairment,
  type ImpairmentStage,
  NOWHERE,
  type Stage,
  type StageContext,
  type StageTimers,
  type TimedStage,
} from './stage.ts';
import { formatPercent, formatTime, parsePercent, parseTime, UnitError } from './units.ts';
import { type Arguments, positional, quote, type Word } from './words.ts';

export type DelaySettings = {
  /** Propagation delay. */
  readonly delayNs: number;
  /** Variation of the delay, in the sense of the distribution: uniform is ± jitter, of normal it is the deviation. */
  readonly jitterNs: number;
  /** How much each jitter depends on the last, 0 to 1. */
  readonly jitterCorrelation: number;
  readonly distribution: Distribution;
};

export const NO_DELAY: DelaySettings = {
  delayNs: 0,
  jitterNs: 0,
  jitterCorrelation: 0,
  distribution: 'uniform',
};

export const DELAY_WORDS: readonly Word<DelaySettings>[] = [
  {
    name: 'delay',
    syntax: 'TIME [JITTER [CORRELATION]]',
    help: 'Propagation delay, as 20ms; with a jitter, as 20ms 2ms 25%.',
    read: (args) => ({
      delayNs: args.value(parseTime, 'a time such as 20ms'),
      ...jitter(args.optional(parseTime, 'jitter'), args),
    }),
    write: ({ delayNs, ...settings }) =>
      delayNs === 0 ? undefined : positional(formatTime(delayNs), ...jitterText(settings)),
  },
  {
    name: 'jitter',
    syntax: 'TIME [CORRELATION]',
    help: 'Variation of the delay, as 2ms: each frame gets delay ± jitter.',
    read: (args) => jitter(args.value(parseTime, 'a time such as 2ms'), args),
    write: ({ delayNs, ...settings }) =>
      delayNs > 0 ? undefined : positional('', ...jitterText(settings)).trimStart() || undefined,
  },
  {
    name: 'distribution',
    syntax: 'uniform | normal | pareto | paretonormal | FILE.dist',
    help: 'Distribution of the jitter: uniform, normal, pareto, paretonormal, or a table in the format of iproute2.',
    read: (args) => ({
      distribution: args.value((text) => readDistribution(text, args), EXPECTED_DISTRIBUTION),
    }),
    write: ({ distribution }) => {
      if (distribution === 'uniform') return undefined;
      return typeof distribution === 'string' ? distribution : quote(distribution.name);
    },
  },
];

const EXPECTED_DISTRIBUTION = `${DISTRIBUTIONS.join(', ')} or the path of a .dist file`;

function jitter(jitterNs: number | undefined, args: Arguments): Partial<DelaySettings> {
  if (jitterNs === undefined) return {};
  const correlation = args.optional(parsePercent, 'correlation');
  return { jitterNs, jitterCorrelation: correlation ?? 0 };
}

function jitterText({
  jitterNs,
  jitterCorrelation,
}: Pick<DelaySettings, 'jitterNs' | 'jitterCorrelation'>): (readonly [string, boolean])[] {
  return [
    [formatTime(jitterNs), jitterNs === 0],
    [formatPercent(jitterCorrelation), jitterCorrelation === 0],
  ];
}

function readDistribution(text: string, { readText }: Arguments): Distribution {
  const name = DISTRIBUTIONS.find((each) => each === text);
  if (name !== undefined) return name;
  if (!/[./]/.test(text)) throw new UnitError(`"${text.slice(0, 40)}": expected ${EXPECTED_DISTRIBUTION}`);
  if (readText === undefined)
    throw new UnitError(`"${text.slice(0, 200)}": tables are read from lab files only`);
  return parseTable(readText(text), text);
}

export const delay: Impairment<DelaySettings & ReorderSettings> = {
  isOn: ({ delayNs, jitterNs }) => delayNs > 0 || jitterNs > 0,
  create: (context) => new Delay(context),
};

class Delay implements ImpairmentStage<DelaySettings & ReorderSettings>, TimedStage {
  next: Stage = NOWHERE;
  readonly #timers: StageTimers;
  readonly #uniform: Correlated;
  readonly #overtaking: Overtaking;
  #delayNs = 0;
  #jitterNs = 0;
  #distribution: Distribution = 'uniform';
  #quantile: Quantile = quantileOf('uniform');

  constructor(context: StageContext) {
    this.#timers = context.timers.for(this);
    this.#uniform = new Correlated(context.random('delay'));
    this.#overtaking = new Overtaking(context.random('reorder'));
  }

  set(settings: DelaySettings & ReorderSettings): void {
    const { delayNs, jitterNs, jitterCorrelation, distribution } = settings;
    this.#overtaking.set(settings);
    this.#delayNs = delayNs;
    this.#jitterNs = jitterNs;
    this.#uniform.correlation = jitterCorrelation;
    if (distribution !== this.#distribution) this.#quantile = quantileOf(distribution);
    this.#distribution = distribution;
  }

  push(frame: number, nowNs: number): void {
    if (this.#overtaking.choose()) {
      this.next.push(frame, nowNs);
      return;
    }
    if (this.#jitterNs === 0) {
      this.#timers.inLine(nowNs + this.#delayNs, frame);
      return;
    }
    const jitterNs = this.#jitterNs * this.#quantile(this.#uniform.draw());
    this.#timers.at(nowNs + Math.max(0, this.#delayNs + jitterNs), frame);
  }

  due(frame: number, deadlineNs: number): void {
    this.next.push(frame, deadlineNs);
  }
}
