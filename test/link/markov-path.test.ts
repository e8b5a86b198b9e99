/** Paths of Markov chains: their law, step for step, and what it costs to look at them. */
import { describe, expect, it } from 'vitest';
import { MarkovPath } from '../../src/link/over-time/markov-path.ts';
import { createRandom, scattered } from '../../src/link/random.ts';

type Leaves = readonly (readonly number[])[];

/** A path, and how many numbers were drawn for it. */
function counted(leaves: Leaves, seed: number): { path: MarkovPath; drawn: () => number } {
  const randomAt = scattered(createRandom(seed, 'path'));
  let draws = 0;
  const path = new MarkovPath(leaves, (whole, place) => {
    draws++;
    return randomAt(whole, place);
  });
  return { path, drawn: () => draws };
}

const GILBERT: Leaves = [
  [0, 0.3],
  [0.5, 0],
];
/** Leaves its first state for good; two others take turns. */
const TRAP: Leaves = [
  [0, 0.001, 0],
  [0, 0, 1],
  [0, 1, 0],
];
const RING: Leaves = [
  [0, 0.2, 0],
  [0, 0, 0.7],
  [0.05, 0, 0],
];
const SLOW: Leaves = [
  [0, 1e-6],
  [1e-5, 0],
];
const WHOLE = 2 ** 20;

/** Of one step, what stays included. */
function transition(leaves: Leaves): number[][] {
  return leaves.map((to, i) => to.map((p, j) => (i === j ? 1 - to.reduce((a, b) => a + b, 0) : p)));
}

function product(a: Leaves, b: Leaves): number[][] {
  return a.map((row) => b.map((_, j) => row.reduce((sum, p, k) => sum + p * b[k]![j]!, 0)));
}

/** The distribution after so many steps, by squaring. */
function after(leaves: Leaves, steps: number): number[] {
  let power = transition(leaves);
  let result: number[][] = leaves.map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));
  for (let left = steps; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = product(result, power);
    power = product(power, power);
  }
  return result[0]!;
}

/** Within five standard deviations, everywhere. */
function expectShares(counts: readonly number[], expected: readonly number[]): void {
  const n = counts.reduce((sum, each) => sum + each, 0);
  for (const [i, p] of expected.entries()) {
    expect(Math.abs(counts[i]! - n * p)).toBeLessThanOrEqual(5 * Math.sqrt(n * p * (1 - p)) + 1e-6 * n);
  }
}

describe('a path', () => {
  it.each<[string, Leaves, number]>([
    ['one step', GILBERT, 1],
    ['three steps', RING, 3],
    ['1000 steps', RING, 1000],
    ['1000 steps', TRAP, 1000],
    ['1001 steps', TRAP, 1001],
    ['two wholes and a bit', SLOW, 2 * WHOLE + 12_345],
  ])('is after %s in each state as often as the power of its matrix says', (_, leaves, steps) => {
    const counts = leaves.map(() => 0);
    for (let seed = 0; seed < 10_000; seed++) counts[counted(leaves, seed).path.at(steps)]!++;
    expectShares(counts, after(leaves, steps));
  });

  it.each([[0], [WHOLE / 2 - 1], [WHOLE - 1], [3 * WHOLE + 1023]])(
    'goes at step %d, wherever that lies in what is drawn, with the probabilities of the chain',
    (step) => {
      const counts = RING.map(() => RING.map(() => 0));
      for (let seed = 0; seed < 10_000; seed++) {
        const { path } = counted(RING, seed);
        counts[path.at(step)]![path.at(step + 1)]!++;
      }
      for (const [i, row] of transition(RING).entries()) expectShares(counts[i]!, row);
    },
  );

  it('stays as long as the geometric distribution says', () => {
    const { path } = counted(GILBERT, 5);
    const lengths: number[][] = [[], []];
    for (let step = 0; step < 200_000; ) {
      const state = path.at(step);
      lengths[state]!.push(path.until - step);
      step = path.until;
    }
    for (const [state, leave] of [0.3, 0.5].entries()) {
      const all = lengths[state]!;
      const expected = [1, 2, 3, 4].map((length) => leave * (1 - leave) ** (length - 1));
      expectShares(
        [1, 2, 3, 4]
          .map((length) => all.filter((each) => each === length).length)
          .concat(all.filter((each) => each > 4).length),
        expected.concat((1 - leave) ** 4),
      );
    }
  });

  it.each<[string, Leaves]>([
    ['a Gilbert channel', GILBERT],
    ['one that ends in turns', TRAP],
    ['a ring', RING],
    ['a slow one', SLOW],
  ])('is the same however often it is looked at: %s', (_, leaves) => {
    const dense = counted(leaves, 3).path;
    const jumps = counted(leaves, 3).path;
    const skips = counted(leaves, 3).path;
    for (let step = 0; step < 30_000; step++) {
      const state = dense.at(step);
      if (step >= jumps.until) jumps.at(step);
      if (step % 997 === 0) expect(skips.at(step)).toBe(state);
    }
    expect(dense.at(7 * WHOLE)).toBe(skips.at(7 * WHOLE));
  });

  it('tells up to when its state holds', () => {
    const walked = counted(RING, 9).path;
    const told = counted(RING, 9).path;
    for (let step = 0; step < 5_000; ) {
      const state = told.at(step);
      for (; step < told.until; step++) expect(walked.at(step)).toBe(state);
    }
    const { path } = counted([[0]], 1);
    expect([path.at(5), path.until]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it('costs after a day of steps of a millisecond what it costs after a minute, not what happened in it', () => {
    const DAY = 86_400_000;
    const { path, drawn } = counted(GILBERT, 1);
    path.at(60_000);
    const minute = drawn();
    path.at(60_000 + DAY);
    const wholes = Math.ceil(DAY / WHOLE);
    // From the whole down, and to the next change.
    expect(minute).toBeLessThanOrEqual(1 + 60);
    expect(drawn() - minute).toBeLessThanOrEqual(wholes + 60);
  });

  it('costs a few draws a change when every change is looked at', () => {
    const { path, drawn } = counted(GILBERT, 1);
    let changes = 0;
    for (let step = 0; step < 100_000; step = path.until) {
      path.at(step);
      changes++;
    }
    expect(changes).toBeGreaterThan(20_000);
    expect(drawn() / changes).toBeLessThan(6);
  });
});
