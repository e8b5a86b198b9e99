import { describe, expect, it } from 'vitest';
import { normalCumulative } from '../../bench/accuracy/statistics.ts';
import { smallTable } from './arbitrary.ts';
import { autocorrelation, KOLMOGOROV_999, kolmogorovSmirnov, mean, setUp } from './helper.ts';

const COUNT = 5_000;
const GAP_NS = 1e9;

/** Delay of each frame of a long stream, in units of the jitter and without the mean. */
function deviations(text: string, seed = 1): number[] {
  const rig = setUp(text, { seed });
  return rig.stream(COUNT, GAP_NS).map(({ number, atNs }) => (atNs - number * GAP_NS - 10e6) / 1e6);
}

describe('jitter', () => {
  it.each<[string, (x: number) => number]>([
    ['uniform', (x) => Math.min(1, Math.max(0, (x + 1) / 2))],
    ['normal', normalCumulative],
    // The inverse of iproute2's pareto.c.
    ['pareto', (x) => 1 - (1.5 + 0.75 * x) ** -3],
  ])('of distribution %s is so distributed', (name, cumulative) => {
    // A table entry of 16 bits ends at four deviations; what is cut there is a step that this test does not mean.
    const values = deviations(`delay 10ms 1ms distribution ${name}`).filter((value) => value < 3.99);
    const upper = cumulative(3.99);
    expect(kolmogorovSmirnov(values, (x) => cumulative(x) / upper)).toBeLessThan(KOLMOGOROV_999);
  });

  it.each<[string, number]>([
    ['normal', 1],
    ['pareto', 0.9],
    ['paretonormal', 0.8],
  ])('of distribution %s has about the mean 0 and the deviation %d', (name, deviation) => {
    const values = deviations(`delay 10ms 1ms distribution ${name}`);
    expect(Math.abs(mean(values))).toBeLessThan(0.06);
    const found = Math.sqrt(mean(values.map((value) => value * value)));
    expect(Math.abs(found - deviation)).toBeLessThan(0.12);
  });

  it('of a table takes its entries alike often', () => {
    const rig = setUp({ delayNs: 10e6, jitterNs: 1e6, distribution: smallTable });
    const counts = new Map<number, number>();
    for (const { number, atNs } of rig.stream(3000, GAP_NS)) {
      const delayNs = atNs - number * GAP_NS;
      counts.set(delayNs, (counts.get(delayNs) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([9e6, 10e6, 11e6]);
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    // 99.9 % quantile of chi-square with 2 degrees of freedom.
    expect(chiSquare).toBeLessThan(13.8);
  });

  it.each([0, 0.25, 0.5, 0.9])('with correlation %d resembles the last so much', (correlation) => {
    const values = deviations(`delay 10ms 1ms ${correlation * 100}%`);
    expect(Math.abs(autocorrelation(values) - correlation)).toBeLessThan(0.05);
  });

  it('never delivers before the frame came, and lets frames overtake', () => {
    const rig = setUp('delay 1ms 5ms');
    const arrived = rig.stream(500, 100_000);
    expect(arrived.every(({ number, atNs }) => atNs >= number * 100_000)).toBe(true);
    expect(arrived.some(({ number }, i) => i > 0 && number < arrived[i - 1]!.number)).toBe(true);
  });

  it('is 0 unless told: frames keep their order', () => {
    expect(
      setUp('delay 10ms')
        .stream(100, 1000)
        .map(({ number }) => number),
    ).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});

describe('reorder', () => {
  it('lets every fifth frame past the delay with gap 5 and 100 %', () => {
    const arrived = setUp('delay 10ms reorder 100% gap 5').stream(20, 1e6);
    const early = arrived.filter(({ number, atNs }) => atNs === number * 1e6).map(({ number }) => number);
    expect(early).toEqual([4, 9, 14, 19]);
    expect(arrived.length).toBe(20);
  });

  it.each([0.25, 0.5])('chooses %d of the frames', (probability) => {
    const arrived = setUp(`delay 10ms reorder ${probability * 100}%`).stream(COUNT, GAP_NS);
    const early = arrived.filter(({ number, atNs }) => atNs === number * GAP_NS).length;
    const deviation = Math.sqrt(COUNT * probability * (1 - probability));
    expect(Math.abs(early - COUNT * probability)).toBeLessThan(4 * deviation);
  });
});
