/** Queue disciplines against what their RFCs and papers say of them. */
import { describe, expect, it } from 'vitest';
import { ipv4Frame } from './frames.ts';
import { mean, type Rig, setUp } from './helper.ts';

const MS = 1e6;
/** 1,000-byte frames at 8 Mbit/s: one a millisecond. */
const RATE = 'rate 8mbit';

type Flow = { readonly port: number; readonly gapNs: number; readonly bytes?: number; readonly ecn?: number };

/** Offers the frames of flows at fixed rates for a time; returns what arrived of each, with its one-way delay. */
function run(
  rig: Rig,
  flows: readonly Flow[],
  untilNs: number,
): { delayNs: number; atNs: number; bytes: number; ce: boolean }[][] {
  const sent: { flow: number; atNs: number }[] = [];
  const next = flows.map(() => 0);
  const arrivals: ReturnType<typeof run> = flows.map(() => []);
  const frames = flows.map(({ port, bytes = 1000, ecn = 0 }) => ipv4Frame({ port, length: bytes, ecn }));
  let taken = 0;
  const take = (): void => {
    for (; taken < rig.arrived.length; taken++) {
      const { number, atNs, bytes } = rig.arrived[taken]!;
      const { flow, atNs: sentNs } = sent[number]!;
      arrivals[flow]!.push({
        atNs,
        delayNs: atNs - sentNs,
        bytes,
        ce: (rig.contents[taken]![15]! & 3) === 3,
      });
    }
    rig.contents.length = 0;
    rig.arrived.length = 0;
    taken = 0;
  };
  for (;;) {
    const flow = next.indexOf(Math.min(...next));
    const nowNs = next[flow]!;
    if (nowNs >= untilNs) break;
    rig.timers.run(nowNs);
    take();
    sent.push({ flow, atNs: nowNs });
    rig.offer(nowNs, frames[flow]);
    next[flow] = nowNs + flows[flow]!.gapNs;
  }
  rig.timers.run(untilNs);
  take();
  return arrivals;
}

/** Sends as TCP does, in essence: one more frame each round trip, half of them after a loss or a mark. */
function adaptive(rig: Rig, rttNs: number, untilNs: number, ecn = 0): { delayNs: number; atNs: number }[] {
  const delays: { delayNs: number; atNs: number }[] = [];
  const sentNs: number[] = [];
  const frame = ipv4Frame({ port: 5001, length: 1000, ecn });
  let [window, inFlight, cutNs, seen, lost] = [10, 0, 0, 0, 0];
  const events: { atNs: number; isMark: boolean }[] = [];
  for (let nowNs = 0; nowNs < untilNs; nowNs += 100_000) {
    rig.timers.run(nowNs);
    for (; seen < rig.arrived.length; seen++) {
      const { number, atNs } = rig.arrived[seen]!;
      delays.push({ delayNs: atNs - sentNs[number]!, atNs });
      events.push({ atNs: atNs + rttNs, isMark: (rig.contents[seen]![15]! & 3) === 3 });
    }
    for (; lost < rig.dropped.length; lost++) events.push({ atNs: nowNs + rttNs, isMark: true });
    while (events.length > 0 && events[0]!.atNs <= nowNs) {
      const { isMark } = events.shift()!;
      inFlight--;
      if (!isMark) window += 1 / window;
      else if (nowNs - cutNs > rttNs) [window, cutNs] = [Math.max(2, window / 2), nowNs];
    }
    for (; inFlight < Math.floor(window); inFlight++) {
      sentNs.push(nowNs);
      rig.offer(nowNs, frame);
    }
  }
  return delays;
}

const late = (arrivals: readonly { delayNs: number; atNs: number }[], fromNs: number): number[] =>
  arrivals.filter(({ atNs }) => atNs > fromNs).map(({ delayNs }) => delayNs);

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;

