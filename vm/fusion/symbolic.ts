/**
 * Runs a program on unknown packets: from a state to the next instruction where paths part, with the registers as
 * expressions over the packet.
 *
 * It stops early at what is no such expression: indexed loads, ancillary loads, division and shifts by X.
 */

import {
  BPF_ABS,
  BPF_ALU,
  BPF_AND,
  BPF_DIV,
  BPF_H,
  BPF_IMM,
  BPF_JA,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_LEN,
  BPF_LSH,
  BPF_MEM,
  BPF_MISC,
  BPF_MOD,
  BPF_MSH,
  BPF_NEG,
  BPF_RET,
  BPF_RSH,
  BPF_ST,
  BPF_STX,
  BPF_SUB,
  BPF_TAX,
  BPF_W,
  BPF_X,
  type Instruction,
} from '../instruction.ts';
import { SKF_LL_OFF } from '../metadata.ts';
import { type ExpressionTable, ZERO } from './expression.ts';

/** Registers as expression numbers; M[] words that were not written hold ZERO. */
export type State = {
  readonly pc: number;
  readonly a: number;
  readonly x: number;
  readonly scratch: ReadonlyMap<number, number>;
  /** Bytes that the packet must have had to get here: the path rejects shorter ones. */
  readonly needed: number;
};

/** Where a path has come to: a `ret`, a conditional jump, or an instruction that expressions cannot follow. */
export type Stop = { readonly kind: 'return' | 'branch' | 'opaque'; readonly state: State };

/** The state before a program's first instruction. */
export const INITIAL_STATE: State = { pc: 0, a: ZERO, x: ZERO, scratch: new Map(), needed: 0 };

/** Follows the path from `state` to its next stop. */
export function advance(table: ExpressionTable, instructions: readonly Instruction[], state: State): Stop {
  let current = state;
  for (;;) {
    const instruction = instructions[current.pc]!;
    if (instruction.code === (BPF_JMP | BPF_JA)) {
      current = { ...current, pc: current.pc + 1 + instruction.k };
      continue;
    }
    const kind = instruction.code & 0x07;
    if (kind === BPF_RET) return { kind: 'return', state: current };
    if (kind === BPF_JMP) return { kind: 'branch', state: current };
    const next = step(table, instruction, current);
    if (next === undefined) return { kind: 'opaque', state: current };
    current = next;
  }
}

/** The state after an instruction that neither jumps nor returns, or undefined where that is no expression. */
function step(table: ExpressionTable, instruction: Instruction, state: State): State | undefined {
  const { code, k } = instruction;
  const pc = state.pc + 1;
  switch (code & 0x07) {
    case BPF_LD:
    case BPF_LDX: {
      const value = loaded(table, instruction, state);
      if (value === undefined) return undefined;
      const needed = Math.max(state.needed, table.end(value));
      return (code & 0x07) === BPF_LD
        ? { ...state, pc, needed, a: value }
        : { ...state, pc, needed, x: value };
    }
    case BPF_ST:
    case BPF_STX: {
      const value = (code & 0x07) === BPF_ST ? state.a : state.x;
      return { ...state, pc, scratch: new Map(state.scratch).set(k, value) };
    }
    case BPF_ALU: {
      const value = computed(table, instruction, state);
      return value === undefined ? undefined : { ...state, pc, a: value };
    }
    default: {
      const isTax = code === (BPF_MISC | BPF_TAX);
      return isTax ? { ...state, pc, x: state.a } : { ...state, pc, a: state.x };
    }
  }
}

/** The value that a load into A or X yields. */
function loaded(table: ExpressionTable, { code, k }: Instruction, { scratch }: State): number | undefined {
  switch (code & 0xe0) {
    case BPF_IMM:
      return table.constant(k);
    case BPF_MEM:
      return scratch.get(k) ?? ZERO;
    case BPF_LEN:
      return table.length();
    case BPF_ABS:
      return k < SKF_LL_OFF ? table.load(loadSize(code), k) : undefined;
    case BPF_MSH: {
      if (k >= SKF_LL_OFF) return undefined;
      const low = table.operation(BPF_AND, table.load(1, k), table.constant(0x0f));
      return table.operation(BPF_LSH, low, table.constant(2));
    }
    default:
      return undefined;
  }
}

function loadSize(code: number): number {
  const size = code & 0x18;
  if (size === BPF_W) return 4;
  return size === BPF_H ? 2 : 1;
}

/** The value that an arithmetic instruction leaves in A. */
function computed(table: ExpressionTable, { code, k }: Instruction, { a, x }: State): number | undefined {
  const operation = code & 0xf0;
  if (operation === BPF_NEG) return table.operation(BPF_SUB, ZERO, a);
  const shifts = operation === BPF_LSH || operation === BPF_RSH;
  if ((code & BPF_X) === BPF_K) {
    return shifts && k >= 32 ? table.constant(0) : table.operation(operation, a, table.constant(k));
  }
  // By X these depend on the dialect, or may reject.
  if (shifts || operation === BPF_DIV || operation === BPF_MOD) return undefined;
  return table.operation(operation, a, x);
}
