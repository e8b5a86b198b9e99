/**
 * Code that reads the packet: bounds checks, loads, the swap from network byte order. A check is left out where an
 * earlier one on the same path covers it.
 */

import { type FunctionBuilder, type Label, MEMORY_OP, OP } from './function-builder.ts';

/** Where a function holds the packet's place and size: indices of its locals. */
export type PacketLocals = {
  readonly offset: number;
  readonly wireLength: number;
  readonly bufferLength: number;
};

/** Leaves for `reject` unless the packet has `end` bytes; `known` of them are there for sure. Returns what is then. */
export function checkLength(
  f: FunctionBuilder,
  packet: PacketLocals,
  end: number,
  known: number,
  reject: Label,
): number {
  if (end <= known) return known;
  if (end > 0xffffffff) {
    f.br(reject);
    return known;
  }
  f.get(packet.bufferLength);
  f.i32(end);
  f.op(OP.i32LtU);
  f.brIf(reject);
  return end;
}

/**
 * Pushes the value of `size` bytes at `offset` from a base, which `pushBase` pushes; it may be called twice.
 *
 * @param swapped whether the value is wanted in network byte order; unswapped, it is as a little-endian load reads
 */
export function pushLoad(
  f: FunctionBuilder,
  pushBase: () => void,
  offset: number,
  size: number,
  swapped: boolean,
  temporary: () => number,
): void {
  pushBase();
  if (size === 1) f.memory(MEMORY_OP.i32Load8U, offset);
  else if (!swapped) f.memory(size === 2 ? MEMORY_OP.i32Load16U : MEMORY_OP.i32Load, offset);
  else if (size === 2) {
    f.memory(MEMORY_OP.i32Load8U, offset);
    f.i32(8);
    f.op(OP.i32Shl);
    pushBase();
    f.memory(MEMORY_OP.i32Load8U, offset + 1);
    f.op(OP.i32Or);
  } else {
    f.memory(MEMORY_OP.i32Load, offset);
    pushSwapped32(f, temporary());
  }
}

/** Reverses the bytes of the value on the stack. */
function pushSwapped32(f: FunctionBuilder, temporary: number): void {
  f.tee(temporary);
  f.i32(8);
  f.op(OP.i32Rotl);
  f.i32(0x00ff00ff);
  f.op(OP.i32And);
  f.get(temporary);
  f.i32(24);
  f.op(OP.i32Rotl);
  f.i32(0xff00ff00);
  f.op(OP.i32And, OP.i32Or);
}

/** The constant to compare an unswapped value of `size` bytes with for equality; size 0 or 1 needs no swap. */
export function equalityConstant(k: number, size: number): number {
  if (size === 4) return swap32(k);
  // A constant beyond 16 bits equals no 16-bit value, swapped or not.
  return size === 2 && k <= 0xffff ? ((k & 0xff) << 8) | (k >> 8) : k;
}

/** The mask to test an unswapped value of `size` bytes with. */
export function bitsConstant(k: number, size: number): number {
  if (size === 4) return swap32(k);
  return size === 2 ? ((k & 0xff) << 8) | ((k >> 8) & 0xff) : k;
}

function swap32(k: number): number {
  return ((k & 0xff) << 24) | ((k & 0xff00) << 8) | ((k >>> 8) & 0xff00) | (k >>> 24);
}
