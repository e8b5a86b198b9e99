/** What `npm run bench -- accuracy` says of samples. */
import { describe, expect, test } from 'vitest';
import {
  binomialInterval,
  expectedDistance,
  largestDistance,
  normalCumulative,
} from '../../bench/accuracy/statistics.ts';

describe('the interval of a number of successes', () => {
  // Computed with exact fractions.
  test.each<[number, number, [number, number]]>([
    [10, 0.5, [0, 10]],
    [1000, 0.01, [2, 22]],
    [2000, 0.2, [342, 460]],
    [6000, 0.01, [36, 87]],
  ])('of %d trials with probability %d', (count, probability, interval) => {
    expect(binomialInterval(count, probability)).toEqual(interval);
  });
});

describe('the distance of a distribution', () => {
  const quantiles = Array.from({ length: 100 }, (_, i) => (i + 0.5) / 100);
  const uniform = (x: number): number => Math.min(1, Math.max(0, x));

  test.each<[string, readonly number[], number]>([
    ['its own quantiles', quantiles, 0.005],
    ['its own quantiles moved by a tenth', quantiles.map((x) => x + 0.1), 0.105],
    ['one value only', quantiles.map(() => 0), 1],
  ])('from %s', (_, values, distance) => {
    expect(largestDistance(values, uniform)).toBeCloseTo(distance, 10);
  });

  test('by chance is less when there are more values', () => {
    expect(expectedDistance(400)).toBeCloseTo(expectedDistance(100) / 2, 10);
  });
});

test.each([
  [-1.959964, 0.025],
  [0, 0.5],
  [1, 0.8413447],
  [3, 0.9986501],
])('the standard normal distribution at %d', (x, probability) => {
  expect(normalCumulative(x)).toBeCloseTo(probability, 6);
});
