/**
 * Where a running program's registers are: locals of the wasm function. Sets of locals are handed out and taken
 * back, so that bodies that run one after the other share them.
 */

import { BIT_A, BIT_X } from './flow.ts';
import { type FunctionBuilder, I32, I64 } from './function-builder.ts';

/** The locals of one running program: A and X, and M[k] as far as used. */
export class Registers {
  readonly a: number;
  readonly x: number;
  readonly #f: FunctionBuilder;
  readonly #scratch = new Map<number, number>();

  constructor(f: FunctionBuilder) {
    this.#f = f;
    this.a = f.local(I32);
    this.x = f.local(I32);
  }

  /** The local of M[k]. */
  scratch(k: number): number {
    let local = this.#scratch.get(k);
    if (local === undefined) {
      local = this.#f.local(I32);
      this.#scratch.set(k, local);
    }
    return local;
  }

  /** The locals of the registers in a set of bits (see flow.ts), each with its bit. */
  *of(bits: number): Generator<{ readonly bit: number; readonly local: number }> {
    if ((bits & BIT_A) !== 0) yield { bit: BIT_A, local: this.a };
    if ((bits & BIT_X) !== 0) yield { bit: BIT_X, local: this.x };
    for (let k = 0; k < 16; k++) if (((bits >> k) & 1) === 1) yield { bit: 1 << k, local: this.scratch(k) };
  }
}

/** Locals that are free to be used again. */
export class LocalPool {
  readonly #f: FunctionBuilder;
  readonly #registers: Registers[] = [];
  readonly #wide: number[] = [];
  readonly #narrow: number[] = [];
  #temporary: number | undefined;

  constructor(f: FunctionBuilder) {
    this.#f = f;
  }

  takeRegisters(): Registers {
    return this.#registers.pop() ?? new Registers(this.#f);
  }

  returnRegisters(registers: Registers): void {
    this.#registers.push(registers);
  }

  takeI64(): number {
    return this.#wide.pop() ?? this.#f.local(I64);
  }

  returnI64(local: number): void {
    this.#wide.push(local);
  }

  takeI32(): number {
    return this.#narrow.pop() ?? this.#f.local(I32);
  }

  returnI32(local: number): void {
    this.#narrow.push(local);
  }

  /** A local for a value that is used up at once. */
  temporary(): number {
    this.#temporary ??= this.#f.local(I32);
    return this.#temporary;
  }
}
