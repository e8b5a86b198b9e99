import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Scheduler } from '../../src/engine/scheduler.ts';
import {
  DELIVERED_FRAMES,
  DIRECTION_COUNTERS,
  dropCounter,
  OFFERED_FRAMES,
  QUEUE_BYTES,
  QUEUE_FRAMES,
} from '../../src/link/counters.ts';
import { LinkDirection } from '../../src/link/direction.ts';
import { createRandom } from '../../src/link/random.ts';
import { CLEAR_LINK, DROP_REASONS, type LinkSettings } from '../../src/link/settings.ts';

const SLOTS = 512;

/** A direction on a virtual clock, with every slot's fate recorded. */
function setUp(settings: Partial<LinkSettings>, seed = 1) {
  const counters = new Float64Array(DIRECTION_COUNTERS);
  const frames = {
    length: new Int32Array(SLOTS),
    arrivedNs: new Float64Array(SLOTS),
    next: new Int32Array(SLOTS),
  };
  const timers = new Scheduler(SLOTS);
  const delivered: { frame: number; atNs: number }[] = [];
  const released: number[] = [];
  const dropped: { frame: number; length: number; reason: string; released: boolean }[] = [];
  const direction = new LinkDirection(
    {
      frames,
      timers,
      counters,
      random: (stage) => createRandom(seed, stage),
      deliver: (frame, atNs) => {
        delivered.push({ frame, atNs });
        return undefined;
      },
      dropped: (frame, length, reason) =>
        void dropped.push({ frame, length, reason, released: released.includes(frame) }),
      release: (frame) => void released.push(frame),
    },
    { ...CLEAR_LINK, ...settings },
  );
  const offer = (frame: number, length: number, nowNs: number): void => {
    frames.length[frame] = length;
    direction.offer(frame, nowNs);
  };
  return { counters, timers, delivered, dropped, released, direction, offer };
}

const settingsArbitrary = fc.record({
  delayNs: fc.nat({ max: 50e6 }),
  jitterNs: fc.nat({ max: 5e6 }),
  loss: fc.double({ min: 0, max: 1, noNaN: true }),
  rateBitsPerSecond: fc.oneof(fc.constant(0), fc.integer({ min: 1_000, max: 1e9 })),
  limitBytes: fc.integer({ min: 0, max: 100_000 }),
});

describe('a frame that is dropped', () => {
  it('is shown with its reason, before its slot is given back', () => {
    const { dropped, released, direction, offer } = setUp({ loss: 1 });
    offer(7, 60, 0);
    direction.dropUnread(9, 1518, 'mtu');
    expect(dropped).toEqual([
      { frame: 7, length: 60, reason: 'loss', released: false },
      { frame: 9, length: 1518, reason: 'mtu', released: false },
    ]);
    expect(released).toEqual([7]);
  });
});

describe('conservation', () => {
  it('offered = delivered + dropped + in flight, whatever the settings and their changes', () => {
    const traffic = fc.array(
      fc.record({ gapNs: fc.nat({ max: 1e6 }), length: fc.integer({ min: 14, max: 1514 }) }),
      {
        maxLength: 200,
      },
    );
    fc.assert(
      fc.property(settingsArbitrary, settingsArbitrary, traffic, (before, after, arrivals) => {
        const { counters, timers, delivered, released, direction, offer } = setUp(before);
        let nowNs = 0;
        arrivals.forEach(({ gapNs, length }, frame) => {
          nowNs += gapNs;
          timers.run(nowNs);
          if (frame === Math.floor(arrivals.length / 2)) direction.set({ ...CLEAR_LINK, ...after }, nowNs);
          offer(frame, length, nowNs);
        });
        const dropped = (): number =>
          DROP_REASONS.reduce((sum, each) => sum + counters[dropCounter(each)]!, 0);
        expect(counters[OFFERED_FRAMES]).toBe(arrivals.length);
        expect(counters[DELIVERED_FRAMES]! + dropped()).toBe(released.length);
        timers.run(Number.MAX_VALUE);
        expect(counters[DELIVERED_FRAMES]! + dropped()).toBe(arrivals.length);
        // Each frame ends exactly once.
        expect(released.toSorted((a, b) => a - b)).toEqual(arrivals.map((_, frame) => frame));
        expect(delivered.length).toBe(counters[DELIVERED_FRAMES]);
        expect([counters[QUEUE_BYTES], counters[QUEUE_FRAMES]]).toEqual([0, 0]);
      }),
    );
  });
});

describe('delay', () => {
  it('with jitter is uniform between delay - jitter and delay + jitter', () => {
    const { timers, delivered, offer } = setUp({ delayNs: 10e6, jitterNs: 2e6 });
    const buckets = new Array<number>(10).fill(0);
    const rounds = 40;
    for (let round = 0; round < rounds; round++) {
      for (let frame = 0; frame < 250; frame++) offer(frame, 100, 0);
      timers.run(1e12);
      for (const { atNs } of delivered.splice(0)) buckets[Math.floor((atNs - 8e6) / 0.4e6)]!++;
    }
    const expected = (rounds * 250) / 10;
    const chiSquare = buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 99.9 % quantile of chi-square with 9 degrees of freedom.
    expect(chiSquare).toBeLessThan(27.9);
  });

  it('keeps the order of frames without jitter', () => {
    const { timers, delivered, offer } = setUp({ delayNs: 10e6 });
    for (let frame = 0; frame < 100; frame++) offer(frame, 100, 0);
    timers.run(10e6);
    expect(delivered.map((each) => each.frame)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});

describe('loss', () => {
  it.each([0, 0.01, 0.5, 1])('of %d is met within five standard deviations', (loss) => {
    const { counters, offer } = setUp({ loss });
    const count = 20_000;
    for (let i = 0; i < count; i++) offer(i % SLOTS, 100, 0);
    const deviation = Math.sqrt(count * loss * (1 - loss));
    expect(Math.abs(counters[dropCounter('loss')]! - count * loss)).toBeLessThanOrEqual(5 * deviation);
  });

  it('draws differ between seeds', () => {
    const fate = (seed: number): string => {
      const { released, delivered, offer } = setUp({ loss: 0.5 }, seed);
      for (let i = 0; i < 64; i++) offer(i, 100, 0);
      expect(released.length).toBe(64);
      return delivered.map((each) => each.frame).join();
    };
    expect(fate(1)).not.toBe(fate(2));
    expect(fate(1)).toBe(fate(1));
  });
});

describe('rate', () => {
  it('holds exactly over time however late the timers run', () => {
    const { timers, delivered, offer } = setUp({ rateBitsPerSecond: 50e6, limitBytes: 1e6 });
    for (let frame = 0; frame < 500; frame++) offer(frame, 1250, 0); // 200 µs each
    for (let nowNs = 0; nowNs < 0.2e9; nowNs += 777_777) timers.run(nowNs);
    expect(delivered.map((each) => each.atNs)).toEqual(
      Array.from({ length: 500 }, (_, i) => (i + 1) * 200_000),
    );
  });

  it('that is lifted lets the queue go at once, in order', () => {
    const { timers, delivered, direction, offer } = setUp({ rateBitsPerSecond: 1000 });
    for (let frame = 0; frame < 5; frame++) offer(frame, 1000, 0);
    direction.set(CLEAR_LINK, 1e6);
    timers.run(1e6);
    expect(delivered).toEqual([0, 1, 2, 3, 4].map((frame) => ({ frame, atNs: 1e6 })));
  });
});
