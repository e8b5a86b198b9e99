import { expect, it } from 'vitest';
import { clearHistogram, observe, readHistogram, UPPER_BOUNDS_NS } from '../../src/engine/histogram.ts';

it.each([
  ['nothing', 0, 0],
  ['a bound itself', 1e3, 0],
  ['a little more than a bound', 1001, 1],
  ['the last bound', 100e6, UPPER_BOUNDS_NS.length - 1],
  ['more than all bounds', 1e12, UPPER_BOUNDS_NS.length],
])('counts %s in its bucket, and nowhere else', (_what, valueNs, bucket) => {
  const f64 = new Float64Array(64);
  observe(f64, 3, valueNs);
  const { counts, sumNs } = readHistogram(f64, 3);
  expect(counts.flatMap((count, i) => (count > 0 ? [i, count] : []))).toEqual([bucket, 1]);
  expect(counts).toHaveLength(UPPER_BOUNDS_NS.length + 1);
  expect(sumNs).toBe(valueNs);
  clearHistogram(f64, 3);
  expect(f64.every((each) => each === 0)).toBe(true);
});
