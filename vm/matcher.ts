/**
 * `createMatcher`: a program as a function over packets in ordinary arrays, whichever engine runs it.
 *
 * The wasm engine needs packets in wasm memory; the matchers of a thread share one memory, into which each call
 * copies its packet (about 20 ns for a frame of 1,500 bytes). Where frames lie in wasm memory already, compileWasm
 * saves the copy.
 */

import { type FrameMetadata, METADATA_WORDS, packMetadata } from './metadata.ts';
import type { Program } from './program.ts';
import { runProgram } from './run-program.ts';
import { compileWasm } from './wasm.ts';

/** How programs are run. */
export type Engine = 'wasm' | 'interpreter';

/**
 * Runs a program over one packet; `wireLength` is the packet's length unless told, `metadata` what programs of the
 * linux dialect can load beside it. Returns the bytes to keep, 0 to reject.
 */
export type Matcher = (packet: Uint8Array, wireLength?: number, metadata?: FrameMetadata) => number;

const PAGE_BYTES = 65536;
const PACKET_OFFSET: number = METADATA_WORDS * 4;
const NO_METADATA: FrameMetadata = {};

/** The memory of this thread's matchers: metadata, then the packet. Made when the first one is. */
let memory: WebAssembly.UnsharedMemory | undefined;
let memoryBytes = new Uint8Array(0);
let memoryMetadata = new Int32Array(0);

/** Grows the memory until a packet of `length` bytes fits, and renews the views that growing detached. */
function reserve(length: number): WebAssembly.UnsharedMemory {
  memory ??= new WebAssembly.Memory({ initial: 2 });
  const missing = PACKET_OFFSET + length - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  if (memoryBytes.buffer !== memory.buffer) {
    memoryBytes = new Uint8Array(memory.buffer);
    memoryMetadata = new Int32Array(memory.buffer, 0, METADATA_WORDS);
  }
  return memory;
}

/**
 * Makes a matcher for `program`; the engine is wasm unless told, or the interpreter where WebAssembly is not to be
 * had. An engine that was asked for and cannot run is an error.
 */
export function createMatcher(
  program: Program,
  options: { readonly engine?: Engine | undefined } = {},
): Matcher {
  const engine = options.engine ?? preferredEngine();
  if (engine === 'wasm') return createWasmMatcher(program);
  if (engine === 'interpreter') return createInterpreterMatcher(program);
  throw new TypeError(`unknown engine '${String(engine)}': use 'wasm' or 'interpreter'`);
}

/** The smallest module; compiling it tells whether a page's security policy allows any. */
const EMPTY_MODULE = new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);

let preferred: Engine | undefined;

function preferredEngine(): Engine {
  if (preferred === undefined) {
    try {
      new WebAssembly.Module(EMPTY_MODULE);
      preferred = 'wasm';
    } catch {
      preferred = 'interpreter';
    }
  }
  return preferred;
}

function createWasmMatcher(program: Program): Matcher {
  const run = compileWasm(program, { memory: reserve(0), metadataOffset: 0 });
  const isLinux = program.dialect === 'linux';
  return (packet, wireLength = packet.length, metadata = NO_METADATA) => {
    if (packet.length > memoryBytes.length - PACKET_OFFSET) reserve(packet.length);
    if (isLinux) packMetadata(metadata, memoryMetadata);
    memoryBytes.set(packet, PACKET_OFFSET);
    return run(PACKET_OFFSET, wireLength, packet.length);
  };
}

function createInterpreterMatcher(program: Program): Matcher {
  const { words, length } = program;
  const packed = program.dialect === 'linux' ? new Int32Array(METADATA_WORDS) : null;
  return (packet, wireLength = packet.length, metadata = NO_METADATA) => {
    if (packed !== null) packMetadata(metadata, packed);
    return runProgram(words, 0, length, packet, 0, wireLength, packet.length, packed);
  };
}