describe('CoDel (RFC 8289)', () => {
  it('keeps the standing queue of a long flow about the 5 ms target, where drop-tail fills the buffer', () => {
    const untilNs = 20_000 * MS;
    const rtt = 40 * MS;
    const tail = setUp(`${RATE} limit 200kb`);
    expect(percentile(late(adaptive(tail, rtt, untilNs), 5000 * MS), 0.5)).toBeGreaterThan(80 * MS);
    const codel = setUp(`${RATE} limit 200kb queue codel`);
    const delays = late(adaptive(codel, rtt, untilNs), 5000 * MS);
    expect(percentile(delays, 0.5)).toBeLessThan(12 * MS);
    expect(codel.drops('aqm')).toBeGreaterThan(3);
    expect(codel.drops('queue')).toBe(0);
    // Halving without a buffer of one round trip leaves at least three quarters of the link in use.
    expect(delays.length).toBeGreaterThan(0.8 * 15_000);
  });

  it('takes a burst that is gone within an interval', () => {
    const rig = setUp(`${RATE} queue codel`);
    for (let i = 0; i < 90; i++) rig.offer(0, 1000);
    rig.timers.run(1e12);
    expect(rig.arrived.length).toBe(90);
  });

  it('drops ever more often while the delay stays above target: interval / sqrt(count)', () => {
    const rig = setUp(`${RATE} limit none queue codel`, { slots: 8000 });
    run(rig, [{ port: 1, gapNs: 0.5 * MS }], 1500 * MS);
    const dropped = rig.dropped.length;
    // First after 100 ms above target (which begins about 10 ms in); then so many that sum(100/sqrt(i)) is the rest.
    let [expected, atMs] = [1, 110];
    while (atMs + 100 / Math.sqrt(expected) < 1500) atMs += 100 / Math.sqrt(expected++);
    expect(Math.abs(dropped - expected)).toBeLessThanOrEqual(5);
  });

  it('with ecn marks instead of dropping, and drops what cannot be marked', () => {
    const marked = setUp(`${RATE} queue codel ecn`);
    const [flow] = run(marked, [{ port: 1, gapNs: 0.95 * MS, ecn: 2 }], 3000 * MS);
    expect(marked.drops('aqm')).toBe(0);
    expect(flow!.filter(({ ce }) => ce).length).toBeGreaterThan(10);
    const plain = setUp(`${RATE} queue codel ecn`);
    run(plain, [{ port: 1, gapNs: 0.95 * MS, ecn: 0 }], 3000 * MS);
    expect(plain.drops('aqm')).toBeGreaterThan(10);
  });
});

describe('FQ-CoDel (RFC 8290)', () => {
  const greedy = { port: 1, gapNs: 0.2 * MS };
  const sparse = { port: 53, gapNs: 20 * MS, bytes: 100 };

  it('isolates flows: a sparse one does not wait behind one that fills the link', () => {
    const [, alone] = run(setUp(`${RATE} limit 100kb`), [greedy, sparse], 3000 * MS);
    expect(mean(late(alone!, 1000 * MS))).toBeGreaterThan(50 * MS);
    const [, isolated] = run(setUp(`${RATE} limit 100kb queue fq_codel`), [greedy, sparse], 3000 * MS);
    expect(Math.max(...late(isolated!, 0))).toBeLessThan(3 * MS);
    expect(isolated!.length).toBeGreaterThanOrEqual(148);
  });

  it('shares by bytes, whatever the size of frames', () => {
    const flows = [greedy, { port: 2, gapNs: 0.1 * MS, bytes: 300 }];
    const arrivals = run(setUp(`${RATE} limit 100kb queue fq_codel`), flows, 4000 * MS);
    const bytes = arrivals.map((each) => each.reduce((sum, frame) => sum + frame.bytes, 0));
    expect(Math.abs(bytes[0]! / bytes[1]! - 1)).toBeLessThan(0.05);
  });

  it('drops from the flow that holds most when it is full', () => {
    const rig = setUp(`${RATE} limit 20packets queue fq_codel`);
    const [, arrived] = run(rig, [greedy, sparse], 2000 * MS);
    expect(arrived!.length).toBeGreaterThanOrEqual(99);
    expect(rig.drops('queue')).toBeGreaterThan(1000);
  });
});

describe('PIE (RFC 8033)', () => {
  it('brings the delay of a flow that does not give way to the 15 ms target', () => {
    const rig = setUp(`${RATE} limit none queue pie`, { slots: 8000 });
    const [flow] = run(rig, [{ port: 1, gapNs: 0.8 * MS }], 20_000 * MS);
    const delay = mean(late(flow!, 10_000 * MS));
    expect(delay).toBeGreaterThan(8 * MS);
    expect(delay).toBeLessThan(25 * MS);
    // A fifth of what comes is too much, and so is dropped.
    expect(Math.abs(rig.drops('aqm') / 25_000 - 0.2)).toBeLessThan(0.03);
  });

  it('takes a burst of 150 ms at the beginning', () => {
    const rig = setUp(`${RATE} queue pie`);
    run(rig, [{ port: 1, gapNs: 0.5 * MS }], 140 * MS);
    expect(rig.drops('aqm')).toBe(0);
  });

  it('holds a long flow near its target', () => {
    const delays = late(adaptive(setUp(`${RATE} limit 200kb queue pie`), 40 * MS, 20_000 * MS), 5000 * MS);
    expect(percentile(delays, 0.5)).toBeLessThan(25 * MS);
    expect(delays.length).toBeGreaterThan(0.9 * 15_000);
  });
});

