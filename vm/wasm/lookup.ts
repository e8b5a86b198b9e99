/**
 * Code that finds which of many constants a value equals: a few comparisons, a jump table for constants that lie
 * close together, else a hash into a jump table. The cost hardly depends on how many constants there are.
 */

import { type FunctionBuilder, type Label, OP } from './function-builder.ts';

/** Slots of the largest jump table; V8 takes 65,520. */
const MAXIMUM_SLOTS = 1 << 15;
/** Up to this many constants are compared one after the other. */
const LINEAR_MAXIMUM = 6;

/**
 * Emits a test of a value against distinct constants (unsigned 32-bit).
 *
 * @param value the local that holds the value
 * @param emitCase emits what to do when the value is `constants[index]`; it runs inside `end`, and may branch
 * there to finish. A value that equals none of the constants does nothing.
 */
export function emitLookup(
  f: FunctionBuilder,
  value: number,
  constants: readonly number[],
  emitCase: (index: number, end: Label) => void,
): void {
  const end = f.block();
  if (constants.length <= LINEAR_MAXIMUM)
    emitComparisons(f, value, constants, [...constants.keys()], emitCase, end);
  else emitTable(f, value, constants, emitCase, end);
  f.end(end);
}

/** Compares with the constants at `indices` in turn. */
function emitComparisons(
  f: FunctionBuilder,
  value: number,
  constants: readonly number[],
  indices: readonly number[],
  emitCase: (index: number, end: Label) => void,
  end: Label,
): void {
  for (const [position, index] of indices.entries()) {
    f.get(value);
    f.i32(constants[index]!);
    f.op(OP.i32Eq);
    const found = f.if();
    emitCase(index, end);
    if (position < indices.length - 1) f.br(end);
    f.end(found);
  }
}

/** What a jump table's index is computed from the value with, and the constants each of its slots stands for. */
type Slots = { readonly slots: readonly (readonly number[])[]; readonly exact: boolean; pushIndex(): void };

function emitTable(
  f: FunctionBuilder,
  value: number,
  constants: readonly number[],
  emitCase: (index: number, end: Label) => void,
  end: Label,
): void {
  const { slots, exact, pushIndex } = denseSlots(f, value, constants) ?? hashSlots(f, value, constants);
  const used = [...slots.entries()].filter(([, indices]) => indices.length > 0);
  const labels = new Map<number, Label>();
  for (const [slot] of used.toReversed()) labels.set(slot, f.block());
  pushIndex();
  f.brTable(
    slots.map((_, slot) => labels.get(slot) ?? end),
    end,
  );
  for (const [slot, indices] of used) {
    f.end(labels.get(slot)!);
    if (exact) emitCase(indices[0]!, end);
    else emitComparisons(f, value, constants, indices, emitCase, end);
    f.br(end);
  }
}

/** One slot for each number from the smallest constant to the largest, when that is not many more. */
function denseSlots(f: FunctionBuilder, value: number, constants: readonly number[]): Slots | undefined {
  const smallest = constants.reduce((a, b) => Math.min(a, b));
  const span = constants.reduce((a, b) => Math.max(a, b)) - smallest + 1;
  if (span > Math.min(2 * constants.length + 16, MAXIMUM_SLOTS)) return undefined;
  const slots: number[][] = Array.from({ length: span }, () => []);
  for (const [index, constant] of constants.entries()) slots[constant - smallest]!.push(index);
  const pushIndex = (): void => {
    f.get(value);
    f.i32(smallest);
    f.op(OP.i32Sub);
  };
  return { slots, exact: true, pushIndex };
}

/** Multipliers to choose a hash from: odd, of mixed bits. */
const MULTIPLIERS = Array.from({ length: 16 }, (_, i) => (Math.imul(0x9e3779b1, 2 * i + 1) | 1) >>> 0);

/** Slots chosen by the top bits of the value times a constant, the one of several with the shortest chains. */
function hashSlots(f: FunctionBuilder, value: number, constants: readonly number[]): Slots {
  const bits = Math.min(Math.ceil(Math.log2(constants.length)) + 1, Math.log2(MAXIMUM_SLOTS));
  const shift = 32 - bits;
  let multiplier = MULTIPLIERS[0]!;
  let shortest = constants.length + 1;
  for (const candidate of MULTIPLIERS) {
    const longest = longestChain(constants, candidate, bits);
    if (longest >= shortest) continue;
    multiplier = candidate;
    shortest = longest;
  }
  const slots: number[][] = Array.from({ length: 1 << bits }, () => []);
  for (const [index, constant] of constants.entries()) {
    slots[Math.imul(constant, multiplier) >>> shift]!.push(index);
  }
  const pushIndex = (): void => {
    f.get(value);
    f.i32(multiplier);
    f.op(OP.i32Mul);
    f.i32(shift);
    f.op(OP.i32ShrU);
  };
  return { slots, exact: false, pushIndex };
}

/** The most constants that one slot would hold. */
function longestChain(constants: readonly number[], multiplier: number, bits: number): number {
  const counts = new Uint16Array(1 << bits);
  let longest = 0;
  for (const constant of constants) {
    const slot = Math.imul(constant, multiplier) >>> (32 - bits);
    longest = Math.max(longest, ++counts[slot]!);
  }
  return longest;
}
