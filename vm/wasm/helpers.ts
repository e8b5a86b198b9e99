/**
 * Functions of a module beside its main one: what several places call, and whole programs compiled by themselves.
 * Helpers are added when first asked for. All take and return int32.
 */

import { MATCH_BYTES } from '../fused.ts';
import {
  META_NETWORK_OFFSET,
  META_RANDOM_STATE,
  RANDOM_INCREMENT,
  REJECTED,
  SKF_LL_OFF,
  SKF_NET_OFF,
} from '../metadata.ts';
import { FunctionBuilder, I32, MEMORY_OP, OP } from './function-builder.ts';
import type { ModuleFunction } from './module.ts';

export class Helpers {
  /** The functions, in the order of their indices after the main function's, which is 0. */
  readonly functions: ModuleFunction[] = [];
  readonly #metadataOffset: number | undefined;
  #resolve: number | undefined;
  #random: number | undefined;
  #emit: number | undefined;

  /** @param metadataOffset address of packed metadata in the memory, if there is any */
  constructor(metadataOffset: number | undefined) {
    this.#metadataOffset = metadataOffset;
  }

  /** Address of packed metadata in the memory. Throws TypeError when nobody has said where that is. */
  get metadataOffset(): number {
    if (this.#metadataOffset === undefined) {
      throw new TypeError(
        'a program of the linux dialect reads metadata: say at which metadataOffset they lie',
      );
    }
    return this.#metadataOffset;
  }

  /** Adds a function and returns its index for calls. */
  add(builder: FunctionBuilder, parameters: number): number {
    this.functions.push({ builder, parameters, results: 1 });
    return this.functions.length;
  }

  /** `(at, size, bufferLength)`: where a load of the linux dialect reads, or REJECTED; resolveAddress in wasm. */
  resolveAddress(): number {
    this.#resolve ??= this.add(resolveAddressBody(this.metadataOffset), 3);
    return this.#resolve;
  }

  /** `()`: the next number of `rand`; drawRandom in wasm. */
  drawRandom(): number {
    this.#random ??= this.add(drawRandomBody(this.metadataOffset), 0);
    return this.#random;
  }

  /** `(out, index, snapLength)`: writes one match at `out`, returns the address after it. */
  emitMatch(): number {
    this.#emit ??= this.add(emitMatchBody(), 3);
    return this.#emit;
  }
}

function emitMatchBody(): FunctionBuilder {
  const [out, index, snapLength] = [0, 1, 2];
  const f = new FunctionBuilder(3);
  f.get(out);
  f.get(index);
  f.memory(MEMORY_OP.i32Store, 0);
  f.get(out);
  f.get(snapLength);
  f.memory(MEMORY_OP.i32Store, 4);
  f.get(out);
  f.i32(MATCH_BYTES);
  f.op(OP.i32Add);
  return f;
}

function resolveAddressBody(metadataOffset: number): FunctionBuilder {
  const [at, size, bufferLength] = [0, 1, 2];
  const f = new FunctionBuilder(3);
  const reject = f.block();
  const resolved = f.block();
  f.get(at);
  f.i32(0);
  f.op(OP.i32GeS);
  f.brIf(resolved);
  // at in [SKF_NET_OFF, 0): from the network header; in [SKF_LL_OFF, SKF_NET_OFF): from the packet's start.
  const link = f.block();
  f.get(at);
  f.i32(SKF_NET_OFF);
  f.op(OP.i32LtS);
  f.brIf(link);
  f.get(at);
  f.i32(SKF_NET_OFF);
  f.op(OP.i32Sub);
  f.i32(0);
  f.memory(MEMORY_OP.i32Load, metadataOffset + 4 * META_NETWORK_OFFSET);
  f.op(OP.i32Add);
  f.tee(at);
  f.i32(0);
  f.op(OP.i32LtS);
  f.brIf(reject);
  f.br(resolved);
  f.end(link);
  f.get(at);
  f.i32(SKF_LL_OFF);
  f.op(OP.i32LtS);
  f.brIf(reject);
  f.get(at);
  f.i32(SKF_LL_OFF);
  f.op(OP.i32Sub);
  f.set(at);
  f.end(resolved);
  f.get(at);
  f.get(size);
  f.op(OP.i32Add);
  f.get(bufferLength);
  f.op(OP.i32GtU);
  f.brIf(reject);
  f.get(at);
  f.op(OP.return);
  f.end(reject);
  f.i32(REJECTED);
  return f;
}

function drawRandomBody(metadataOffset: number): FunctionBuilder {
  const stateAddress = metadataOffset + 4 * META_RANDOM_STATE;
  const f = new FunctionBuilder(0);
  const state = f.local(I32);
  const mixed = f.local(I32);
  f.i32(0);
  f.i32(0);
  f.memory(MEMORY_OP.i32Load, stateAddress);
  f.i32(RANDOM_INCREMENT);
  f.op(OP.i32Add);
  f.tee(state);
  f.memory(MEMORY_OP.i32Store, stateAddress);
  // mixed = (state ^ state >>> 15) * (state | 1)
  xorShifted(f, state, 15);
  f.get(state);
  f.i32(1);
  f.op(OP.i32Or, OP.i32Mul);
  f.set(mixed);
  // mixed ^= mixed + (mixed ^ mixed >>> 7) * (mixed | 61)
  f.get(mixed);
  f.get(mixed);
  xorShifted(f, mixed, 7);
  f.get(mixed);
  f.i32(61);
  f.op(OP.i32Or, OP.i32Mul, OP.i32Add, OP.i32Xor);
  f.set(mixed);
  xorShifted(f, mixed, 14);
  return f;
}

/** Pushes `local ^ local >>> bits`. */
function xorShifted(f: FunctionBuilder, local: number, bits: number): void {
  f.get(local);
  f.get(local);
  f.i32(bits);
  f.op(OP.i32ShrU, OP.i32Xor);
}
