/** Schedules and Markov modulation on a virtual clock. */
import { describe, expect, it } from 'vitest';
import { formatImpairment, parseImpairment } from '../../src/link/impairment.ts';
import { CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';
import { type Rig, setUp } from './helper.ts';

const MS = 1e6;

function settings(text: string, csv = ''): LinkSettings {
  return { ...CLEAR_LINK, ...parseImpairment(text, { readText: () => csv }) };
}

/** Offers a frame at each of these times, in milliseconds; the delay of each in milliseconds, undefined if lost. */
function delays(rig: Rig, timesMs: readonly number[]): (number | undefined)[] {
  for (const ms of timesMs) {
    rig.timers.run(ms * MS);
    rig.offer(ms * MS);
  }
  rig.timers.run(Number.MAX_VALUE);
  return timesMs.map((ms, i) => {
    const arrival = rig.arrived.find(({ number }) => number === i);
    return arrival && (arrival.atNs - ms * MS) / MS;
  });
}

const CSV = 'time, delay, loss\n1s, 10ms, 0%\n2s, 30ms, 0%\n3s, 30ms, 100%\n4s, 0ms, 0%\n';

describe('a schedule', () => {
  it.each<[words: string, timesMs: number[], expected: (number | undefined)[]]>([
    [
      '',
      [0, 999, 1000, 1999, 2000, 2999, 3000, 3999, 4000, 9000],
      [5, 5, 10, 10, 30, 30, undefined, undefined, 0, 0],
    ],
    [' loop', [0, 1000, 2000, 3500, 4000, 5000, 6000, 401_000], [5, 10, 30, undefined, 5, 10, 30, 10]],
    [
      ' linear 100ms',
      [0, 1000, 1099, 1100, 1500, 1999, 2000, 2500, 5000],
      [5, 10, 10, 12, 20, 28, 30, 30, 0],
    ],
  ])('is followed from line to line: %j', (words, timesMs, expected) => {
    const rig = setUp(settings(`delay 5ms schedule s.csv${words}`, CSV), { seed: 4 });
    const measured = delays(rig, timesMs);
    // Half of the frames on the way up to a loss of 100 % are lost at random.
    const sure = timesMs.flatMap((ms, i) => (words.includes('linear') && ms === 2500 ? [] : [i]));
    expect(sure.map((i) => measured[i])).toEqual(sure.map((i) => expected[i]));
  });

  it('changes the rate of a frame on the wire at the exact time', () => {
    const rig = setUp(settings('schedule s.csv', 'time,rate\n0s,8mbit\n1ms,800kbit\n'));
    // 2,000 bytes: 1 ms at 8 mbit/s is half of it, the other half takes 10 ms.
    rig.offer(0, 2000 - 600);
    rig.offer(0, 600);
    rig.timers.run(Number.MAX_VALUE);
    expect(rig.arrived.map(({ atNs }) => atNs)).toEqual([5 * MS, 11 * MS]);
  });

  it('takes the place of a model of loss', () => {
    const rig = setUp(settings('loss gemodel 100% 0% schedule s.csv', 'time,loss\n0s,0%\n'));
    expect(delays(rig, [1, 2, 3])).toEqual([0, 0, 0]);
  });

  it('asks for no timer while the direction holds no frames', () => {
    const rig = setUp(settings('schedule s.csv loop', CSV));
    rig.offer(0);
    expect(rig.timers.nextDeadlineNs).toBe(Number.POSITIVE_INFINITY);
  });

  it('that did not change goes on where it is when something else changes', () => {
    const rig = setUp(settings('schedule s.csv', CSV));
    rig.set(settings('schedule s.csv mtu 9000', CSV), 1500 * MS);
    expect(delays(rig, [2100])).toEqual([30]);
    rig.set(settings('delay 1ms', CSV), 2200 * MS);
    rig.offer(2300 * MS);
    rig.timers.run(Number.MAX_VALUE);
    expect(rig.arrived.at(-1)!.atNs).toBe(2301 * MS);
  });

  it.each([
    ['', '"s.csv": expected a header'],
    ['time', 'line 1: expected a header'],
    ['delay,loss\n', 'line 1: expected a header'],
    ['time,speed\n', 'line 1: expected a header'],
    ['time,delay\n', 'no lines after the header'],
    ['time,delay\n0s', 'line 2: 1 cells, expected 2'],
    ['time,delay\n0s,1ms\n\n0s,2ms', 'line 4: not later than the line before'],
    ['time,delay\n5,1ms', 'line 2: time needs a unit, as 5s'],
    ['time,delay\n0s,fast', 'line 2: delay "fast"'],
    ['time,loss\n0s,200%', 'line 2: loss "200%"'],
    ['time,rate\n0s,-1mbit', 'line 2: rate "-1mbit"'],
    [
      `time,loss\n${Array.from({ length: 10_001 }, (_, i) => `${i}ms,1%`).join('\n')}`,
      'more than 10000 lines',
    ],
  ])('that cannot be used is refused: %j', (csv, message) => {
    expect(() => settings('schedule s.csv', csv)).toThrow(message);
  });

  it.each([
    ['schedule s.csv linear', 'time,rate\n0s,0\n1s,1mbit', 'line 2: rate 0 is unlimited'],
    ['schedule s.csv loop', 'time,rate\n0s,1mbit', 'a loop needs a line after 0s'],
    ['schedule s.csv linear 10us', CSV, 'at least 1ms'],
  ])('whose words do not fit it is refused: %s', (text, csv, message) => {
    expect(() => settings(text, csv)).toThrow(message);
  });
});

const GILBERT = '10ms state good "delay 1ms" to bad 5% state bad "delay 3ms" to good 20%';

describe('a Markov chain', () => {
  it('is in its states as often, and as long, as its probabilities say', () => {
    const rig = setUp(settings(`markov ${GILBERT}`), { seed: 7 });
    const STEPS = 200_000;
    const isBad: boolean[] = [];
    for (let step = 0; step < STEPS; step++) {
      const nowNs = step * 10 * MS + 5 * MS;
      rig.timers.run(nowNs);
      rig.offer(nowNs);
      rig.timers.run(nowNs + 3 * MS);
      isBad.push(rig.arrived.pop()!.atNs - nowNs === 3 * MS);
    }
    // Stationary: 5 / (5 + 20). The variance of the mean is larger by (1 + r) / (1 - r), r = 1 - 0.25.
    const share = isBad.filter((bad) => bad).length / STEPS;
    const deviation = Math.sqrt(((0.2 * 0.8) / STEPS) * (1.75 / 0.25));
    expect(Math.abs(share - 0.2)).toBeLessThan(4 * deviation);
    const runs = isBad.filter((bad, i) => bad && !isBad[i - 1]).length;
    expect((share * STEPS) / runs).toBeGreaterThan(4.8);
    expect((share * STEPS) / runs).toBeLessThan(5.2);
  });

  it('is in the same states whether frames came meanwhile or not', () => {
    const times = Array.from({ length: 50 }, (_, i) => 995 + i * 1000);
    const dense = Array.from({ length: 5000 }, (_, i) => 5 + i * 10);
    const sparse = delays(setUp(settings(`markov ${GILBERT}`)), times);
    const all = delays(setUp(settings(`markov ${GILBERT}`)), dense);
    expect(sparse).toEqual(all.filter((_, i) => i % 100 === 99));
    expect(new Set(sparse)).toEqual(new Set([1, 3]));
  });

  it('goes round when each step leaves for certain, and stays where nothing leads away', () => {
    const text =
      'markov 10ms state a "delay 1ms" to b 100% state b "delay 2ms" to c 100% state c "loss 100%"';
    expect(delays(setUp(settings(text)), [5, 15, 25, 1e6])).toEqual([1, 2, undefined, undefined]);
  });

  it('is written as it is read', () => {
    const once = settings(`delay 1ms markov ${GILBERT}`);
    expect(formatImpairment(once)).toBe(`delay 1ms markov ${GILBERT}`);
    expect(settings(formatImpairment(once))).toEqual(once);
    const schedule = settings('schedule s.csv linear 20ms loop', CSV);
    expect(formatImpairment(schedule)).toBe('schedule s.csv linear 20ms loop');
  });

  it.each([
    ['markov 10ms', 'expected state NAME'],
    ['markov 10us state a ""', 'at least 1ms'],
    ['markov 10ms state a "" state a ""', 'state a is given twice'],
    ['markov 10ms state a "" to b 5%', 'there is no state b; there are a'],
    ['markov 10ms state a "" to a 5%', 'goes to itself'],
    ['markov 10ms state a "" to b 60% to c 60% state b "" state c ""', 'more than 100% together'],
    ['markov 10ms state a "dealy 1ms"', 'did you mean "delay"'],
    ['markov 10ms state a "schedule x"', '"schedule": expected one of'],
    ['markov 10ms state a "loss 200%"', 'loss "200%"'],
  ])('that makes no sense is refused: %s', (text, message) => {
    expect(() => settings(text)).toThrow(message);
  });
});
