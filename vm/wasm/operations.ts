/** Code for instructions that do not jump: loads, stores, arithmetic, register moves. */

import {
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_DIV,
  BPF_H,
  BPF_IMM,
  BPF_IND,
  BPF_LD,
  BPF_LDX,
  BPF_LEN,
  BPF_LSH,
  BPF_MEM,
  BPF_MISC,
  BPF_MOD,
  BPF_MUL,
  BPF_NEG,
  BPF_OR,
  BPF_RSH,
  BPF_ST,
  BPF_STX,
  BPF_SUB,
  BPF_TAX,
  BPF_W,
  BPF_X,
  BPF_XOR,
  type Dialect,
  type Instruction,
} from '../instruction.ts';
import {
  META_HARDWARE_TYPE,
  META_INTERFACE_INDEX,
  META_RANDOM_STATE,
  META_XOR_X,
  SKF_AD_OFF,
  SKF_LL_OFF,
} from '../metadata.ts';
import { isAncillary } from './flow.ts';
import { type FunctionBuilder, type Label, MEMORY_OP, OP } from './function-builder.ts';
import type { Helpers } from './helpers.ts';
import { checkLength, type PacketLocals, pushLoad } from './packet-access.ts';
import type { LocalPool, Registers } from './registers.ts';

/** The function that code goes to, and what all of it shares. */
export type Target = {
  readonly f: FunctionBuilder;
  readonly packet: PacketLocals;
  readonly pool: LocalPool;
  readonly helpers: Helpers;
};

/** What is known where an instruction stands. */
export type Place = {
  readonly dialect: Dialect;
  readonly registers: Registers;
  /** Where to go when the packet is rejected. */
  readonly reject: Label;
  /** Bytes that the packet is known to have. */
  readonly known: number;
  /** Whether a load may leave its value unswapped. */
  readonly unswapped: boolean;
};

/** Emits one instruction that neither jumps nor returns. Returns how many bytes the packet is then known to have. */
export function emitOperation(target: Target, place: Place, instruction: Instruction): number {
  const { f } = target;
  const { registers } = place;
  const { code, k } = instruction;
  switch (code & 0x07) {
    case BPF_LD:
      return emitLoad(target, place, instruction);
    case BPF_LDX:
      return emitIndexLoad(target, place, instruction);
    case BPF_ST:
    case BPF_STX:
      f.get((code & 0x07) === BPF_ST ? registers.a : registers.x);
      f.set(registers.scratch(k));
      return place.known;
    case BPF_ALU:
      emitArithmetic(f, place, instruction);
      return place.known;
    case BPF_MISC:
      f.get(code === (BPF_MISC | BPF_TAX) ? registers.a : registers.x);
      f.set(code === (BPF_MISC | BPF_TAX) ? registers.x : registers.a);
      return place.known;
    default:
      throw new TypeError(`instruction ${code} is a jump or a return`);
  }
}

function emitLoad(target: Target, place: Place, instruction: Instruction): number {
  const { f, packet } = target;
  const { registers, known, dialect } = place;
  const { code, k } = instruction;
  switch (code) {
    case BPF_LD | BPF_IMM:
      f.i32(k);
      break;
    case BPF_LD | BPF_MEM:
      f.get(registers.scratch(k));
      break;
    case BPF_LD | BPF_LEN:
      f.get(packet.wireLength);
      break;
    default:
      if (dialect === 'linux' && isAncillary(instruction)) {
        pushAncillary(target, place, k);
        break;
      }
      return emitPacketLoad(target, place, instruction);
  }
  f.set(registers.a);
  return known;
}

/** `ld`, `ldh`, `ldb` from `[k]` or `[x + k]`. */
function emitPacketLoad(target: Target, place: Place, { code, k }: Instruction): number {
  const { f, packet, pool } = target;
  const { registers, reject, dialect } = place;
  const size = loadSize(code);
  const indexed = (code & 0xe0) === BPF_IND;
  const load = (pushBase: () => void, offset: number): void => {
    pushLoad(f, pushBase, offset, size, !place.unswapped, () => pool.temporary());
    f.set(registers.a);
  };
  if (dialect === 'linux' && (indexed || k >= SKF_LL_OFF)) {
    const resolved = pushResolved(target, place, indexed, k, size);
    load(resolved, 0);
    return place.known;
  }
  const known = checkLength(f, packet, k + size, place.known, reject);
  if (!indexed) {
    load(() => f.get(packet.offset), k);
    return known;
  }
  // bufferLength >= k + size holds here, so the difference does not wrap.
  if (k + size <= 0xffffffff) {
    f.get(registers.x);
    f.get(packet.bufferLength);
    f.i32(k + size);
    f.op(OP.i32Sub, OP.i32GtU);
    f.brIf(reject);
  }
  load(() => {
    f.get(packet.offset);
    f.get(registers.x);
    f.op(OP.i32Add);
  }, k);
  return known;
}

