/**
 * What is known on the way to a place in the program: outcomes of tests passed, and how long the packet must be for
 * the loads passed to have succeeded. Facts are added on the way down a dominator tree and taken back on the way up.
 */

import { BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET } from '../../instruction.ts';
import type { Values } from './values.ts';

/** How to take a fact back: the key of an outcome, or what was known before. */
type Undo =
  | string
  | { readonly length: number }
  | { readonly number: number; readonly low: number; readonly high: number }
  | { readonly number: number; readonly choices: readonly number[] | undefined }
  | { readonly number: number };

export class Facts {
  readonly #values: Values;
  readonly #low: number[];
  readonly #high: number[];
  readonly #outcomes = new Map<string, boolean>();
  readonly #computed = new Set<number>();
  /** The few values a number may have, where several equalities lead to the same place. */
  readonly #choices = new Map<number, readonly number[]>();
  #length = 0;
  readonly #undo: Undo[] = [];

  constructor(values: Values) {
    this.#values = values;
    this.#low = values.low.slice();
    this.#high = values.high.slice();
  }

  /** A point to come back to. */
  mark(): number {
    return this.#undo.length;
  }

  /** Forgets everything learnt since the mark. */
  forget(mark: number): void {
    while (this.#undo.length > mark) {
      const undo = this.#undo.pop()!;
      if (typeof undo === 'string') {
        this.#outcomes.delete(undo);
      } else if ('length' in undo) {
        this.#length = undo.length;
      } else if ('low' in undo) {
        this.#low[undo.number] = undo.low;
        this.#high[undo.number] = undo.high;
      } else if ('choices' in undo) {
        this.#setChoices(undo.number, undo.choices);
      } else {
        this.#computed.delete(undo.number);
      }
    }
  }

  #setChoices(number: number, choices: readonly number[] | undefined): void {
    if (choices === undefined) this.#choices.delete(number);
    else this.#choices.set(number, choices);
  }

  /** The value is one of these. */
  learnChoices(number: number, choices: readonly number[]): void {
    const before = this.#choices.get(number);
    this.#undo.push({ number, choices: before });
    this.#choices.set(number, before?.filter((choice) => choices.includes(choice)) ?? choices);
  }

  /** Packets that get here have at least this many bytes. */
  get length(): number {
    return this.#length;
  }

  learnLength(bytes: number): void {
    const before = this.#length;
    if (bytes <= before) return;
    this.#length = bytes;
    this.#undo.push({ length: before });
  }

  /** A value that could have been impossible to compute has been computed. */
  learnComputed(number: number): void {
    if (this.#computed.has(number)) return;
    this.#computed.add(number);
    this.#undo.push({ number });
  }

  isComputed(number: number): boolean {
    return this.#computed.has(number);
  }

  /** The comparison of value `a` with value `b` came out as `outcome`. */
  learn(jump: number, a: number, b: number, outcome: boolean): void {
    const key = `${jump},${a},${b}`;
    if (!this.#outcomes.has(key)) {
      this.#outcomes.set(key, outcome);
      this.#undo.push(key);
    }
    const k = this.#values.constantOf(b);
    if (k === undefined) return;
    const choices = this.#choices.get(a);
    if (choices !== undefined) {
      const left = choices.filter((choice) => compare(jump, choice, k) === outcome);
      this.learnChoices(a, left);
    }
    switch (jump) {
      case BPF_JEQ:
        if (outcome) this.#narrow(a, k, k);
        else if (k === this.#low[a]) this.#narrow(a, k + 1, 0xffffffff);
        else if (k === this.#high[a]) this.#narrow(a, 0, k - 1);
        break;
      case BPF_JGT:
        if (outcome) this.#narrow(a, k + 1, 0xffffffff);
        else this.#narrow(a, 0, k);
        break;
      case BPF_JGE:
        if (outcome) this.#narrow(a, k, 0xffffffff);
        else this.#narrow(a, 0, k - 1);
        break;
      default:
        break;
    }
  }

  #narrow(number: number, low: number, high: number): void {
    const before = { number, low: this.#low[number]!, high: this.#high[number]! };
    this.#low[number] = Math.max(before.low, low);
    this.#high[number] = Math.min(before.high, high);
    this.#undo.push(before);
  }

  /** How the comparison must come out, if that is known. */
  outcome(jump: number, a: number, b: number): boolean | undefined {
    const known = this.#outcomes.get(`${jump},${a},${b}`);
    if (known !== undefined) return known;
    if (a === b && jump !== BPF_JSET) return jump !== BPF_JGT;
    const k = this.#values.constantOf(b);
    if (k === undefined) return undefined;
    const choices = this.#choices.get(a);
    if (choices !== undefined && choices.length > 0) {
      const first = compare(jump, choices[0]!, k);
      if (choices.every((choice) => compare(jump, choice, k) === first)) return first;
    }
    const [low, high] = [this.#low[a]!, this.#high[a]!];
    switch (jump) {
      case BPF_JEQ:
        if (low === k && high === k) return true;
        return k < low || k > high ? false : undefined;
      case BPF_JGT:
        return low > k ? true : high <= k ? false : undefined;
      case BPF_JGE:
        return low >= k ? true : high < k ? false : undefined;
      case BPF_JSET:
        if (low === high) return (low & k) !== 0;
        return (this.#values.bits[a]! & k) === 0 ? false : undefined;
      default:
        return undefined;
    }
  }
}

/** A comparison of constants. */
function compare(jump: number, a: number, k: number): boolean {
  switch (jump) {
    case BPF_JEQ:
      return a === k;
    case BPF_JGT:
      return a > k;
    case BPF_JGE:
      return a >= k;
    default:
      return (a & k) !== 0;
  }
}
