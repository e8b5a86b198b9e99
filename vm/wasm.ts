/**
 * The wasm engine: compiles a program to a WebAssembly function that reads the packet where it lies in the given
 * memory. Code is emitted as bytes by hand, it never traps, and its verdicts are the interpreter's.
 */

import type { Program } from './program.ts';
import { FunctionBuilder, OP } from './wasm/function-builder.ts';
import { Helpers } from './wasm/helpers.ts';
import { encodeModule, instantiate, isShared, type MemoryLike } from './wasm/module.ts';
import { emitProgram } from './wasm/program-body.ts';
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
  /**
   * Where in it packed metadata lies (METADATA_WORDS words, see packMetadata). Needed for programs of the linux
   * dialect that read any; one that draws random numbers writes there too.
   */
  readonly metadataOffset?: number | undefined;
};

/**
 * The WebAssembly module of a program: imports the memory `e.m`, exports `match`.
 *
 * @throws TypeError when the program reads metadata and `metadataOffset` is missing
 */
export function encodeWasm(
  program: Program,
  options: { readonly shared: boolean; readonly metadataOffset?: number | undefined },
): Uint8Array<ArrayBuffer> {
  const helpers = new Helpers(options.metadataOffset);
  const builder = buildProgramFunction(program, helpers);
  const main = { builder, parameters: 3, results: 1, exportName: 'match' } as const;
  return encodeModule([main, ...helpers.functions], options.shared);
}

/**
 * Compiles `program` for packets in `memory`.
 *
 * @throws TypeError or WebAssembly.LinkError when `memory` is not a WebAssembly memory; TypeError when the program
 *   reads metadata and `metadataOffset` is missing
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
  const packet = { offset: 0, wireLength: 1, bufferLength: 2 };
  const target = { f, packet, pool: new LocalPool(f), helpers };
  const exit = f.block();
  emitProgram(target, program, exit, (pushVerdict) => {
    pushVerdict();
    f.op(OP.return);
  });
  f.end(exit);
  f.i32(0);
  return f;
}
