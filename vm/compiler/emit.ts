/** Builds the statements and tests that predicates are made of: loads at offsets, comparisons of fields. */

import {
  BPF_ABS,
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_B,
  BPF_H,
  BPF_IND,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JSET,
  BPF_LD,
  BPF_LDX,
  BPF_LSH,
  BPF_MEM,
  BPF_MISC,
  BPF_MSH,
  BPF_TAX,
  BPF_W,
  BPF_X,
} from '../instruction.ts';
import { type Context, type Offset, shift } from './context.ts';
import { all, any, not, type Predicate, type Statement, TRUE } from './predicate.ts';

/** Load sizes in bytes. */
export type Size = 1 | 2 | 4;

const SIZE_CODES = { 1: BPF_B, 2: BPF_H, 4: BPF_W } as const;

export function statement(context: Context, code: number, k: number, note: string): Statement {
  return { code, k: k >>> 0, span: context.span, note };
}

/** Loads the bytes at an offset into A; X is overwritten when the offset has a variable part. */
export function load(context: Context, offset: Offset, size: Size, note: string): Statement[] {
  const sizeCode = SIZE_CODES[size];
  if (offset.register === undefined) {
    return [statement(context, BPF_LD | BPF_ABS | sizeCode, offset.constant, note)];
  }
  return [
    statement(context, BPF_LDX | BPF_MEM, offset.register, 'where the tunnelled packet begins'),
    statement(context, BPF_LD | BPF_IND | sizeCode, offset.constant, note),
  ];
}

/** Loads relative to X. */
export function loadIndexed(context: Context, constant: number, size: Size, note: string): Statement {
  return statement(context, BPF_LD | BPF_IND | SIZE_CODES[size], constant, note);
}

/** The network header. */
export function networkHeader(context: Context, bytes: number): Offset {
  return shift(context.payload, context.networkOffset + bytes);
}

/**
 * Puts into X the length of the IPv4 header plus the variable part of the payload's offset: with the constant
 * part of `networkHeader` that is where the transport header begins.
 */
export function indexTransport(context: Context): Statement[] {
  const header = networkHeader(context, 0);
  const note = 'length of the IPv4 header';
  if (header.register === undefined) {
    return [statement(context, BPF_LDX | BPF_MSH | BPF_B, header.constant, note)];
  }
  return [
    ...load(context, header, 1, 'IPv4 version and header length'),
    statement(context, BPF_ALU | BPF_AND, 0x0f, note),
    statement(context, BPF_ALU | BPF_LSH, 2, `${note}, in bytes`),
    statement(context, BPF_ALU | BPF_ADD | BPF_X, 0, 'where the transport header begins'),
    statement(context, BPF_MISC | BPF_TAX, 0, 'where the transport header begins'),
  ];
}

/** Loads from the transport header of an IPv4 packet. */
export function loadTransport(context: Context, bytes: number, size: Size, note: string): Statement[] {
  const { constant } = networkHeader(context, bytes);
  return [...indexTransport(context), loadIndexed(context, constant, size, note)];
}

/** A test of the loaded value. */
export function test(
  context: Context,
  statements: readonly Statement[],
  jump: number,
  k: number,
  note: string,
): Predicate {
  return { kind: 'test', statements, comparison: { jump, k: k >>> 0, span: context.span, note } };
}

/** Loaded value = `value`. */
export function equals(
  context: Context,
  loaded: readonly Statement[],
  value: number,
  note: string,
): Predicate {
  return test(context, loaded, BPF_JEQ, value, note);
}

/** Loaded value & `mask` = `value`, with the shortest code. `bits` is how many bits were loaded. */
export function equalsMasked(
  context: Context,
  loaded: readonly Statement[],
  value: number,
  mask: number,
  note: string,
  bits = 32,
): Predicate {
  if (mask === 0) return value === 0 ? TRUE : not(TRUE);
  if (mask === (bits === 32 ? 0xffffffff : 2 ** bits - 1)) return equals(context, loaded, value, note);
  if (value === 0) return not(test(context, loaded, BPF_JSET, mask, note));
  if (value === mask && (mask & (mask - 1)) === 0) return test(context, loaded, BPF_JSET, mask, note);
  const masked = [...loaded, statement(context, BPF_ALU | BPF_AND, mask, 'the bits that matter')];
  return test(context, masked, BPF_JEQ, value, note);
}

/** Loaded value > `value`. */
export function greater(
  context: Context,
  loaded: readonly Statement[],
  value: number,
  note: string,
): Predicate {
  return test(context, loaded, BPF_JGT, value, note);
}

/** Loaded value is between `low` and `high`, both included. */
export function between(
  context: Context,
  loaded: readonly Statement[],
  low: number,
  high: number,
  note: string,
): Predicate {
  if (low === high) return equals(context, loaded, low, note);
  const atLeast = low === 0 ? TRUE : test(context, loaded, BPF_JGE, low, `${note}: at least ${low}`);
  return all(atLeast, not(test(context, loaded, BPF_JGT, high, `${note}: more than ${high}`)));
}

/** Loaded value is one of `values`. */
export function oneOf(
  context: Context,
  loaded: readonly Statement[],
  values: readonly number[],
  note: (value: number) => string,
): Predicate {
  return any(...values.map((value) => equals(context, loaded, value, note(value))));
}

/** A run of bytes equals `bytes`; compared from the end in words, as the last bytes differ most. */
export function bytesEqual(context: Context, offset: Offset, bytes: Uint8Array, note: string): Predicate {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tests: Predicate[] = [];
  let end = bytes.length;
  while (end > 0) {
    const size: Size = end >= 4 ? 4 : end >= 2 ? 2 : 1;
    end -= size;
    const value = size === 4 ? view.getUint32(end) : size === 2 ? view.getUint16(end) : view.getUint8(end);
    tests.push(equals(context, load(context, shift(offset, end), size, note), value, note));
  }
  return all(...tests);
}
