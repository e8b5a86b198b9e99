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
import { type BackwardJumps, emitJumpBack, openLoop } from './backward-jumps.ts';
import { liveRegisters, reachableFrom, successors, unswappedSizes } from './flow.ts';
import { type Label, OP } from './function-builder.ts';
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
export type Shape = {
  readonly dialect: Dialect;
  readonly hasBackwardJumps: boolean;
  readonly live: Int32Array;
  readonly unswapped: Uint8Array;
};

/** Analyses programs of one shape that are to be entered at `entry`. */
export function analyseShape(
  instructions: readonly Instruction[],
  entry: number,
  dialect: Dialect,
  hasBackwardJumps: boolean,
): Shape {
  if (!hasBackwardJumps) {
    const unswapped = unswappedSizes(instructions, entry);
    return { dialect, hasBackwardJumps, live: liveRegisters(instructions), unswapped };
  }
  const nothing = instructions.length;
  return { dialect, hasBackwardJumps, live: new Int32Array(nothing), unswapped: new Uint8Array(nothing) };
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

/** Emits the code of programs of one shape from an entry on; leaves by verdicts or to the entry's exit. */
export function emitBody(target: Target, shape: Shape, entry: Entry, emitVerdict: EmitVerdict): void {
  new Body(target, shape, entry, emitVerdict).emit();
}

class Body {
  readonly #target: Target;
  readonly #shape: Shape;
  readonly #entry: Entry;
  readonly #emitVerdict: EmitVerdict;
  readonly #instructions: readonly Instruction[];
  readonly #labels = new Map<number, Label>();
  /** Bytes known to be there, at jump targets: the least over the jumps seen so far. */
  readonly #knownAt = new Map<number, number>();
  /** Bytes known to be there where code is being emitted; Infinity where nothing arrives. */
  #known: number;
  readonly #picked: Picked[];
  #loop: BackwardJumps | undefined;

  constructor(target: Target, shape: Shape, entry: Entry, emitVerdict: EmitVerdict) {
    this.#target = target;
    this.#shape = shape;
    this.#entry = entry;
    this.#emitVerdict = emitVerdict;
    this.#instructions = entry.members[0]!.instructions;
    this.#known = entry.known;
    this.#picked = [...entry.picked];
  }

  emit(): void {
    const { f, pool } = this.#target;
    const order = reachableFrom(this.#instructions, this.#entry.pc);
    const pickers = new Map(order.filter((pc) => this.#diverges(pc)).map((pc) => [pc, pool.takeI64()]));
    for (const local of pickers.values()) {
      f.i64(-1);
      f.set(local);
    }
    this.#openBlocks(order);
    for (const pc of order) {
      const label = this.#labels.get(pc);
      if (label !== undefined) {
        f.end(label);
        this.#known = Math.min(this.#known, this.#knownAt.get(pc)!);
      }
      if (this.#known !== Number.POSITIVE_INFINITY) this.#instruction(pc, pickers.get(pc));
    }
    if (this.#loop !== undefined) f.end(this.#loop.label);
    for (const local of pickers.values()) pool.returnI64(local);
  }

  /** Opens a block for every jump target, and a loop around them when jumps go back. */
  #openBlocks(order: readonly number[]): void {
    const { f } = this.#target;
    const targets = new Set<number>();
    const backward = new Set<number>();
    for (const pc of order) {
      const instruction = this.#instructions[pc]!;
      if ((instruction.code & 0x07) !== BPF_JMP) continue;
      for (const next of successors(instruction, pc)) {
        if (this.#rejects(next)) continue;
        targets.add(next);
        this.#knownAt.set(next, Number.POSITIVE_INFINITY);
        if (next <= pc) backward.add(next);
      }
    }
    if (backward.size > 0) this.#loop = openLoop(this.#target, [...backward]);
    for (const pc of [...targets].sort((a, b) => b - a)) this.#labels.set(pc, f.block());
    if (this.#loop === undefined) return;
    const start = f.block();
    f.get(this.#loop.resume);
    f.brTable([start, ...this.#loop.targets.map((pc) => this.#labels.get(pc)!)], start);
    f.end(start);
    // What is known when a jump comes back from further on is not worked out.
    for (const pc of this.#loop.targets) this.#knownAt.set(pc, 0);
  }

  #instruction(pc: number, picker: number | undefined): void {
    const { dialect, unswapped } = this.#shape;
    const { registers, exit, members } = this.#entry;
    const instruction = this.#instructions[pc]!;
    switch (instruction.code & 0x07) {
      case BPF_RET:
        this.#emitVerdict({ members, pc, registers, picked: this.#picked, exit });
        this.#known = Number.POSITIVE_INFINITY;
        break;
      case BPF_JMP:
        if (instruction.code === (BPF_JMP | BPF_JA)) this.#goto(pc + 1 + (instruction.k | 0), pc);
        else if (picker !== undefined) this.#pick(pc, picker);
        else this.#branch(pc);
        break;
      default: {
        const place = { dialect, registers, reject: exit, known: this.#known, unswapped: unswapped[pc]! > 0 };
        this.#known = emitOperation(this.#target, place, instruction);
      }
    }
  }

  /** Whether `pc` holds a `jeq #k` whose constants differ between the members. */
  #diverges(pc: number): boolean {
    const { code, k } = this.#instructions[pc]!;
    const { members } = this.#entry;
    return code === (BPF_JMP | BPF_JEQ | BPF_K) && members.some((member) => member.instructions[pc]!.k !== k);
  }

  /** Whether `pc` holds `ret #0` for all members. */
  #rejects(pc: number): boolean {
    if (this.#instructions[pc]!.code !== (BPF_RET | BPF_K)) return false;
    return this.#entry.members.every((member) => member.instructions[pc]!.k === 0);
  }

  /** The label of the instruction at `target`; notes that a jump from here goes there. */
  #labelOf(target: number): Label {
    if (this.#rejects(target)) return this.#entry.exit;
    this.#knownAt.set(target, Math.min(this.#knownAt.get(target)!, this.#known));
    return this.#labels.get(target)!;
  }

  /** Continues at `target` instead of at the instruction after `pc`. */
  #goto(target: number, pc: number): void {
    const { f } = this.#target;
    if (target === pc + 1) return;
    if (target <= pc) emitJumpBack(this.#target, this.#loop!, target, pc, this.#entry.exit);
    else f.br(this.#labelOf(target));
    this.#known = Number.POSITIVE_INFINITY;
  }

  #branch(pc: number): void {
    const { f } = this.#target;
    const [taken, other] = successors(this.#instructions[pc]!, pc) as [number, number];
    if (taken === other) {
      this.#goto(taken, pc);
      return;
    }
    this.#pushCondition(pc);
    if (taken === pc + 1) {
      f.op(OP.i32Eqz);
      f.brIf(this.#labelOf(other));
    } else {
      f.brIf(this.#labelOf(taken));
      this.#goto(other, pc);
    }
  }

  /** Pushes whether the jump at `pc` is taken. */
  #pushCondition(pc: number): void {
    const { f } = this.#target;
    const { registers } = this.#entry;
    const { code, k } = this.#instructions[pc]!;
    const size = this.#shape.unswapped[pc]!;
    const operation = code & 0xf0;
    f.get(registers.a);
    if ((code & BPF_X) !== 0) f.get(registers.x);
    else f.i32(operation === BPF_JSET ? bitsConstant(k, size) : equalityConstant(k, size));
    switch (operation) {
      case BPF_JEQ:
        f.op(OP.i32Eq);
        break;
      case BPF_JGT:
        f.op(OP.i32GtU);
        break;
      case BPF_JGE:
        f.op(OP.i32GeU);
        break;
      default:
        f.op(OP.i32And);
    }
  }

  /** A `jeq #k` with differing constants: programs whose constant equals A run their branch, all go on with jf. */
  #pick(pc: number, picker: number): void {
    const { f } = this.#target;
    const { members, registers } = this.#entry;
    const [taken, other] = successors(this.#instructions[pc]!, pc) as [number, number];
    const size = this.#shape.unswapped[pc]!;
    const constantOf = (member: Member): number => equalityConstant(member.instructions[pc]!.k, size) >>> 0;
    const groups = new Map<number, Member[]>();
    for (const member of members) {
      const group = groups.get(constantOf(member));
      if (group === undefined) groups.set(constantOf(member), [member]);
      else group.push(member);
    }
    f.get(registers.a);
    f.op(OP.i64ExtendI32U);
    f.set(picker);
    const branches = [...groups.values()];
    emitLookup(f, registers.a, [...groups.keys()], (index, end) => {
      this.#emitTail(branches[index]!, taken, end);
    });
    this.#picked.push({ local: picker, constantOf });
    this.#goto(other, pc);
  }

  /** The rest of the program from `pc` for some of the members, on a copy of the registers. */
  #emitTail(members: readonly Member[], pc: number, exit: Label): void {
    const { f, pool } = this.#target;
    const registers = pool.takeRegisters();
    const live = this.#shape.live[pc]!;
    for (const { local, bit } of registers.of(live)) {
      const [source] = this.#entry.registers.of(bit);
      f.get(source!.local);
      f.set(local);
    }
    const entry = { members, pc, registers, known: this.#known, picked: this.#picked, exit };
    emitBody(this.#target, this.#shape, entry, this.#emitVerdict);
    pool.returnRegisters(registers);
  }
}
