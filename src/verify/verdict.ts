/**
 * Whether a direction did what it was to do. Pure.
 *
 * What it was to do is not a number but a distribution: the same link is run many times on a virtual clock, each time
 * with another seed (requested.ts). A value that was achieved passes when it is within a prediction interval of these
 * runs, their mean and so many standard deviations, widened by what a real machine is given.
 */
import { mean, type Seen, standardDeviation } from './passage.ts';

/** Student's t with as many degrees of freedom as there are runs, less one, is farther off twice in 10,000 times. */
export const DEVIATIONS = 4.5;
export const TEST: string = `Monte Carlo: within ${DEVIATIONS} standard deviations of the mean of the same link run with other seeds on a virtual clock, and a tolerance`;

/** Besides the prediction interval. */
export const TOLERANCES = {
  delayMedianNs: 200_000,
  delayP99Ns: 1_000_000,
  /** Besides 5 % of it. */
  jitterNs: 200_000,
  jitterShare: 0.05,
  /** Of all probes: rare events may not have happened in any run. */
  events: 2,
  rateShare: 0.02,
} as const;

export type Verdict = 'ok' | 'failed' | 'not measurable' | 'varies';

export type Check = {
  readonly what: 'delay median' | 'delay p99' | 'jitter' | 'loss' | 'duplication' | 'reordering' | 'rate';
  readonly unit: 'ns' | 'probability' | 'bit/s';
  /** The mean of the runs. */
  readonly requested: number;
  readonly achieved: number;
  /** How far they may be apart. */
  readonly tolerance: number;
  readonly verdict: Verdict;
};

/** Compares, item by item. @param probes that entered far apart */
export function checks(runs: readonly Seen[], achieved: Seen, probes: number): Check[] {
  const check = (
    what: Check['what'],
    unit: Check['unit'],
    key: keyof Seen,
    tolerance: (requested: number) => number,
  ): Check[] => {
    const values = runs.flatMap((each) => each[key] ?? []);
    const value = achieved[key];
    // Nothing to compare: that nothing came out is what the loss says.
    if (values.length < 2 || (value === undefined && key !== 'rateBitsPerSecond')) return [];
    return [compare(what, unit, values, value ?? 0, tolerance)];
  };
  const events = (): number => TOLERANCES.events / probes;
  return [
    ...check('delay median', 'ns', 'delayMedianNs', () => TOLERANCES.delayMedianNs),
    ...check('delay p99', 'ns', 'delayP99Ns', () => TOLERANCES.delayP99Ns),
    ...check('jitter', 'ns', 'jitterNs', (of) => TOLERANCES.jitterNs + TOLERANCES.jitterShare * of),
    ...check('loss', 'probability', 'loss', events),
    ...check('duplication', 'probability', 'duplication', events),
    ...check('reordering', 'probability', 'reordering', events),
    ...check('rate', 'bit/s', 'rateBitsPerSecond', (of) => TOLERANCES.rateShare * of),
  ];
}

function compare(
  what: Check['what'],
  unit: Check['unit'],
  values: readonly number[],
  achieved: number,
  toleranceOf: (requested: number) => number,
): Check {
  const requested = mean(values);
  const spread = standardDeviation(values) * Math.sqrt(1 + 1 / values.length);
  const tolerance = DEVIATIONS * spread + toleranceOf(requested);
  const verdict = Math.abs(achieved - requested) <= tolerance ? 'ok' : 'failed';
  return { what, unit, requested, achieved, tolerance, verdict };
}

/** The verdict on all checks: the worst of them. */
export function worst(made: readonly Check[]): Verdict {
  const order: readonly Verdict[] = ['failed', 'not measurable', 'varies'];
  return order.find((each) => made.some(({ verdict }) => verdict === each)) ?? 'ok';
}
