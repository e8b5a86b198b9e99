/**
 * How long something took, counted in buckets that never change, as Prometheus wants them. A histogram is a run of
 * float64s in the arena: one count for each upper bound, one for what was longer, and the sum in nanoseconds. One
 * thread writes it, anybody reads it, without a lock; nothing is allocated when a value is counted.
 */

export type Histogram = {
  /** Ascending; a value that equals a bound counts below it. */
  readonly upperBoundsNs: readonly number[];
  /** Values up to each bound and above the one before; one more than there are bounds, for what was longer. */
  readonly counts: readonly number[];
  readonly sumNs: number;
};

/** 1 µs to 100 ms, in steps that tell a timer from a scheduler from a stalled machine. */
export const UPPER_BOUNDS_NS: readonly number[] = [
  1e3, 2.5e3, 5e3, 10e3, 25e3, 50e3, 100e3, 250e3, 500e3, 1e6, 2.5e6, 5e6, 10e6, 25e6, 100e6,
];
const SUM = UPPER_BOUNDS_NS.length + 1;
export const HISTOGRAM_FIELDS: number = SUM + 1;

/** Counts one value. `at` is where the histogram begins in `f64`. */
export function observe(f64: Float64Array, at: number, valueNs: number): void {
  let bucket = 0;
  while (bucket < UPPER_BOUNDS_NS.length && valueNs > UPPER_BOUNDS_NS[bucket]!) bucket++;
  f64[at + bucket]!++;
  f64[at + SUM]! += valueNs;
}

/** What has been counted. */
export function readHistogram(f64: Float64Array, at: number): Histogram {
  return {
    upperBoundsNs: UPPER_BOUNDS_NS,
    counts: Array.from(f64.subarray(at, at + SUM)),
    sumNs: f64[at + SUM]!,
  };
}

/** How many values were counted, and how many of them above a bound, which is one of UPPER_BOUNDS_NS. */
export function countAbove(f64: Float64Array, at: number, boundNs: number): { all: number; above: number } {
  let [all, above] = [0, 0];
  for (let bucket = 0; bucket < SUM; bucket++) {
    const count = f64[at + bucket]!;
    all += count;
    if (bucket > 0 && UPPER_BOUNDS_NS[bucket - 1]! >= boundNs) above += count;
  }
  return { all, above };
}

/** What several have counted together. */
export function addHistograms(histograms: readonly Histogram[]): Histogram {
  return histograms.reduce(({ counts, sumNs, upperBoundsNs }, other) => ({
    upperBoundsNs,
    counts: counts.map((each, bucket) => each + other.counts[bucket]!),
    sumNs: sumNs + other.sumNs,
  }));
}

/** Forgets what has been counted. */
export function clearHistogram(f64: Float64Array, at: number): void {
  f64.fill(0, at, at + HISTOGRAM_FIELDS);
}
