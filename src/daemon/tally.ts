/**
 * What the lanes of link directions have counted. A lane's tally is its worker's, in the arena; when a lane is no more, the
 * control thread adds it to what its direction has counted in the past.
 */
import { countAbove, HISTOGRAM_FIELDS } from '../engine/histogram.ts';
import {
  DIRECTION_COUNTERS,
  dropCounter,
  MAX_RULES,
  OFFERED_FRAMES,
  ruleCounters,
} from '../link/counters.ts';
import { LATE_NS, type LoadCounts } from '../link/overload.ts';
import type { LinkSettings } from '../link/settings.ts';

export type Tally = {
  /** See link/counters.ts. */
  readonly counters: Float64Array;
  /** A histogram of delay errors. */
  readonly errors: Float64Array;
};

export function nothingCounted(): Tally {
  return { counters: new Float64Array(DIRECTION_COUNTERS), errors: new Float64Array(HISTOGRAM_FIELDS) };
}

/** Adds what was counted to what was before. */
export function addTally(past: Tally, { counters, errors }: Tally): void {
  for (let i = 0; i < DIRECTION_COUNTERS; i++) past.counters[i]! += counters[i]!;
  for (let i = 0; i < HISTOGRAM_FIELDS; i++) past.errors[i]! += errors[i]!;
}

/** A rule that came in the place of another has counted nothing yet. */
export function forgetRules({ counters }: Tally, before: LinkSettings, after: LinkSettings): void {
  for (let i = 0; i < MAX_RULES; i++) {
    if (after.rules[i]?.match !== before.rules[i]?.match)
      counters.fill(0, ruleCounters(i), ruleCounters(i + 1));
  }
}

/** What tells whether a direction is overloaded. */
export function loadOf(tallies: readonly Tally[]): LoadCounts {
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, each) => total + of(each), 0);
  return {
    offered: sum(({ counters }) => counters[OFFERED_FRAMES]!),
    timed: sum(({ errors }) => countAbove(errors, 0, LATE_NS).all),
    late: sum(({ errors }) => countAbove(errors, 0, LATE_NS).above),
    pool: sum(({ counters }) => counters[dropCounter('pool')]!),
  };
}
