/** Runs programs fused, and one by one, so that tests can compare. */

import { compileFused, MATCH_BYTES, type Program } from '../../../vm/index.ts';

const PACKET_OFFSET = 65536;
const RESULT_OFFSET = 256;
const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const memoryBytes = new Uint8Array(memory.buffer);
const memoryWords = new Int32Array(memory.buffer);

/** A function that returns each program's verdict over a packet, all found by one fused call. */
export function prepareFused(
  programs: readonly Program[],
): (packet: Uint8Array, wireLength?: number) => number[] {
  const match = compileFused(programs, { memory });
  return (packet, wireLength = packet.length) => {
    // Beyond the packet lies something that a filter would take for a value.
    memoryBytes.fill(1, PACKET_OFFSET, PACKET_OFFSET + packet.length + 16);
    memoryBytes.set(packet, PACKET_OFFSET);
    const count = match(PACKET_OFFSET, wireLength, packet.length, RESULT_OFFSET);
    const verdicts = programs.map(() => 0);
    for (let i = 0; i < count; i++) {
      const at = (RESULT_OFFSET + i * MATCH_BYTES) / 4;
      const index = memoryWords[at]!;
      if (verdicts[index] !== 0) throw new Error(`filter ${index} matched twice, or there is no such filter`);
      verdicts[index] = memoryWords[at + 1]! >>> 0;
    }
    return verdicts;
  };
}
