import { describe, expect, it } from 'vitest';
import { headerSum, ipv4Frame, ipv6Frame } from './frames.ts';
import { autocorrelation, mean, setUp } from './helper.ts';

const COUNT = 40_000;

/** 1 for each frame that was lost, 0 for each other. */
function losses(text: string, count = COUNT): number[] {
  const rig = setUp(text);
  rig.stream(count, 1);
  const fate = new Array<number>(count).fill(0);
  for (const number of rig.dropped) fate[number] = 1;
  expect(rig.drops('loss')).toBe(rig.dropped.length);
  return fate;
}

/** Lengths of runs of lost frames. */
function bursts(fate: readonly number[]): number[] {
  return fate
    .join('')
    .split('0')
    .map((run) => run.length)
    .filter((length) => length > 0);
}

describe('random loss', () => {
  it.each([0, 0.01, 0.5, 1])('of %d is met within four standard deviations', (probability) => {
    const lost = losses(`loss ${probability * 100}%`).reduce((sum, each) => sum + each, 0);
    const deviation = Math.sqrt(COUNT * probability * (1 - probability));
    expect(Math.abs(lost - COUNT * probability)).toBeLessThanOrEqual(4 * deviation);
  });

  it('has no memory: runs are geometric', () => {
    const fate = losses('loss 20%');
    expect(Math.abs(autocorrelation(fate))).toBeLessThan(0.02);
    expect(mean(bursts(fate))).toBeCloseTo(1 / 0.8, 1);
  });

  it('with correlation comes in runs, and loses less: as netem does', () => {
    const fate = losses('loss 30% 75%');
    expect(autocorrelation(fate)).toBeGreaterThan(0.3);
    expect(mean(fate)).toBeLessThan(0.3);
  });

  it('differs between seeds and repeats with the same', () => {
    const fate = (seed: number): number[] => {
      const rig = setUp('loss 50%', { seed });
      rig.stream(64, 1);
      return rig.dropped;
    };
    expect(fate(1)).not.toEqual(fate(2));
    expect(fate(1)).toEqual(fate(1));
  });
});

describe('Gilbert-Elliott', () => {
  it.each<[string, number, number, number, number]>([
    ['loss gemodel 1% 10%', 0.01, 0.1, 1, 0],
    ['loss gemodel 2% 25% 60%', 0.02, 0.25, 0.6, 0],
    ['loss gemodel 5% 20% 80% 2%', 0.05, 0.2, 0.8, 0.02],
  ])('%s loses what the stationary chain says, in bursts as long as it says', (text, p, r, inBad, inGood) => {
    const fate = losses(text, 100_000);
    const bad = p / (p + r);
    const expected = bad * inBad + (1 - bad) * inGood;
    expect(Math.abs(mean(fate) / expected - 1)).toBeLessThan(0.08);
    // Probability that two frames in a row are lost, from the states of both.
    const afterBad = (1 - r) * inBad + r * inGood;
    const afterGood = p * inBad + (1 - p) * inGood;
    const both = bad * inBad * afterBad + (1 - bad) * inGood * afterGood;
    expect(Math.abs(mean(bursts(fate)) / (expected / (expected - both)) - 1)).toBeLessThan(0.08);
  });

  it('with p alone is Bernoulli loss', () => {
    expect(mean(losses('loss gemodel 10%'))).toBeCloseTo(0.1, 2);
  });
});

describe('four states', () => {
  it.each<[string, number]>([
    // With p31 alone lost frames form bursts: p13 / (p13 + p31).
    ['loss state 2% 20%', 0.02 / 0.22],
    ['loss state 5%', 0.05 / (0.05 + 0.95)],
    // Isolated losses only: of 1 + p14 frames, p14.
    ['loss state 0% 100% 0% 100% 10%', 0.1 / 1.1],
  ])('%s loses %d of the frames', (text, expected) => {
    expect(Math.abs(mean(losses(text, 100_000)) / expected - 1)).toBeLessThan(0.08);
  });

  it('has bursts of mean length 1 / p31, and isolated losses of length 1', () => {
    expect(mean(bursts(losses('loss state 2% 20%', 100_000)))).toBeCloseTo(5, 0);
    expect(Math.max(...bursts(losses('loss state 0% 100% 0% 100% 10%')))).toBe(1);
  });

  it('receives frames within a burst with p32 and p23', () => {
    const p = { p13: 0.02, p31: 0.1, p32: 0.3, p23: 0.5 };
    const fate = losses('loss state 2% 10% 30% 50%', 100_000);
    // Balance: 1 to 3 and back, 3 to 2 and back.
    const [one, three] = [1, p.p13 / p.p31];
    const two = (three * p.p32) / p.p23;
    expect(Math.abs(mean(fate) / (three / (one + two + three)) - 1)).toBeLessThan(0.08);
  });
});

describe('patterns', () => {
  const lost = (text: string): number[] => {
    const rig = setUp(text);
    rig.stream(20, 1);
    return rig.dropped.map((number) => number + 1);
  };
  it.each<[string, number[]]>([
    ['loss pattern every 6', [6, 12, 18]],
    ['loss pattern 1,5,9-12', [1, 5, 9, 10, 11, 12]],
    ['loss pattern 20 3', [3, 20]],
  ])('%s loses just these, counted from 1', (text, expected) => {
    expect(lost(text)).toEqual(expected);
  });

  it('go on counting when something else is changed', () => {
    const rig = setUp('loss pattern every 3');
    rig.offer(0);
    rig.set('loss pattern every 3 delay 1ms', 1);
    for (let i = 0; i < 4; i++) rig.offer(2);
    expect(rig.dropped).toEqual([2]);
  });
});

describe('loss with ecn', () => {
  it.each<[string, Uint8Array, number | undefined]>([
    ['IPv4, ECT(0)', ipv4Frame({ ecn: 2 }), 3],
    ['IPv4, ECT(1)', ipv4Frame({ ecn: 1 }), 3],
    ['IPv4, CE', ipv4Frame({ ecn: 3 }), 3],
    ['IPv4, not ECT', ipv4Frame({ ecn: 0 }), undefined],
  ])('marks %s, with a right checksum, or loses it', (_, frame, expected) => {
    const rig = setUp('loss 100% ecn');
    rig.stream(1, 0, frame);
    expect(rig.contents[0] && rig.contents[0][15]! & 3).toBe(expected);
    if (rig.contents[0]) expect(headerSum(rig.contents[0])).toBe(0xffff);
    expect(rig.drops('loss')).toBe(expected === undefined ? 1 : 0);
  });

  it.each([
    [0, undefined],
    [1, 3],
    [2, 3],
  ])('IPv6 with %d becomes %s', (ecn, expected) => {
    const rig = setUp('loss 100% ecn');
    rig.stream(1, 0, ipv6Frame({ ecn }));
    expect(rig.contents[0] && (rig.contents[0][15]! >>> 4) & 3).toBe(expected);
  });

  it('keeps the checksum right for every header', () => {
    for (let source = 0; source < 256; source++) {
      for (const ecn of [1, 2]) {
        const rig = setUp('loss 100% ecn', { slots: 1 });
        rig.stream(1, 0, ipv4Frame({ ecn, source, length: 100 + source }));
        expect(headerSum(rig.contents[0]!)).toBe(0xffff);
      }
    }
  });
});
