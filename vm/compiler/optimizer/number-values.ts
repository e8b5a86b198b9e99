/**
 * Finds which value every atom holds where (value numbering over the flow graph), and on the way folds constants
 * and, when asked, drops statements that load what is there already.
 */

import {
  BPF_ABS,
  BPF_ALU,
  BPF_DIV,
  BPF_IMM,
  BPF_IND,
  BPF_LD,
  BPF_LDX,
  BPF_LEN,
  BPF_LSH,
  BPF_MEM,
  BPF_MISC,
  BPF_MOD,
  BPF_NEG,
  BPF_RSH,
  BPF_ST,
  BPF_TAX,
  BPF_X,
} from '../../instruction.ts';
import { SKF_LL_OFF } from '../../metadata.ts';
import type { Block, Branch } from '../flow-graph.ts';
import type { Statement } from '../predicate.ts';
import { A, definedAtom, scratch, X } from './atoms.ts';
import { operationOf, Values } from './values.ts';

/** The value number of every atom where each block of an order ends. */
export type Numbering = {
  readonly values: Values;
  readonly atExit: readonly (readonly number[])[];
  /** The value number each statement computes, by block. */
  readonly computed: readonly (readonly number[])[];
  readonly changed: boolean;
};

/**
 * Numbers the values of the blocks, which are in topological order, and rewrites statements in place.
 *
 * @param dropRedundant also drop statements that put into an atom what it holds already. The blocks then depend on
 * each other, so branches are best moved first.
 */
export function numberValues(order: readonly Block[], dropRedundant: boolean): Numbering {
  const values = new Values();
  const atoms = countAtoms(order);
  const entries = order.map<number[] | undefined>(() => undefined);
  const atExit: number[][] = [];
  const computed: number[][] = [];
  let changed = false;
  for (const block of order) {
    const state = entries[block.index] ?? Array.from({ length: atoms }, () => values.fresh());
    const numbers: number[] = [];
    if (block.kind === 'branch') {
      changed = rewriteBlock(block, state, values, dropRedundant, numbers) || changed;
      mergeInto(entries, block.onTrue.index, state, values);
      mergeInto(entries, block.onFalse.index, state, values);
    }
    atExit.push(state);
    computed.push(numbers);
  }
  return { values, atExit, computed, changed };
}

/** One more than the highest atom written: most programs use no scratch memory. */
function countAtoms(order: readonly Block[]): number {
  let highest: number = X;
  for (const block of order) {
    if (block.kind === 'verdict') continue;
    for (const statement of block.statements) highest = Math.max(highest, definedAtom(statement));
  }
  return highest + 1;
}

/** Where ways meet with different values, the value is some new one. */
function mergeInto(entries: (number[] | undefined)[], index: number, state: number[], values: Values): void {
  const entry = entries[index];
  if (entry === undefined) {
    entries[index] = state.slice();
    return;
  }
  for (let atom = 0; atom < state.length; atom++) {
    if (entry[atom] !== state[atom]) entry[atom] = values.fresh();
  }
}

/** Runs the block on value numbers; returns whether a statement or the comparison was rewritten. */
function rewriteBlock(
  block: Branch,
  state: number[],
  values: Values,
  dropRedundant: boolean,
  numbers: number[],
): boolean {
  let changed = false;
  const kept: Statement[] = [];
  for (let at = 0; at < block.statements.length; at++) {
    if (dropRedundant) at += repeatedAt(block.statements, at, state, values);
    const original = block.statements[at];
    if (original === undefined) break;
    const statement = simplify(original, state, values);
    const atom = definedAtom(statement);
    const number = evaluate(statement, state, values);
    if (statement !== original) changed = true;
    if (dropRedundant && state[atom] === number) continue;
    state[atom] = number;
    kept.push(statement);
    numbers.push(number);
  }
  changed ||= kept.length < block.statements.length;
  block.statements = kept;
  return simplifyComparison(block, state, values) || changed;
}

