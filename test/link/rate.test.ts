/** Serialization, token buckets, slots and limits. */
import { describe, expect, it } from 'vitest';
import { bytesFor } from '../../src/link/queue/limit.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';
import { setUp } from './helper.ts';

const times = (text: string, frames: number, bytes: number): number[] =>
  setUp(text)
    .stream(frames, 0, bytes)
    .map(({ atNs }) => atNs);

describe('rate', () => {
  it('holds exactly over time however late the timers run', () => {
    const rig = setUp('rate 50mbit limit 1mb');
    for (let frame = 0; frame < 500; frame++) rig.offer(0, 1250); // 200 µs each
    for (let nowNs = 0; nowNs < 0.2e9; nowNs += 777_777) rig.timers.run(nowNs);
    expect(rig.arrived.map((each) => each.atNs)).toEqual(
      Array.from({ length: 500 }, (_, i) => (i + 1) * 200_000),
    );
  });

  it('does not serialize a frame before it came, when a timer ran late', () => {
    const rig = setUp('rate 8mbit');
    rig.offer(0, 1000);
    rig.offer(1.5e6, 1000); // the first was due at 1 ms, and nobody looked
    rig.timers.run(1e9);
    expect(rig.arrived.map(({ atNs }) => atNs)).toEqual([1e6, 2.5e6]);
  });

  it.each(['rate 10mbit', 'rate 10mbit burst 64kb', 'rate 10mbit burst 64kb peakrate 50mbit'])(
    '%s lets within 0.5 %% of 10 mbit through in 10 s',
    (text) => {
      const rig = setUp(text);
      for (let nowNs = 0; nowNs < 10e9; nowNs += 500_000) {
        rig.timers.run(nowNs);
        rig.offer(nowNs, 1000);
      }
      rig.timers.run(10e9);
      const bits = rig.arrived.reduce((sum, { bytes }) => sum + 8 * bytes, 0);
      expect(Math.abs(bits / 100e6 - 1)).toBeLessThan(text.includes('burst') ? 0.0055 : 0.005);
    },
  );

  it.each<[string, number, number]>([
    ['rate 8mbit', 1000, 1e6],
    ['rate 8mbit 100', 1000, 1.1e6],
    ['rate 8mbit -14', 1014, 1e6],
    // The example of tc-netem(8): a packet of 50 bytes needs two ATM cells, 106 bytes.
    ['rate 8mbit 0 48 5', 50, 106_000],
    ['rate 8mbit 0 48 5', 48, 53_000],
    ['rate 8mbit 0 48 5', 49, 106_000],
    ['rate 8mbit -14 48 5', 62, 53_000],
  ])('%s needs for %d bytes %d ns', (text, bytes, expected) => {
    expect(times(text, 2, bytes)).toEqual([expected, 2 * expected]);
  });

  it('that is lifted lets the queue go at once, in order, and nothing overtake it', () => {
    const rig = setUp('rate 1kbit');
    for (let frame = 0; frame < 5; frame++) rig.offer(0, 1000);
    rig.direction.set(CLEAR_LINK, 1e6);
    rig.offer(1e6, 1000);
    rig.timers.run(1e6);
    expect(rig.arrived.map(({ number, atNs }) => [number, atNs])).toEqual(
      [0, 1, 2, 3, 4, 5].map((n) => [n, 1e6]),
    );
  });

  it('that changes goes on with what is left of the frame on the wire', () => {
    const rig = setUp('rate 8kbit');
    rig.offer(0, 1000);
    rig.offer(0, 1000);
    rig.set('rate 8mbit', 0.5e9);
    rig.timers.run(1e10);
    expect(rig.arrived.map(({ atNs }) => atNs)).toEqual([0.5005e9, 0.5015e9]);
  });
});

