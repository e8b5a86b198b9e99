/**
 * Puts function bodies together into a WebAssembly module that imports one memory, and instantiates it.
 *
 * The module imports `e.m`, shared or not as the given memory is, and exports its functions by name.
 */

import { ByteWriter } from './bytes.ts';
import type { FunctionBuilder } from './function-builder.ts';
import { I32 } from './function-builder.ts';

/** A memory to compile against: a `WebAssembly.Memory`, or anything else with its buffer. */
export type MemoryLike = { readonly buffer: ArrayBufferLike };

/** A compiled module: a `WebAssembly.Module`. Named without the global, which not every consumer's types have. */
export type ModuleLike = object;

/** A function of the module; all parameters and results are i32. */
export type ModuleFunction = {
  readonly builder: FunctionBuilder;
  readonly parameters: number;
  readonly results: 0 | 1;
  /** The name under which it is exported, if it is. */
  readonly exportName?: string;
};

/** Pages of 64 KiB in the largest memory there is: what an import of shared memory must at least allow. */
const MAXIMUM_PAGES = 65536;

/** Whether a memory is shared between threads; some browsers have no SharedArrayBuffer to compare with. */
export function isShared(memory: MemoryLike): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
}

/** The module's bytes. */
export function encodeModule(functions: readonly ModuleFunction[], shared: boolean): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  section(out, 1, (types) => {
    types.unsigned(functions.length);
    for (const { parameters, results } of functions) {
      types.byte(0x60);
      types.unsigned(parameters);
      for (let i = 0; i < parameters; i++) types.byte(I32);
      types.unsigned(results);
      if (results === 1) types.byte(I32);
    }
  });
  section(out, 2, (imports) => {
    imports.unsigned(1);
    imports.name('e');
    imports.name('m');
    imports.bytes([0x02, shared ? 0x03 : 0x00, 0x00]);
    if (shared) imports.unsigned(MAXIMUM_PAGES);
  });
  section(out, 3, (declarations) => {
    declarations.unsigned(functions.length);
    for (const index of functions.keys()) declarations.unsigned(index);
  });
  section(out, 7, (exports) => {
    const exported = [...functions.entries()].filter(([, { exportName }]) => exportName !== undefined);
    exports.unsigned(exported.length);
    for (const [index, { exportName }] of exported) {
      exports.name(exportName!);
      exports.byte(0x00);
      exports.unsigned(index);
    }
  });
  section(out, 10, (code) => {
    code.unsigned(functions.length);
    for (const { builder } of functions) code.bytes(builder.finish());
  });
  return out.finish();
}

function section(out: ByteWriter, id: number, write: (body: ByteWriter) => void): void {
  const body = new ByteWriter();
  write(body);
  out.byte(id);
  out.unsigned(body.length);
  out.bytes(body.finish());
}

/** Instantiates a module, compiling it first if need be, over `memory`; returns its export `name`. */
export function instantiate(
  module: Uint8Array<ArrayBuffer> | ModuleLike,
  memory: MemoryLike,
  name: string,
): (...args: number[]) => number {
  const compiled =
    module instanceof Uint8Array ? new WebAssembly.Module(module) : (module as WebAssembly.Module);
  const { exports } = new WebAssembly.Instance(compiled, { e: { m: memory } });
  return exports[name] as (...args: number[]) => number;
}
