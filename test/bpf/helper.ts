/** A descriptor table without a data plane: the test itself taps frames, each with its number in the first byte. */
import { Arena, FIRST_WORKER } from '../../src/arena/arena.ts';
import { Heap } from '../../src/arena/heap.ts';
import { bpfTap } from '../../src/bpf/bpf-if.ts';
import type { Attachment } from '../../src/bpf/descriptor.ts';
import { DescriptorTable } from '../../src/bpf/descriptor-table.ts';
import { DIRECTION_IN, frames } from '../../src/bpf/record.ts';
import { type AttachOptions, CONTROL_OWNER } from '../../src/bpf/types.ts';
import type { SendOptions } from '../../src/bpf/writer.ts';
import { Program } from '../../vm/index.ts';

/** Hardware address of the interface. */
export const ADDRESS: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const FRAME_BYTES = 100;
/** Record header 24 + 100, padded to 8. */
export const RECORD_BYTES = 128;

export const options: AttachOptions = {
  filter: '',
  program: Program.from([]),
  direction: 'inout',
  immediate: false,
  readTimeoutMs: 5,
  bufferBytes: 4096,
  owner: CONTROL_OWNER,
};

export type Sent = { readonly frame: Uint8Array; readonly how: SendOptions };

export type Fixture = {
  readonly arena: Arena;
  readonly heap: Heap;
  readonly table: DescriptorTable;
  readonly attachment: Attachment;
  /** Taps `count` frames whose first byte is their number, beginning with `first`. */
  readonly tap: (count: number, origin?: number, first?: number) => void;
  /** What was written to the interface. */
  readonly sent: Sent[];
};

export function setUp(): Fixture {
  const capacity = { workers: 1, interfaces: 2, directions: 1, descriptors: 4 };
  const arena = Arena.create({
    ...capacity,
    slotsPerWorker: 2,
    slotBytes: 2048,
    superFramesPerWorker: 0,
    heapBytes: 2 ** 20,
  });
  const heap = new Heap(arena.heap, arena.capacity.heapBytes);
  const table = new DescriptorTable(arena, heap);
  const sent: Sent[] = [];
  const attachment = {
    name: 'a:eth0',
    index: 0,
    generation: 0,
    linkType: 1,
    mtu: 1500,
    address: ADDRESS,
    write: async (frame: Uint8Array, how: SendOptions): Promise<void> => void sent.push({ frame, how }),
  };
  const tap = (count: number, direction = DIRECTION_IN, first = 0): void => {
    for (let i = 0; i < count; i++) {
      arena.u8[arena.frames] = first + i;
      const stamp = { seconds: 1_700_000_000, nanoseconds: i, uptimeSeconds: 60, uptimeNanoseconds: i };
      bpfTap(arena, FIRST_WORKER, 0, arena.frames, FRAME_BYTES, direction, stamp);
    }
  };
  return { arena, heap, table, attachment, tap, sent };
}

export const numbers = (batch: Uint8Array | undefined): number[] =>
  [...frames(batch!)].map((each) => each.bytes[0]!);