function loadSize(code: number): number {
  const size = code & 0x18;
  if (size === BPF_W) return 4;
  return size === BPF_H ? 2 : 1;
}

/** Resolves an address of the linux dialect that may name a header; returns what pushes it as a memory address. */
function pushResolved(
  target: Target,
  { registers, reject }: Place,
  indexed: boolean,
  k: number,
  size: number,
): () => void {
  const { f, packet, pool, helpers } = target;
  f.i32(k);
  if (indexed) {
    f.get(registers.x);
    f.op(OP.i32Add);
  }
  f.i32(size);
  f.get(packet.bufferLength);
  f.call(helpers.resolveAddress());
  const address = pool.temporary();
  f.tee(address);
  f.i32(0);
  f.op(OP.i32LtS);
  f.brIf(reject);
  f.get(packet.offset);
  f.get(address);
  f.op(OP.i32Add);
  f.set(address);
  return () => f.get(address);
}

/** Pushes the value of an ancillary load. */
function pushAncillary({ f, helpers }: Target, { registers, reject }: Place, k: number): void {
  const index = (k - SKF_AD_OFF) / 4;
  const word = (at: number): void => {
    f.i32(0);
    f.memory(MEMORY_OP.i32Load, helpers.metadataOffset + 4 * at);
  };
  if (index === META_XOR_X) {
    f.get(registers.a);
    f.get(registers.x);
    f.op(OP.i32Xor);
    return;
  }
  if (index === META_RANDOM_STATE) {
    f.call(helpers.drawRandom());
    return;
  }
  if (index === META_INTERFACE_INDEX || index === META_HARDWARE_TYPE) {
    word(META_INTERFACE_INDEX);
    f.op(OP.i32Eqz);
    f.brIf(reject);
  }
  word(index);
}

function emitIndexLoad(target: Target, place: Place, { code, k }: Instruction): number {
  const { f, packet } = target;
  const { registers, reject, dialect } = place;
  let known = place.known;
  switch (code) {
    case BPF_LDX | BPF_IMM:
      f.i32(k);
      break;
    case BPF_LDX | BPF_MEM:
      f.get(registers.scratch(k));
      break;
    case BPF_LDX | BPF_LEN:
      f.get(packet.wireLength);
      break;
    default: {
      let pushBase = (): void => f.get(packet.offset);
      let offset = k;
      if (dialect === 'linux' && k >= SKF_LL_OFF) {
        pushBase = pushResolved(target, place, false, k, 1);
        offset = 0;
      } else known = checkLength(f, packet, k + 1, known, reject);
      pushBase();
      f.memory(MEMORY_OP.i32Load8U, offset);
      f.i32(0x0f);
      f.op(OP.i32And);
      f.i32(2);
      f.op(OP.i32Shl);
    }
  }
  f.set(registers.x);
  return known;
}

/** Arithmetic that is one instruction in wasm too, by the operation's bits of the BPF opcode. */
export const SIMPLE_ARITHMETIC: ReadonlyMap<number, (typeof OP)[keyof typeof OP]> = new Map([
  [BPF_ADD, OP.i32Add],
  [BPF_SUB, OP.i32Sub],
  [BPF_MUL, OP.i32Mul],
  [BPF_DIV, OP.i32DivU],
  [BPF_MOD, OP.i32RemU],
  [BPF_OR, OP.i32Or],
  [BPF_AND, OP.i32And],
  [BPF_XOR, OP.i32Xor],
  [BPF_LSH, OP.i32Shl],
  [BPF_RSH, OP.i32ShrU],
]);

function emitArithmetic(
  f: FunctionBuilder,
  { registers, reject, dialect }: Place,
  { code, k }: Instruction,
): void {
  const operation = code & 0xf0;
  const { a, x } = registers;
  const byX = (code & BPF_X) !== 0;
  const shifts = operation === BPF_LSH || operation === BPF_RSH;
  if (operation === BPF_NEG) {
    f.i32(0);
    f.get(a);
    f.op(OP.i32Sub);
  } else if (shifts && !byX && k >= 32) f.i32(0);
  else {
    if ((operation === BPF_DIV || operation === BPF_MOD) && byX) {
      f.get(x);
      f.op(OP.i32Eqz);
      f.brIf(reject);
    }
    f.get(a);
    if (byX) f.get(x);
    else f.i32(k);
    f.op(SIMPLE_ARITHMETIC.get(operation)!);
    // wasm shifts by the low five bits, as linux does; bsd gives 0 from 32 on.
    if (shifts && byX && dialect === 'bsd') {
      f.i32(0);
      f.get(x);
      f.i32(32);
      f.op(OP.i32LtU, OP.select);
    }
  }
  f.set(a);
}
