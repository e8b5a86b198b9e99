/**
 * A filter over packets that were read from a capture, many at a time. In wasm a batch of them is copied into one
 * memory and decided by one call; the interpreter, and programs that read metadata, take them one by one.
 */
import {
  BATCH_VERDICT,
  BATCH_WORDS,
  type BatchMatcher,
  compileBatch,
  createMatcher,
  type Engine,
  type Program,
} from '../../../vm/index.ts';
import type { CapturePacket } from '../../capture/packet.ts';
import { metadataOf } from './packet-metadata.ts';

/** Decides packets: writes what is to be kept of each, 0 where it does not match. */
export type PacketFilter = (packets: readonly CapturePacket[], verdicts: Uint32Array) => void;

/** Makes a filter of a program; what `memory` holds is used up within each call, so filters share one. */
export function packetFilter(program: Program, engine: Engine, memory: BatchMemory): PacketFilter {
  if (engine === 'wasm' && program.dialect === 'bsd') {
    const match = compileBatch(program, memory);
    return (packets, verdicts) => memory.decide(match, packets, verdicts);
  }
  const match = createMatcher(program, { engine });
  const isLinux = program.dialect === 'linux';
  let decided = 0;
  return (packets, verdicts) => {
    for (const [i, packet] of packets.entries()) {
      const metadata = isLinux ? metadataOf(packet, decided++) : undefined;
      verdicts[i] = match(packet.bytes, packet.wireLength, metadata);
    }
  };
}

const PAGE_BYTES = 65536;
/** Packets in one call. */
const MAX_PACKETS = 1024;
/** The records come first. */
const PACKETS_OFFSET: number = MAX_PACKETS * BATCH_WORDS * 4;
/** Room for a good number of packets; it grows for a packet that is larger. */
const INITIAL_PAGES = 17;

/** The memory that batches are copied into. */
export class BatchMemory {
  readonly memory: WebAssembly.UnsharedMemory = new WebAssembly.Memory({ initial: INITIAL_PAGES });
  #bytes = new Uint8Array(this.memory.buffer);
  #records = new Int32Array(this.memory.buffer, 0, MAX_PACKETS * BATCH_WORDS);

  /** Runs a program, compiled for this memory, over all packets. */
  decide(match: BatchMatcher, packets: readonly CapturePacket[], verdicts: Uint32Array): void {
    for (let first = 0; first < packets.length; ) {
      const next = this.#place(packets, first);
      match(0, next - first);
      for (let i = first; i < next; i++) {
        verdicts[i] = this.#records[(i - first) * BATCH_WORDS + BATCH_VERDICT]!;
      }
      first = next;
    }
  }

  /** Copies packets from `first` on, at least one and as many as fit. Returns the first that did not. */
  #place(packets: readonly CapturePacket[], first: number): number {
    const end = Math.min(packets.length, first + MAX_PACKETS);
    let record = 0;
    let at = PACKETS_OFFSET;
    for (let i = first; i < end; i++) {
      const { bytes, wireLength } = packets[i]!;
      if (at + bytes.length > this.#bytes.length) {
        if (i > first) return i;
        this.#grow(at + bytes.length);
      }
      this.#bytes.set(bytes, at);
      const records = this.#records;
      records[record] = at;
      records[record + 1] = wireLength;
      records[record + 2] = bytes.length;
      record += BATCH_WORDS;
      at += bytes.length;
    }
    return end;
  }

  #grow(length: number): void {
    this.memory.grow(Math.ceil((length - this.#bytes.length) / PAGE_BYTES));
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#records = new Int32Array(this.memory.buffer, 0, MAX_PACKETS * BATCH_WORDS);
  }
}
