/** The engines under one signature, so that a table of programs can be run through each of them. */

import type { FrameMetadata, Program } from '../../../vm/index.ts';
import {
  BATCH_VERDICT,
  BATCH_WORDS,
  compileBatch,
  compileWasm,
  METADATA_WORDS,
  packMetadata,
  runProgram,
} from '../../../vm/index.ts';
import { META_RANDOM_STATE, SKF_AD_OFF } from '../../../vm/metadata.ts';

/** Runs a program over one packet of which `bufferLength` bytes are there. */
export type RunPacket = (
  packet: Uint8Array,
  wireLength?: number,
  bufferLength?: number,
  metadata?: FrameMetadata,
) => number;

export type EngineUnderTest = { readonly engine: string; readonly prepare: (program: Program) => RunPacket };

const RECORDS_OFFSET = 1024;
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

/** A packet in a batch, behind one that leaves other values in all registers: the packet without its first byte. */
function prepareBatch(program: Program): RunPacket {
  const run = compileBatch(program, { memory, metadataOffset: 64 });
  const records = new Int32Array(memory.buffer, RECORDS_OFFSET, 2 * BATCH_WORDS);
  return (packet, wireLength = packet.length, bufferLength = packet.length, metadata = {}) => {
    packMetadata(metadata, memoryMetadata);
    memoryBytes.fill(1, PACKET_OFFSET, PACKET_OFFSET + packet.length + 16);
    memoryBytes.set(packet, PACKET_OFFSET);
    records.set([PACKET_OFFSET + 1, ~wireLength, Math.max(0, bufferLength - 1), 7]);
    records.set([PACKET_OFFSET, wireLength, bufferLength, 7], BATCH_WORDS);
    // Every packet draws random numbers of its own, so the packet itself must be the first to.
    const before = drawsRandom(program) ? 0 : 1;
    const first = RECORDS_OFFSET + 4 * BATCH_WORDS * (1 - before);
    const accepted = run(first, 1 + before);
    const verdicts = [0, 1].map((i) => records[i * BATCH_WORDS + BATCH_VERDICT]! >>> 0).slice(1 - before);
    if (accepted !== verdicts.filter((verdict) => verdict !== 0).length) {
      throw new Error(`the batch says ${accepted} packets are accepted, the verdicts are ${verdicts}`);
    }
    return verdicts.at(-1)!;
  };
}

function drawsRandom({ dialect, instructions }: Program): boolean {
  return dialect === 'linux' && instructions.some(({ k }) => k === SKF_AD_OFF + 4 * META_RANDOM_STATE);
}

export const ENGINES: readonly EngineUnderTest[] = [
  { engine: 'interpreter', prepare: prepareInterpreter },
  { engine: 'wasm', prepare: prepareWasm },
  { engine: 'batch', prepare: prepareBatch },
];