describe('RED', () => {
  const red = 'queue red min 10000 max 30000 probability 10% weight 2%';

  it('keeps the average backlog between its thresholds', () => {
    const rig = setUp(`${RATE} limit none ${red}`, { slots: 8000 });
    const [flow] = run(rig, [{ port: 1, gapNs: 0.97 * MS }], 20_000 * MS);
    const delay = mean(late(flow!, 5000 * MS));
    expect(delay).toBeGreaterThan(10 * MS);
    expect(delay).toBeLessThan(30 * MS);
    expect(rig.drops('aqm')).toBeGreaterThan(0);
  });

  it('drops nothing below the minimum, and everything above the maximum', () => {
    const calm = setUp(`${RATE} ${red}`);
    run(calm, [{ port: 1, gapNs: 1.05 * MS }], 3000 * MS);
    expect(calm.allDrops()).toBe(0);
    const flood = setUp(`${RATE} limit none queue red min 1000 max 2000 probability 1% weight 100%`);
    for (let i = 0; i < 50; i++) flood.offer(0, 1000);
    expect(flood.drops('aqm')).toBe(48);
  });

  it('with ecn marks instead', () => {
    const rig = setUp(`${RATE} limit none ${red} ecn`, { slots: 8000 });
    const [flow] = run(rig, [{ port: 1, gapNs: 0.97 * MS, ecn: 1 }], 5000 * MS);
    expect(rig.allDrops()).toBe(0);
    expect(flow!.filter(({ ce }) => ce).length).toBeGreaterThan(10);
  });
});

describe('classes', () => {
  const flood = [1, 2, 3].map((port) => ({ port, gapNs: 0.4 * MS }));

  it('prio: a class sends only while those before it have nothing', () => {
    const rig = setUp(`${RATE} limit 20kb queue prio class "udp port 2" class "udp port 1"`);
    const arrivals = run(
      rig,
      [
        { port: 1, gapNs: 0.4 * MS },
        { port: 2, gapNs: 2 * MS },
        { port: 3, gapNs: 0.4 * MS },
      ],
      2000 * MS,
    );
    expect(arrivals[1]!.length).toBeGreaterThanOrEqual(999);
    expect(Math.max(...late(arrivals[1]!, 0))).toBeLessThanOrEqual(2 * MS);
    expect(arrivals[2]!.length).toBeLessThan(5);
  });

  it('drr: bytes are shared as the weights say', () => {
    const rig = setUp(`${RATE} limit 20kb queue drr class "udp port 1" weight 3 class "udp port 2" weight 2`);
    const bytes = run(rig, flood, 6000 * MS).map((each) => each.length);
    const total = bytes.reduce((sum, each) => sum + each, 0);
    expect(bytes.map((each) => Math.round((each / total) * 60))).toEqual([30, 20, 10]);
  });

  it('drr: what one class does not use is for the others', () => {
    const rig = setUp(`${RATE} limit 20kb queue drr class "udp port 1" weight 3 class "udp port 2" weight 2`);
    const [one, two] = run(rig, [flood[0]!, flood[2]!], 4000 * MS);
    expect(one!.length + two!.length).toBeGreaterThan(3990);
  });
});

describe('a change of discipline', () => {
  it('keeps the frames that wait', () => {
    const rig = setUp(`${RATE} limit none`);
    for (let i = 0; i < 10; i++) rig.offer(0, ipv4Frame({ port: i, length: 1000 }));
    for (const queue of [
      'codel',
      'fq_codel',
      'pie',
      'red',
      'prio class udp',
      'drr class tcp',
      'drophead',
      'droptail',
    ]) {
      rig.set(`${RATE} limit none queue ${queue}`, 1);
    }
    rig.timers.run(1e12);
    expect(rig.arrived.length).toBe(10);
    expect(rig.arrived.at(-1)!.atNs).toBe(10 * MS);
  });
});
