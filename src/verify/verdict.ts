/** Whether a direction did what it was to do. Pure. */
import type { Seen } from './passage.ts';

/** How far what was achieved may be from what was requested. */
export const TOLERANCES = {
  delayMedianNs: 100_000,
  delayP99Ns: 500_000,
  /** Besides 5 % of it. */
  jitterNs: 100_000,
  jitterShare: 0.05,
  /** Of all probes. */
  loss: 0.005,
  rateShare: 0.02,
} as const;

export type Check = {
  readonly what: 'delay median' | 'delay p99' | 'jitter' | 'loss' | 'rate';
  readonly unit: 'ns' | 'probability' | 'bit/s';
  readonly requested: number;
  readonly achieved: number;
  readonly tolerance: number;
  readonly ok: boolean;
};

/** Compares, item by item. */
export function checks(requested: Seen, achieved: Seen): Check[] {
  const check = (
    what: Check['what'],
    unit: Check['unit'],
    key: Exclude<keyof Seen, 'rateBitsPerSecond'>,
    tolerance: number,
  ): Check => compare(what, unit, requested[key], achieved[key], tolerance);
  const { rateBitsPerSecond: wanted } = requested;
  return [
    check('delay median', 'ns', 'delayMedianNs', TOLERANCES.delayMedianNs),
    check('delay p99', 'ns', 'delayP99Ns', TOLERANCES.delayP99Ns),
    check('jitter', 'ns', 'jitterNs', TOLERANCES.jitterNs + TOLERANCES.jitterShare * requested.jitterNs),
    check('loss', 'probability', 'loss', TOLERANCES.loss),
    ...(wanted === undefined
      ? []
      : [compare('rate', 'bit/s', wanted, achieved.rateBitsPerSecond ?? 0, TOLERANCES.rateShare * wanted)]),
  ];
}

function compare(
  what: Check['what'],
  unit: Check['unit'],
  requested: number,
  achieved: number,
  tolerance: number,
): Check {
  return { what, unit, requested, achieved, tolerance, ok: Math.abs(achieved - requested) <= tolerance };
}
