import { describe, expect, it } from 'vitest';
import { UPPER_BOUNDS_NS } from '../../src/engine/histogram.ts';
import { LATE_NS, type LoadCounts, Overload, type OverloadCause } from '../../src/link/overload.ts';

type Window = Partial<LoadCounts> & { readonly busy?: number };

/** What is said after each window, of what came in it. */
function judge(windows: readonly Window[]): (readonly OverloadCause[])[] {
  let total: LoadCounts = { offered: 900, timed: 800, late: 700, pool: 600 };
  const overload = new Overload(total);
  return windows.map(({ offered = 1000, timed = 1000, late = 0, pool = 0, busy = 0.2 }) => {
    total = {
      offered: total.offered + offered,
      timed: total.timed + timed,
      late: total.late + late,
      pool: total.pool + pool,
    };
    overload.judge(total, busy);
    return overload.causes;
  });
}

const QUIET: Window = {};
const repeat = (times: number, window: Window): Window[] => new Array<Window>(times).fill(window);

it('what is late can be told from the histogram', () => {
  expect(UPPER_BOUNDS_NS).toContain(LATE_NS);
});

describe('a direction is overloaded', () => {
  it.each<[string, Window, readonly OverloadCause[]]>([
    ['one frame in a hundred is late', { late: 10 }, ['late']],
    ['fewer are', { late: 9 }, []],
    ['nearly none came, whatever their share', { timed: 4, late: 4 }, []],
    ['any frame found no slot', { pool: 1 }, ['pool']],
    ['its worker hardly waits', { busy: 0.95 }, ['worker']],
    ['it waits sometimes', { busy: 0.94 }, []],
    ['nothing came while the worker was busy with others', { offered: 0, timed: 0, busy: 1 }, []],
    ['all at once', { late: 1000, pool: 7, busy: 1 }, ['late', 'pool', 'worker']],
    ['nothing at all came', { offered: 0, timed: 0, busy: 0 }, []],
  ])('when %s', (_, window, causes) => {
    expect(judge(repeat(2, window))).toEqual([[], causes]);
  });

  it('not for what happened before it was looked at', () => {
    expect(judge(repeat(3, QUIET))).toEqual([[], [], []]);
  });
});

describe('overload', () => {
  it('begins with the second bad window in a row, and ends with the fifth good one in a row', () => {
    const bad: Window = { pool: 3 };
    const windows = [bad, QUIET, bad, bad, ...repeat(4, QUIET), bad, ...repeat(5, QUIET), bad];
    const isOn = judge(windows).map((causes) => (causes.length > 0 ? 1 : 0));
    expect(isOn.join('')).toBe('000111111111100');
  });

  it('has causes that begin and end by themselves', () => {
    const seen = judge([...repeat(2, { pool: 1 }), ...repeat(3, { late: 500 }), ...repeat(5, QUIET)]);
    expect(seen.map((causes) => causes.join(' '))).toEqual([
      '',
      'pool',
      'pool',
      'late pool',
      'late pool',
      'late pool',
      'late',
      'late',
      'late',
      '',
    ]);
  });

  it('says whether something changed, and only then', () => {
    const counts = { offered: 0, timed: 0, late: 0, pool: 0 };
    const overload = new Overload(counts);
    const changed = [1, 2, 3, 3, 3, 3, 3, 3].map((pool) => overload.judge({ ...counts, pool }, 0));
    expect(changed).toEqual([false, true, false, false, false, false, false, true]);
  });
});
