/** What is said of samples; pure. */

/** Probability that a value of the standard normal distribution is at most x (Abramowitz and Stegun, 26.2.17). */
export function normalCumulative(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return x > 0 ? 1 - tail : tail;
}

/** The Kolmogorov-Smirnov statistic: largest distance of the values' distribution from `cumulative`, 0 to 1. */
export function largestDistance(values: readonly number[], cumulative: (value: number) => number): number {
  const sorted = values.toSorted((x, y) => x - y);
  const count = sorted.length;
  return sorted.reduce((largest, value, i) => {
    const expected = cumulative(value);
    return Math.max(largest, expected - i / count, (i + 1) / count - expected);
  }, 0);
}

/** What largestDistance() stays below in 99.9 % of cases when `count` values are so distributed. */
export function expectedDistance(count: number): number {
  return 1.95 / Math.sqrt(count);
}

/** Between what of `count` independent trials succeed in 99.9 % of cases, each with this probability; exact. */
export function binomialInterval(count: number, probability: number): [number, number] {
  const tail = 0.0005;
  let logOfTerm = count * Math.log1p(-probability);
  let sum = 0;
  let low = -1;
  for (let k = 0; k <= count; k++) {
    sum += Math.exp(logOfTerm);
    if (low < 0 && sum > tail) low = k;
    if (sum >= 1 - tail) return [low, k];
    logOfTerm += Math.log((count - k) / (k + 1)) + Math.log(probability / (1 - probability));
  }
  return [Math.max(low, 0), count];
}
