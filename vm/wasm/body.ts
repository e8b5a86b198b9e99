/**
 * Compiles a program, or several programs of the same shape at once, into wasm code.
 *
 * Jumps go forward, so every jump target becomes the end of a block, the blocks nested with the farthest target
 * outermost; the size of the code is linear in the program's. Nothing traps: loads are checked against the buffer
 * length, divisors against zero.
 *
 * Programs of the same shape differ only in the constants of `jeq #k` and `ret #k`. They run as one, on the same
 * registers. Where the constants of a `jeq` differ, the value picks the programs for which the test holds; those
 * run the rest of their branch by themselves, then all go on with the other branch. A program that was picked is
 * thus still among those that go on, and each verdict is guarded: it counts for a program only if none of the
 * tests earlier on the path picked it.
 */

import {
  BPF_JA,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JMP,
  BPF_JSET,
  BPF_K,
  BPF_RET,
  BPF_X,
  type Dialect,
  type Instruction,
} from '../instruction.ts';
import { REWIND_LIMIT } from '../interpreter.ts';
import { liveRegisters, reachableFrom, successors, unswappedSizes } from './flow.ts';
import { type FunctionBuilder, type Label, OP } from './function-builder.ts';
import { emitLookup } from './lookup.ts';
import { emitOperation, type Target } from './operations.ts';
import { bitsConstant, equalityConstant } from './packet-access.ts';
import type { Registers } from './registers.ts';

/** One of the programs compiled together, and the numbers under which its verdict is wanted. */
export type Member = { readonly instructions: readonly Instruction[]; readonly indices: readonly number[] };

/** A test that picks programs by value: the local that holds the value, -1 when the test was not reached. */
type Picked = { readonly local: number; constantOf(member: Member): number };

/** A `ret` that is reached: for which programs, and where to go once its verdict is noted. */
export type Verdict = {
  readonly members: readonly Member[];
  readonly pc: number;
  readonly registers: Registers;
  readonly picked: readonly Picked[];
  readonly exit: Label;
};

/** Emits what a `ret` does; what it emits must leave, by returning or by branching to `exit`. */
export type EmitVerdict = (verdict: Verdict) => void;

/** Facts about the common shape that hold wherever part of it is compiled. */
type Shape = {
  readonly dialect: Dialect;
  readonly live: Int32Array;
  readonly unswapped: Uint8Array;
  readonly hasBackwardJumps: boolean;
};

/** Analyses programs of one shape that are to be entered at `entry`. */
export function analyseShape(
  instructions: readonly Instruction[],
  entry: number,
  dialect: Dialect,
  hasBackwardJumps: boolean,
): Shape {
  if (hasBackwardJumps) {
    const nothing = instructions.length;
    return { dialect, live: new Int32Array(nothing), unswapped: new Uint8Array(nothing), hasBackwardJumps };
  }
  const unswapped = unswappedSizes(instructions, entry);
  return { dialect, live: liveRegisters(instructions), unswapped, hasBackwardJumps };
}

/** Where and with what a body starts. */
export type Entry = {
  readonly members: readonly Member[];
  readonly pc: number;
  readonly registers: Registers;
  /** Bytes that the packet is known to have. */
  readonly known: number;
  readonly picked: readonly Picked[];
  /** Where rejected packets go. */
  readonly exit: Label;
};

/** Compiles bodies of programs of one shape into one function. */
export class BodyCompiler {
  readonly #target: Target;
  readonly #shape: Shape;
  readonly #emitVerdict: EmitVerdict;

  constructor(target: Target, shape: Shape, emitVerdict: EmitVerdict) {
    this.#target = target;
    this.#shape = shape;
    this.#emitVerdict = emitVerdict;
  }

  /** Emits the code from `entry.pc` on. It leaves by verdicts or through `entry.exit`, never at its end. */
  compile(entry: Entry): void {
    const body = new Body(this, this.#target, this.#shape, entry, this.#emitVerdict);
    body.emit();
  }
}
