/** The interpreter for packets in ordinary arrays; run-program.ts is its core. */

import { type FrameMetadata, METADATA_WORDS, packMetadata } from './metadata.ts';
import type { Program } from './program.ts';
import { runProgram } from './run-program.ts';

/** The packed form of the program that was run last, so that running one again does not copy it again. */
let lastProgram: Program | undefined;
let lastWords: Int32Array = new Int32Array(0);
const NO_METADATA: FrameMetadata = {};
const packedMetadata = new Int32Array(METADATA_WORDS);

/**
 * Runs `program` over one packet.
 *
 * @param wireLength the packet's length on the wire, when `packet` was cut short; its length unless told
 * @param metadata what a program of the `linux` dialect can load beside the packet
 * @returns bytes of the packet to keep, 0 to reject
 */
export function interpret(
  program: Program,
  packet: Uint8Array,
  wireLength: number = packet.length,
  metadata: FrameMetadata = NO_METADATA,
): number {
  if (program !== lastProgram) {
    lastProgram = program;
    lastWords = program.words;
  }
  const isLinux = program.dialect === 'linux';
  if (isLinux) packMetadata(metadata, packedMetadata);
  return runProgram(
    lastWords,
    0,
    program.length,
    packet,
    0,
    wireLength,
    packet.length,
    isLinux ? packedMetadata : null,
  );
}
