import { describe, expect, it } from 'vitest';
import { SystemClock, VirtualClock } from '../../src/engine/clock.ts';

const stampOf = (clock: VirtualClock | SystemClock, nowNs: number) => {
  const stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };
  clock.stampAt(nowNs, stamp);
  return [stamp.seconds, stamp.nanoseconds];
};

describe('virtual clock', () => {
  it('moves only when told, and never back', () => {
    const clock = new VirtualClock();
    clock.moveTo(5);
    clock.moveTo(3);
    expect(clock.nowNs()).toBe(5);
  });

  it.each([
    [0, [0, 0]],
    [999_999_999, [0, 999_999_999]],
    [1e9, [1, 0]],
    [3_600e9 + 1, [3600, 1]],
  ])('%d ns is stamped %j', (nowNs, expected) => {
    expect(stampOf(new VirtualClock(), nowNs as number)).toEqual(expected);
  });
});

describe('system clock', () => {
  it('keeps nanoseconds of the time of day apart from its own', () => {
    const timeOfDay = (stamp: { seconds: number; nanoseconds: number }) => {
      stamp.seconds = 1_700_000_000;
      stamp.nanoseconds = 999_999_000;
    };
    const clock = new SystemClock(timeOfDay);
    const [seconds, nanoseconds] = stampOf(clock, clock.nowNs() + 500_000);
    // Half a millisecond later the second is over; less than a millisecond passes in between.
    expect(seconds).toBe(1_700_000_001);
    expect(nanoseconds).toBeLessThan(1_000_000);
  });
});
