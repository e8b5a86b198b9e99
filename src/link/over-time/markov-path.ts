/**
 * Which state a Markov chain is in after so many steps, without all the steps before: a run of 2^20 steps is drawn as a
 * whole, and its halves only where somebody looks, given what the whole has come to. That is the law of the chain, step
 * for step, and the same path however often, and where, it is looked at; looking again after a day costs what it does
 * after a minute. Pure.
 *
 *   a ──────────── changes ────────────▶ b    a run: where from, where to, and whether the state changes at all in it
 *   a ── changes ──▶ m ──── stays ─────▶ m    its halves: m and what changes, as likely as their product
 *
 * What is drawn for a run is drawn for its place, so that no draw depends on which others were made.
 */

/**
 * A number in [0, 1) for each run.
 * @param whole number of the run of 2^20 steps; @param place in it, 1 for itself, 2i and 2i + 1 for the halves of i
 */
export type RandomAt = (whole: number, place: number) => number;

const LEVELS = 20;
const STEPS: readonly number[] = Array.from({ length: LEVELS + 1 }, (_, level) => 2 ** level);
const WHOLE_STEPS: number = 2 ** LEVELS;

/** Probabilities of what 2^level steps come to. */
type Power = {
  /** By state: that nothing changes. */
  readonly stays: Float64Array;
  /** By state and state: that it goes from one to the other, or comes back to the same, with changes. */
  readonly changes: Float64Array;
};

export class MarkovPath {
  /** The first step after the one that was looked at in which the state is another, as far as is known. */
  until = 0;
  readonly #randomAt: RandomAt;
  readonly #states: number;
  readonly #powers: readonly Power[];
  /** The runs in which the step is that was looked at, by level, down to one that stays or is a single step. */
  readonly #first: Float64Array = new Float64Array(LEVELS + 1);
  readonly #from: Uint8Array = new Uint8Array(LEVELS + 1);
  readonly #to: Uint8Array = new Uint8Array(LEVELS + 1);
  readonly #isChanging: Uint8Array = new Uint8Array(LEVELS + 1);
  #level: number = LEVELS;
  readonly #weights: Float64Array;
  /** Up to `until`. */
  #state = 0;

  /** @param leaves probability of going from each state to each other at a step; it begins in the first state */
  constructor(leaves: readonly (readonly number[])[], randomAt: RandomAt) {
    this.#states = leaves.length;
    this.#weights = new Float64Array(leaves.length + 2);
    this.#powers = powersOf(leaves);
    this.#randomAt = randomAt;
    this.#drawWhole(0, 0);
  }

  /** The state after so many steps, not fewer than the last time; sets `until`. */
  at(step: number): number {
    if (step < this.until) return this.#state;
    const state = this.#look(step);
    this.#state = state;
    this.until = Number.POSITIVE_INFINITY;
    if (this.#powers[0]!.stays[state] === 1) return state;
    const end = this.#first[LEVELS]! + WHOLE_STEPS;
    this.until = this.#end;
    while (this.until < end && this.#look(this.until) === state) this.until = this.#end;
    return state;
  }

  /** Of the run that was found last. */
  get #end(): number {
    return this.#first[this.#level]! + STEPS[this.#level]!;
  }

  #look(step: number): number {
    while (step >= this.#end) {
      if (this.#level < LEVELS) this.#level++;
      else this.#drawWhole(this.#end, this.#to[LEVELS]!);
    }
    while (this.#isChanging[this.#level] === 1 && this.#level > 0) this.#descend(step);
    return this.#from[this.#level]!;
  }

  #drawWhole(first: number, from: number): void {
    const { stays, changes } = this.#powers[LEVELS]!;
    const n = this.#states;
    const weights = this.#weights;
    for (let to = 0; to < n; to++) weights[to] = changes[from * n + to]!;
    weights[n] = stays[from]!;
    const chosen = pick(weights, n + 1, this.#randomAt(first / WHOLE_STEPS, 1));
    if (chosen === n) this.#put(LEVELS, first, from, from, 0);
    else this.#put(LEVELS, first, from, chosen, 1);
  }

  /** Goes from a run in which the state changes to the half of it that has the step. */
  #descend(step: number): void {
    const level = this.#level;
    const [first, from, to] = [this.#first[level]!, this.#from[level]!, this.#to[level]!];
    const { stays, changes } = this.#powers[level - 1]!;
    const n = this.#states;
    const weights = this.#weights;
    const direct = changes[from * n + to]!;
    // It changes in both halves, with any state between them, or in one.
    for (let state = 0; state < n; state++)
      weights[state] = changes[from * n + state]! * changes[state * n + to]!;
    weights[n] = direct * stays[to]!;
    weights[n + 1] = stays[from]! * direct;
    const place = STEPS[LEVELS - level]! + (first % WHOLE_STEPS) / STEPS[level]!;
    const chosen = pick(weights, n + 2, this.#randomAt(Math.floor(first / WHOLE_STEPS), place));
    const between = chosen < n ? chosen : chosen === n ? to : from;
    const half = first + STEPS[level - 1]!;
    if (step < half) this.#put(level - 1, first, from, between, chosen === n + 1 ? 0 : 1);
    else this.#put(level - 1, half, between, to, chosen === n ? 0 : 1);
  }

  #put(level: number, first: number, from: number, to: number, isChanging: number): void {
    this.#level = level;
    this.#first[level] = first;
    this.#from[level] = from;
    this.#to[level] = to;
    this.#isChanging[level] = isChanging;
  }
}

/** One of the first `count` places, each as likely as its weight; one of them is above 0. */
function pick(weights: Float64Array, count: number, random: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[i]!;
  let left = random * total;
  let chosen = 0;
  for (let i = 0; i < count && left >= 0; i++) {
    if (weights[i] === 0) continue;
    chosen = i;
    left -= weights[i]!;
  }
  return chosen;
}

/** The last that was asked for: all links of a lab may have the same chain, and 64 states take 700 kB. */
let known: { readonly of: string; readonly powers: readonly Power[] } | undefined;

function powersOf(leaves: readonly (readonly number[])[]): readonly Power[] {
  const of = JSON.stringify(leaves);
  if (known?.of !== of) {
    const powers = [singleStep(leaves)];
    for (let level = 0; level < LEVELS; level++) powers.push(squared(powers[level]!));
    known = { of, powers };
  }
  return known.powers;
}

function singleStep(leaves: readonly (readonly number[])[]): Power {
  const stays = leaves.map((to) => Math.max(0, 1 - to.reduce((sum, each) => sum + each, 0)));
  return { stays: Float64Array.from(stays), changes: Float64Array.from(leaves.flat()) };
}

/** Of twice as many steps. */
function squared({ stays, changes }: Power): Power {
  const n = stays.length;
  const twice = changes.map((direct, i) => {
    const [from, to] = [Math.floor(i / n), i % n];
    let sum = direct * stays[to]! + stays[from]! * direct;
    for (let state = 0; state < n; state++) sum += changes[from * n + state]! * changes[state * n + to]!;
    return sum;
  });
  return { stays: stays.map((each) => each * each), changes: twice };
}
