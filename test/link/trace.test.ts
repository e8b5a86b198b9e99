/** Packet-delivery opportunities of mahimahi. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImpairmentError, parseImpairment } from '../../src/link/impairment.ts';
import { parseTrace } from '../../src/link/trace.ts';
import { setUp } from './helper.ts';

const PACKET = 1514;
const settings = (text: string, more = '') => parseImpairment(`trace t ${more}`, { readText: () => text });

/** When frames arrive, in ms, that are offered at these ms. */
function arrivals(trace: string, offers: readonly (readonly [atMs: number, bytes: number])[]): number[] {
  const rig = setUp(settings(trace, 'limit none'));
  for (const [atMs, bytes] of offers) {
    rig.timers.run(atMs * 1e6);
    rig.offer(atMs * 1e6, bytes);
  }
  rig.timers.run(1e15);
  return rig.arrived.map(({ atNs }) => atNs / 1e6);
}

const all = (count: number, bytes: number): [number, number][] =>
  Array.from({ length: count }, () => [0, bytes]);

describe('a trace', () => {
  it.each<[string, string, [number, number][], number[]]>([
    [
      'lets one full packet go at each opportunity, and begins again',
      '2\n5\n5\n10\n',
      all(6, PACKET),
      [2, 5, 5, 10, 12, 15],
    ],
    ['lets small packets share one', '2\n5\n', all(4, 514), [2, 2, 2, 5]],
    ['has a packet wait for what it still needs', '2\n5\n9\n', all(3, 1014), [2, 5, 5]],
    [
      'loses what nobody uses',
      '2\n5\n9\n',
      [
        [6, PACKET],
        [6, PACKET],
      ],
      [9, 11],
    ],
    [
      'goes on after long pauses',
      '2\n5\n',
      [
        [1001, PACKET],
        [1003, PACKET],
      ],
      [1002, 1005],
    ],
    [
      'at the moment of an opportunity is in time for it',
      '2\n5\n',
      [
        [5, PACKET],
        [10, PACKET],
      ],
      [5, 10],
    ],
    ['with long gaps', '300\n100000\n', all(3, PACKET), [300, 100_000, 100_300]],
  ])('%s', (_, trace, offers, expected) => {
    expect(arrivals(trace, offers)).toEqual(expected);
  });

  it('carries its rate: 12 mbit for an opportunity each millisecond', () => {
    const rig = setUp(settings('1\n', 'limit 20packets'));
    for (let nowNs = 0; nowNs <= 10e9; nowNs += 0.5e6) {
      rig.timers.run(nowNs);
      rig.offer(nowNs, PACKET);
    }
    expect(Math.abs(rig.arrived.length / 10_000 - 1)).toBeLessThan(0.005);
  });

  it('never lets more go than it has, whatever comes', () => {
    const trace = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 20 }).map((gaps) => {
      let at = 1;
      return gaps.map((gap) => (at += gap));
    });
    const traffic = fc.array(fc.tuple(fc.nat({ max: 2000 }), fc.integer({ min: 60, max: 1514 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(trace, traffic, (times, offers) => {
        const turn = times.at(-1)!;
        const found = new Map<number, number>();
        const rig = setUp(settings(times.join('\n'), 'limit none'));
        for (const [atMs, bytes] of offers.toSorted(([a], [b]) => a - b)) {
          rig.timers.run(atMs * 1e6);
          rig.offer(atMs * 1e6, bytes);
        }
        rig.timers.run(1e15);
        expect(rig.arrived.length).toBe(offers.length);
        for (const { atNs, bytes } of rig.arrived) {
          const phase = (atNs / 1e6) % turn;
          expect(times.some((time) => time % turn === phase)).toBe(true);
          found.set(atNs, (found.get(atNs) ?? 0) + bytes - 14);
        }
        for (const [atNs, bytes] of found) {
          const count = times.filter((time) => time % turn === (atNs / 1e6) % turn).length;
          // The last packet may have begun in an opportunity before.
          expect(bytes).toBeLessThan(count * 1500 + 1500);
        }
      }),
    );
  });

  it.each<[string, RegExp]>([
    ['', /needs an opportunity after 0 ms/],
    ['1\n2x\n', /line 2: "2x": expected a whole number of milliseconds/],
    ['5\n4\n', /line 2: "4": earlier than the line before/],
    ['-1\n', /expected a whole number/],
    ['1\n'.repeat(700_000), /too long/],
  ])('that cannot be used is refused: %#', (text, message) => {
    expect(() => parseTrace(text, 't')).toThrow(message);
  });

  it('excludes a rate', () => {
    expect(() => settings('1\n', 'rate 1mbit')).toThrow(ImpairmentError);
    expect(() => settings('1\n', 'rate 1mbit')).toThrow('rate and trace exclude each other');
  });
});
