/** The engines under one signature, so that a table of programs can be run through each of them. */

import type { FrameMetadata, Program } from '../../../vm/index.ts';
import { compileWasm, METADATA_WORDS, packMetadata, runProgram } from '../../../vm/index.ts';

/** Runs a program over one packet of which `bufferLength` bytes are there. */
export type RunPacket = (
  packet: Uint8Array,
  wireLength?: number,
  bufferLength?: number,
  metadata?: FrameMetadata,
) => number;

export type EngineUnderTest = { readonly engine: string; readonly prepare: (program: Program) => RunPacket };

const PACKET_OFFSET = 4096;
const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const memoryBytes = new Uint8Array(memory.buffer);
const memoryMetadata = new Int32Array(memory.buffer, 64, METADATA_WORDS);

function prepareInterpreter(program: Program): RunPacket {
  const packed = program.dialect === 'linux' ? new Int32Array(METADATA_WORDS) : null;
  const { words, length } = program;
  return (packet, wireLength = packet.length, bufferLength = packet.length, metadata = {}) => {
    if (packed !== null) packMetadata(metadata, packed);
    return runProgram(words, 0, length, packet, 0, wireLength, bufferLength, packed);
  };
}

function prepareWasm(program: Program): RunPacket {
  const run = compileWasm(program, { memory, metadataOffset: 64 });
  return (packet, wireLength = packet.length, bufferLength = packet.length, metadata = {}) => {
    packMetadata(metadata, memoryMetadata);
    // Beyond the packet lies something that a filter would take for a value.
    memoryBytes.fill(1, PACKET_OFFSET, PACKET_OFFSET + packet.length + 16);
    memoryBytes.set(packet, PACKET_OFFSET);
    return run(PACKET_OFFSET, wireLength, bufferLength);
  };
}

export const ENGINES: readonly EngineUnderTest[] = [
  { engine: 'interpreter', prepare: prepareInterpreter },
  { engine: 'wasm', prepare: prepareWasm },
];