/**
 * How many statements from `at` on only compute again what A holds: a load and operations with constants on it.
 * Each of them was run before, so none can reject the packet.
 */
function repeatedAt(statements: readonly Statement[], at: number, state: number[], values: Values): number {
  const load = statements[at]!;
  if (definedAtom(load) !== A || (load.code & 0x07) !== BPF_LD) return 0;
  let number = evaluate(load, state, values);
  let end = at + 1;
  while (number !== state[A]) {
    const next = statements[end++];
    if (next === undefined || (next.code & (0x07 | BPF_X)) !== BPF_ALU) return 0;
    number = values.operation(operationOf(next.code), number, values.constant(next.k));
  }
  return end - at;
}

/** The value number a statement leaves in the atom it defines. */
function evaluate({ code, k }: Statement, state: number[], values: Values): number {
  switch (code & 0x07) {
    case BPF_LD:
    case BPF_LDX:
      switch (code & 0xe0) {
        case BPF_IMM:
          return values.constant(k);
        case BPF_MEM:
          return state[scratch(k)]!;
        case BPF_IND:
          return values.load(code, k, state[X]!);
        default:
          // LDX LEN and LD LEN give the same value; no other opcodes of the two classes coincide.
          return values.load((code & 0xe0) === BPF_LEN ? BPF_LEN : code, k);
      }
    case BPF_ALU: {
      const operation = operationOf(code);
      if (operation === BPF_NEG) return values.operation(operation, state[A]!, state[A]!);
      return values.operation(operation, state[A]!, (code & BPF_X) === 0 ? values.constant(k) : state[X]!);
    }
    case BPF_ST:
      return state[A]!;
    case BPF_MISC:
      return code === (BPF_MISC | BPF_TAX) ? state[A]! : state[X]!;
    default:
      return state[X]!;
  }
}

/** The statement in its simplest form, given what is known before it. */
function simplify(statement: Statement, state: number[], values: Values): Statement {
  const { code, k } = statement;
  const x = values.constantOf(state[X]!);
  if ((code & 0xe7) === (BPF_LD | BPF_IND) && x !== undefined && x + k < SKF_LL_OFF) {
    return { ...statement, code: (code & 0x1f) | BPF_ABS, k: x + k };
  }
  if (
    (code & (0x07 | BPF_X)) === (BPF_ALU | BPF_X) &&
    x !== undefined &&
    mayBeConstant(operationOf(code), x)
  ) {
    return simplify({ ...statement, code: code & ~BPF_X, k: x }, state, values);
  }
  const isPure = (code & 0x07) === BPF_ALU || code === (BPF_LD | BPF_MEM) || code === (BPF_LDX | BPF_MEM);
  if (!isPure) return statement;
  const constant = values.constantOf(evaluate(statement, state, values));
  if (constant === undefined || isDivisionByX(code)) return statement;
  return { ...statement, code: (code === (BPF_LDX | BPF_MEM) ? BPF_LDX : BPF_LD) | BPF_IMM, k: constant };
}

function isDivisionByX(code: number): boolean {
  const operation = operationOf(code);
  return (code & BPF_X) !== 0 && (operation === BPF_DIV || operation === BPF_MOD);
}

/** Whether validators accept the operand as a constant of the operation. */
function mayBeConstant(operation: number, operand: number): boolean {
  switch (operation) {
    case BPF_DIV:
    case BPF_MOD:
      return operand !== 0;
    case BPF_LSH:
    case BPF_RSH:
      return operand < 32;
    default:
      return operation !== BPF_NEG;
  }
}

/** Compares with a constant where X is one. */
function simplifyComparison(block: Branch, state: number[], values: Values): boolean {
  const { comparison } = block;
  if (comparison === undefined || (comparison.jump & BPF_X) === 0) return false;
  const x = values.constantOf(state[X]!);
  if (x === undefined) return false;
  block.comparison = { ...comparison, jump: comparison.jump & ~BPF_X, k: x };
  return true;
}
