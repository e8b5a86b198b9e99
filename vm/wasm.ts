/**
 * The wasm engine: compiles a program to a WebAssembly function that reads the packet where it lies in the given
 * memory. Code is emitted as bytes by hand, it never traps, and its verdicts are the interpreter's.
 */

import { BPF_A, BPF_RET } from './instruction.ts';
import type { Program } from './program.ts';
import { ACCEPT_ALL } from './run-program.ts';
import { analyseShape, emitBody, type Verdict } from './wasm/body.ts';
import { FunctionBuilder, OP } from './wasm/function-builder.ts';
import { Helpers } from './wasm/helpers.ts';
import { encodeModule, instantiate, isShared, type MemoryLike } from './wasm/module.ts';
import { LocalPool } from './wasm/registers.ts';

/**
 * A compiled program. The packet is the `bufferLength` bytes at `offset`, all inside the memory; `wireLength` is
 * what `len` loads. Returns the bytes to keep, 0 to reject, unsigned.
 */
export type CompiledProgram = (offset: number, wireLength: number, bufferLength: number) => number;

/** What to compile for. */
export type CompileWasmOptions = {
  /** The memory that packets lie in; a `WebAssembly.Memory`, shared between threads or not. */
  readonly memory: MemoryLike;
  /** Where in it packed metadata lies (METADATA_WORDS words, see packMetadata): only the linux dialect reads it. */
  readonly metadataOffset?: number | undefined;
};

/** The WebAssembly module of a program: imports the memory `e.m`, exports `match`. */
export function encodeWasm(
  program: Program,
  options: { readonly shared: boolean; readonly metadataOffset?: number | undefined },
): Uint8Array<ArrayBuffer> {
  const helpers = new Helpers(options.metadataOffset ?? 0);
  const builder = buildProgramFunction(program, helpers);
  const main = { builder, parameters: 3, results: 1, exportName: 'match' } as const;
  return encodeModule([main, ...helpers.functions], options.shared);
}

/**
 * Compiles `program` for packets in `memory`.
 *
 * @throws TypeError or WebAssembly.LinkError when `memory` is not a WebAssembly memory
 */
export function compileWasm(program: Program, options: CompileWasmOptions): CompiledProgram {
  const { memory, metadataOffset } = options;
  const bytes = encodeWasm(program, { shared: isShared(memory), metadataOffset });
  const match = instantiate(bytes, memory, 'match');
  return (offset, wireLength, bufferLength) => match(offset, wireLength, bufferLength) >>> 0;
}

/** The function `(offset, wireLength, bufferLength)` of one program by itself. */
export function buildProgramFunction(program: Program, helpers: Helpers): FunctionBuilder {
  const f = new FunctionBuilder(3);
  const { instructions, dialect, hasBackwardJumps } = program;
  if (instructions.length === 0) {
    f.i32(ACCEPT_ALL);
    return f;
  }
  const pool = new LocalPool(f);
  const packet = { offset: 0, wireLength: 1, bufferLength: 2 };
  const shape = analyseShape(instructions, 0, dialect, hasBackwardJumps);
  const exit = f.block();
  const members = [{ instructions, indices: [] }];
  const entry = { members, pc: 0, registers: pool.takeRegisters(), known: 0, picked: [], exit };
  emitBody({ f, packet, pool, helpers }, shape, entry, ({ pc, registers }: Verdict) => {
    const { code, k } = instructions[pc]!;
    if (code === (BPF_RET | BPF_A)) f.get(registers.a);
    else f.i32(k);
    f.op(OP.return);
  });
  f.end(exit);
  f.i32(0);
  return f;
}
