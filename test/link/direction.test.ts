import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DELIVERED_FRAMES,
  OFFERED_FRAMES,
  QUEUE_BYTES,
  QUEUE_FRAMES,
  RULE_DROPS,
  RULE_FRAMES,
  ruleCounters,
} from '../../src/link/counters.ts';
import { settingsArbitrary } from './arbitrary.ts';
import { ipv4Frame } from './frames.ts';
import { setUp } from './helper.ts';

describe('a frame that is dropped', () => {
  it('is shown with its reason, before its slot is given back', () => {
    const rig = setUp('loss 100%');
    rig.offer(0, 60);
    rig.direction.dropUnread(9, 1518, 'mtu');
    expect(rig.shown).toEqual([
      { length: 60, reason: 'loss', wasLent: true },
      { length: 1518, reason: 'mtu', wasLent: false },
    ]);
    expect(rig.frames.lent.size).toBe(0);
  });
});

describe('conservation', () => {
  it('offered + duplicated = delivered + dropped + in flight, whatever the settings and their changes', () => {
    const traffic = fc.array(
      fc.record({
        gapNs: fc.nat({ max: 1e6 }),
        frame: fc.oneof(
          fc.integer({ min: 14, max: 1514 }),
          fc
            .record({
              ecn: fc.nat({ max: 3 }),
              port: fc.integer({ min: 50, max: 55 }),
              length: fc.integer({ min: 42, max: 1514 }),
            })
            .map(ipv4Frame),
        ),
      }),
      { maxLength: 150 },
    );
    fc.assert(
      fc.property(
        fc.array(settingsArbitrary, { minLength: 2, maxLength: 4 }),
        traffic,
        (settings, arrivals) => {
          const rig = setUp(settings[0]!, { slots: 200 });
          const check = (): void => {
            const inFlight = rig.frames.lent.size;
            expect(rig.counters[DELIVERED_FRAMES]! + rig.allDrops() + inFlight).toBe(
              rig.counters[OFFERED_FRAMES]! + rig.duplicated(),
            );
            expect(rig.counters[QUEUE_FRAMES]).toBeLessThanOrEqual(inFlight);
          };
          let nowNs = 0;
          arrivals.forEach(({ gapNs, frame }, i) => {
            nowNs += gapNs;
            rig.timers.run(nowNs);
            const change = settings[(i * settings.length) / arrivals.length];
            if (change !== undefined) rig.set(change, nowNs);
            if (rig.frames.free.length > 0) rig.offer(nowNs, frame);
            check();
          });
          rig.timers.run(Number.MAX_VALUE);
          check();
          // Each slot comes back exactly once.
          expect(rig.frames.lent.size).toBe(0);
          expect(rig.arrived.length).toBe(rig.counters[DELIVERED_FRAMES]);
          expect([rig.counters[QUEUE_BYTES], rig.counters[QUEUE_FRAMES]]).toEqual([0, 0]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('a chain', () => {
  it('lets frames through at once when nothing is on', () => {
    const rig = setUp();
    expect(rig.stream(3, 10).map(({ number, atNs }) => [number, atNs])).toEqual([
      [0, 0],
      [1, 10],
      [2, 20],
    ]);
  });

  it('draws for each stage by itself: another stage does not change what is lost', () => {
    const lost = (text: string): number[] => {
      const rig = setUp(text);
      rig.stream(500, 1000);
      return rig.dropped;
    };
    expect(lost('loss 20%').length).toBeGreaterThan(50);
    expect(lost('loss 20% duplicate 10% corrupt 5% delay 1ms 1ms')).toEqual(lost('loss 20%'));
  });

  it('carries nothing while the carrier is down, but what was under way arrives', () => {
    const rig = setUp('delay 10ms');
    rig.offer(0);
    rig.set('delay 10ms carrier down', 1e6);
    rig.offer(2e6);
    rig.set('delay 10ms carrier up', 3e6);
    rig.offer(4e6);
    rig.timers.run(1e9);
    expect(rig.arrived.map(({ number, atNs }) => [number, atNs])).toEqual([
      [0, 10e6],
      [2, 14e6],
    ]);
    expect(rig.drops('carrier')).toBe(1);
  });

  it('flaps: up and down in turns, from when it was set, whatever else changes', () => {
    const rig = setUp();
    rig.set('flap 10ms 5ms', 1e6);
    for (let ms = 1; ms <= 32; ms++) {
      if (ms === 20) rig.set('flap 10ms 5ms loss pattern 100', 20e6);
      rig.offer(ms * 1e6);
    }
    expect(rig.dropped.map((number) => number + 1)).toEqual([11, 12, 13, 14, 15, 26, 27, 28, 29, 30]);
    expect(rig.drops('carrier')).toBe(10);
  });

  it.each<[number, number, number, boolean]>([
    [1, 1414, 1, true],
    [1, 1415, 1, false],
    [101, 1400, 1, true],
    [101, 1401, 1, false],
  ])('on link type %i, mtu 1400 lets a frame of %i bytes pass: %#', (linkType, length, _, passes) => {
    const rig = setUp('mtu 1400', { linkType });
    rig.stream(1, 0, length);
    expect([rig.arrived.length === 1, rig.drops('mtu') === 0]).toEqual([passes, passes]);
  });

  it('does not count VLAN tags against the MTU', () => {
    const rig = setUp('mtu 1400');
    const frame = new Uint8Array(1418);
    frame.set([0x81, 0x00, 0, 1, 0x08, 0x00], 12);
    rig.stream(1, 0, frame);
    expect(rig.arrived.length).toBe(1);
  });
});

describe('rules', () => {
  const dns = ipv4Frame({ port: 53, ecn: 2, length: 100 });
  const web = ipv4Frame({ port: 80, ecn: 2, length: 100 });

  it('take the frames of the first filter that matches through impairments of their own, then the link', () => {
    const rig = setUp('delay 10ms match "udp port 53" delay 5ms match udp loss 100%');
    rig.offer(0, dns);
    rig.offer(0, web);
    rig.offer(0, 100);
    rig.timers.run(1e9);
    expect(rig.arrived.map(({ number, atNs }) => [number, atNs])).toEqual([
      [2, 10e6],
      [0, 15e6],
    ]);
    const counters = [0, 1].map((i) =>
      [RULE_FRAMES, RULE_DROPS].map((c) => rig.counters[ruleCounters(i) + c]),
    );
    expect(counters).toEqual([
      [1, 0],
      [1, 1],
    ]);
    expect(rig.drops('loss')).toBe(1);
  });

  it.each<[string, number | undefined, number]>([
    ['link', 10e6, 2],
    ['mark', 10e6, 3],
    ['pass', 0, 2],
    ['drop', undefined, 0],
  ])('end in verdict %s', (verdict, atNs, ecn) => {
    const rig = setUp(`delay 10ms match "udp port 53" verdict ${verdict}`);
    rig.stream(1, 0, dns);
    expect(rig.arrived[0]?.atNs).toBe(atNs);
    expect(rig.drops('filter')).toBe(atNs === undefined ? 1 : 0);
    if (atNs !== undefined) expect(rig.contents[0]![15]! & 3).toBe(ecn);
  });

  it('keep their frames, and counters by filter, when they change', () => {
    const rig = setUp('match "udp port 53" delay 10ms');
    rig.offer(0, dns);
    rig.set('match "udp port 53" delay 20ms', 1e6);
    rig.offer(1e6, dns);
    rig.set('match "udp port 80" delay 20ms', 2e6);
    rig.offer(2e6, dns);
    rig.timers.run(1e9);
    expect(rig.arrived.map(({ atNs }) => atNs)).toEqual([2e6, 10e6, 21e6]);
    expect(rig.counters[ruleCounters(0) + RULE_FRAMES]).toBe(0);
  });

  it('whose filter does not fit the link type change nothing', () => {
    const rig = setUp('delay 10ms', { linkType: 101 });
    expect(() => rig.set('delay 20ms match "ether host 02:00:00:00:00:01" loss 1%', 0)).toThrow(/ether/);
    expect(rig.stream(1, 0, 100).map(({ atNs }) => atNs)).toEqual([10e6]);
  });
});
