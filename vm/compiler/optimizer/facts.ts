/**
 * What is known on the way to a place in the program: outcomes of tests passed, and how long the packet must be for
 * the loads passed to have succeeded. Facts are added on the way down a dominator tree and taken back on the way up.
 */

import { BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET } from '../../instruction.ts';
import type { Values } from './values.ts';

export class Facts {
  readonly #values: Values;
  readonly #low: number[];
  readonly #high: number[];
  readonly #outcomes = new Map<string, boolean>();
  readonly #loaded = new Set<number>();
  #length = 0;
  readonly #undo: (() => void)[] = [];

  constructor(values: Values) {
    this.#values = values;
    this.#low = [...values.low];
    this.#high = [...values.high];
  }

  /** A point to come back to. */
  mark(): number {
    return this.#undo.length;
  }

  /** Forgets everything learnt since the mark. */
  forget(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()!();
  }

  /** Packets that get here have at least this many bytes. */
  get length(): number {
    return this.#length;
  }

  learnLength(bytes: number): void {
    const before = this.#length;
    if (bytes <= before) return;
    this.#length = bytes;
    this.#undo.push(() => {
      this.#length = before;
    });
  }

  /** A value that could have been impossible to compute has been computed. */
  learnComputed(number: number): void {
    if (this.#loaded.has(number)) return;
    this.#loaded.add(number);
    this.#undo.push(() => this.#loaded.delete(number));
  }

  isComputed(number: number): boolean {
    return this.#loaded.has(number);
  }

  /** The comparison of value `a` with value `b` came out as `outcome`. */
  learn(jump: number, a: number, b: number, outcome: boolean): void {
    const key = `${jump},${a},${b}`;
    if (!this.#outcomes.has(key)) {
      this.#outcomes.set(key, outcome);
      this.#undo.push(() => this.#outcomes.delete(key));
    }
    const k = this.#values.constantOf(b);
    if (k === undefined) return;
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
    const [before, after] = [this.#low[number]!, this.#high[number]!];
    this.#low[number] = Math.max(before, low);
    this.#high[number] = Math.min(after, high);
    this.#undo.push(() => {
      this.#low[number] = before;
      this.#high[number] = after;
    });
  }

  /** How the comparison must come out, if that is known. */
  outcome(jump: number, a: number, b: number): boolean | undefined {
    const known = this.#outcomes.get(`${jump},${a},${b}`);
    if (known !== undefined) return known;
    if (a === b && jump !== BPF_JSET) return jump !== BPF_JGT;
    const k = this.#values.constantOf(b);
    if (k === undefined) return undefined;
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
