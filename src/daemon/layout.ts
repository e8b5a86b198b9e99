/**
 * How large an arena a lab gets.
 */
import type { Capacity } from '../arena/arena.ts';
import type { Lab } from '../lab/model.ts';

/** Address space for frames, over all workers. Pages are taken from the system as frames are in flight. */
const FRAME_BYTES = 512 * 2 ** 20;
/** Enough for 100 ms at 5 Gbit/s in full-sized frames. */
const MAX_SLOTS = 65_536;
/** Address space for programs and capture buffers: 500 descriptors with the default buffers. */
const HEAP_BYTES = 512 * 2 ** 20;
const MAX_DESCRIPTORS = 4_096;
/** Ethernet header and VLAN tag. */
const LINK_HEADER = 18;

/** The capacity a lab needs. */
export function capacityOf(lab: Lab): Capacity {
  const interfaces = lab.nodes.flatMap((node) => node.interfaces);
  const largestMtu = Math.max(1500, ...interfaces.map((each) => each.mtu));
  // One byte to spare at least, by which a frame that is too long shows.
  const slotBytes = Math.ceil((largestMtu + LINK_HEADER + 1) / 64) * 64;
  const workers = lab.virtual ? 1 : lab.workers;
  return {
    workers,
    interfaces: interfaces.length,
    directions: 2 * lab.links.length,
    descriptors: MAX_DESCRIPTORS,
    slotsPerWorker: Math.min(MAX_SLOTS, Math.floor(FRAME_BYTES / workers / slotBytes)),
    slotBytes,
    heapBytes: HEAP_BYTES,
  };
}
