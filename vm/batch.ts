/**
 * Batches: one call of a wasm function that runs a program over many packets.
 *
 * From JavaScript a call into wasm costs about 4 ns, twice what `tcp port 80` takes itself. Where many packets are at
 * hand at once, as when a capture file is read, the loop over them is better inside. The program's code stands in that
 * loop, not in a function that it calls.
 */

import type { Program } from './program.ts';
import { FunctionBuilder, I32, MEMORY_OP, OP } from './wasm/function-builder.ts';
import { Helpers } from './wasm/helpers.ts';
import { encodeModule, instantiate, isShared } from './wasm/module.ts';
import { emitProgram } from './wasm/program-body.ts';
import { LocalPool } from './wasm/registers.ts';
import type { CompileWasmOptions } from './wasm.ts';

/**
 * A program over `count` packets. Each has a record of BATCH_WORDS little-endian int32 words in the memory, one behind
 * the other from the byte offset `records` on: the packet's offset, its length on the wire, its bytes that are there,
 * and last the verdict, which is written: bytes to keep, 0 to reject. Records and packets lie inside the memory.
 * Returns how many packets are accepted.
 */
export type BatchMatcher = (records: number, count: number) => number;

/** Words of a record: see BatchMatcher. */
export const BATCH_WORDS = 4;
/** The word of a record that holds the verdict. */
export const BATCH_VERDICT = 3;

const RECORD_BYTES: number = BATCH_WORDS * 4;

/**
 * Compiles `program` for batches of packets in `memory`. A program of the linux dialect reads the same metadata, at
 * `metadataOffset`, for all packets of a batch.
 *
 * @throws TypeError or WebAssembly.LinkError as compileWasm
 */
export function compileBatch(program: Program, options: CompileWasmOptions): BatchMatcher {
  const { memory, metadataOffset } = options;
  const helpers = new Helpers(metadataOffset);
  const builder = buildBatchFunction(program, helpers);
  const main = { builder, parameters: 2, results: 1, exportName: 'matchBatch' } as const;
  const bytes = encodeModule([main, ...helpers.functions], isShared(memory));
  return instantiate(bytes, memory, 'matchBatch') as BatchMatcher;
}

function buildBatchFunction(program: Program, helpers: Helpers): FunctionBuilder {
  const f = new FunctionBuilder(2);
  const [record, count] = [0, 1];
  const packet = { offset: f.local(I32), wireLength: f.local(I32), bufferLength: f.local(I32) };
  const verdict = f.local(I32);
  const matches = f.local(I32);
  const target = { f, packet, pool: new LocalPool(f), helpers };
  const end = f.block();
  const next = f.loop();
  f.get(count);
  f.op(OP.i32Eqz);
  f.brIf(end);
  for (const [word, local] of [packet.offset, packet.wireLength, packet.bufferLength].entries()) {
    f.get(record);
    f.memory(MEMORY_OP.i32Load, 4 * word);
    f.set(local);
  }
  f.i32(0);
  f.set(verdict);
  const judged = f.block();
  const leave = (pushVerdict: () => void): void => {
    pushVerdict();
    f.set(verdict);
    f.br(judged);
  };
  emitProgram(target, program, judged, leave, true);
  f.end(judged);
  f.get(record);
  f.get(verdict);
  f.memory(MEMORY_OP.i32Store, 4 * BATCH_VERDICT);
  f.get(matches);
  f.get(verdict);
  f.i32(0);
  f.op(OP.i32Ne, OP.i32Add);
  f.set(matches);
  add(f, record, RECORD_BYTES);
  add(f, count, -1);
  f.br(next);
  f.end(next);
  f.end(end);
  f.get(matches);
  return f;
}

/** Adds a constant to a local. */
function add(f: FunctionBuilder, local: number, constant: number): void {
  f.get(local);
  f.i32(constant);
  f.op(OP.i32Add);
  f.set(local);
}