describe('a token bucket', () => {
  it('passes a burst at once and then holds the rate', () => {
    expect(times('rate 8mbit burst 3000', 5, 1000)).toEqual([0, 0, 0, 1e6, 2e6]);
  });

  it('passes a burst at the peak rate', () => {
    expect(times('rate 8mbit burst 3000 peakrate 80mbit', 6, 1000)).toEqual([
      0.1e6, 0.2e6, 0.3e6, 1e6, 2e6, 3e6,
    ]);
  });

  it('has frames larger than it wait for the missing tokens', () => {
    expect(times('rate 8mbit burst 500', 3, 1000)).toEqual([0.5e6, 1.5e6, 2.5e6]);
  });

  it('fills no further than its size', () => {
    const rig = setUp('rate 8mbit burst 2000');
    for (const nowNs of [0, 1e9]) {
      rig.timers.run(nowNs);
      for (let i = 0; i < 4; i++) rig.offer(nowNs, 1000);
    }
    rig.timers.run(1e10);
    expect(rig.arrived.map(({ atNs }) => atNs)).toEqual([0, 0, 1e6, 2e6, 1e9, 1e9, 1.001e9, 1.002e9]);
  });
});

describe('limit', () => {
  it.each([
    ['rate 1mbit', 262],
    ['rate 50mbit', 262],
    ['rate 400mbit', 2000],
    ['rate 400mbit limit auto', 2000],
  ])('%s lets %s frames of 1,000 bytes wait: 256 KiB, or 40 ms', (text, frames) => {
    const rig = setUp(text);
    for (let i = 0; i < 3000; i++) rig.offer(0, 1000);
    expect(rig.drops('queue')).toBe(3000 - frames);
  });

  it('is 32 MiB at most unless it is given', () => {
    expect(bytesFor(CLEAR_LINK, 100e9)).toBe(2 ** 25);
    expect(bytesFor({ ...CLEAR_LINK, limitBytes: 2 ** 26 }, 100e9)).toBe(2 ** 26);
  });

  it.each<[string, number[]]>([
    ['limit 2500', [0, 1]],
    ['limit 3packets', [0, 1, 2]],
    // A frame that would wait longer than 3 ms behind what is there does not.
    ['limit 3ms', [0, 1, 2, 3]],
    ['limit 4packets 2500', [0, 1]],
    ['limit none', [0, 1, 2, 3, 4, 5]],
    // The frame on the wire stays; of those that wait the first ones go.
    ['limit 3packets queue drophead', [0, 4, 5]],
  ])('%s lets frames %j through', (limit, expected) => {
    const rig = setUp(`rate 8mbit ${limit}`);
    expect(rig.stream(6, 0, 1000).map(({ number }) => number)).toEqual(expected);
    expect(rig.drops('queue')).toBe(6 - expected.length);
  });
});

describe('slot', () => {
  const at = (text: string, offers: readonly number[]): number[] => {
    const rig = setUp(text);
    for (const nowNs of offers) {
      rig.timers.run(nowNs);
      rig.offer(nowNs, 100);
    }
    rig.timers.run(1e12);
    return rig.arrived.map(({ atNs }) => atNs);
  };

  it.each<[string, number[], number[]]>([
    ['slot 10ms', [1e6, 2e6, 10e6, 12e6], [11e6, 11e6, 11e6, 22e6]],
    ['slot 10ms packets 2', [0, 0, 0, 0, 0], [10e6, 10e6, 20e6, 20e6, 30e6]],
    ['slot 10ms bytes 150', [0, 0, 0, 0, 0], [10e6, 10e6, 20e6, 20e6, 30e6]],
  ])('%s', (text, offers, expected) => {
    expect(at(text, offers)).toEqual(expected);
  });

  it('of a range opens within it', () => {
    for (let seed = 1; seed < 50; seed++) {
      const rig = setUp('slot 1ms 3ms', { seed });
      const [first] = rig.stream(1, 0);
      expect(first!.atNs).toBeGreaterThanOrEqual(1e6);
      expect(first!.atNs).toBeLessThanOrEqual(3e6);
    }
  });

  it('that is taken away lets go of what waits, in order', () => {
    const rig = setUp('slot 10ms');
    rig.offer(0);
    rig.offer(0);
    rig.set('clear', 5e6);
    rig.offer(5e6);
    rig.timers.run(5e6);
    expect(rig.arrived.map(({ number, atNs }) => [number, atNs])).toEqual([0, 1, 2].map((n) => [n, 5e6]));
  });
});
