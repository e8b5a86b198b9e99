/**
 * How large an arena a lab gets.
 */
import { type Capacity, SUPER_FRAME_BYTES } from '../arena/arena.ts';
import { SLOT_HEADROOM } from '../engine/frame-pool.ts';
import type { Lab } from '../lab/model.ts';

/** Address space for frames, over all workers. Pages are taken from the system as frames are in flight. */
const FRAME_BYTES = 512 * 2 ** 20;
/** One link may hold four fifths of them (engine/shares.ts): 100,000 frames, 200 ms at 5 Gbit/s. */
const MAX_SLOTS = 131_072;
/** Address space for super-frames, over all workers: 50 ms at 10 Gbit/s. */
const SUPER_BYTES = 64 * 2 ** 20;
/** Address space for programs and capture buffers: 500 descriptors with the default buffers. */
const HEAP_BYTES = 512 * 2 ** 20;
const MAX_DESCRIPTORS = 4_096;
/** Of each worker, while they are recorded: 5 MiB of address space, 130 ms of 500,000 frames/s. */
const DECISIONS_PER_WORKER = 131_072;
/** Ethernet header and VLAN tag. */
const LINK_HEADER_BYTES = 18;
/** Room before and behind a frame: see SLOT_HEADROOM, and one byte by which a frame that is too long shows. */
const SPARE_BYTES = SLOT_HEADROOM + 1;
/** Interfaces and links that can be added while the lab runs, besides what is removed. Records are small: 80 KiB. */
const MORE_INTERFACES = 256;
const MORE_LINKS = 256;
/** As many switches more; what they learn takes 128 KiB each, once they have ports. */
const MORE_SWITCHES = 64;

/** The capacity a lab needs. */
export function capacityOf(lab: Lab): Capacity {
  const switches = lab.switches ?? [];
  const ports = switches.flatMap((each) => [...each.ports, each.mirror]);
  const interfaces = [...lab.nodes.flatMap((node) => node.interfaces), ...ports];
  const largest = Math.max(1500, ...interfaces.map((each) => each.mtu));
  const slotBytes = Math.ceil((largest + LINK_HEADER_BYTES + SPARE_BYTES) / 64) * 64;
  const moreQueues = interfaces.reduce((sum, { queues = 1 }) => sum + queues - 1, 0);
  const workers = lab.virtual ? 1 : lab.workers;
  return {
    workers,
    interfaces: interfaces.length + MORE_INTERFACES,
    // A direction from a device of several queues runs in as many lanes.
    directions: 2 * (lab.links.length + MORE_LINKS) + moreQueues,
    descriptors: MAX_DESCRIPTORS,
    switches: switches.length + MORE_SWITCHES,
    slotsPerWorker: Math.min(MAX_SLOTS, Math.floor(FRAME_BYTES / workers / slotBytes)),
    slotBytes,
    superFramesPerWorker: lab.virtual ? 0 : Math.floor(SUPER_BYTES / workers / SUPER_FRAME_BYTES),
    decisionsPerWorker: lab.virtual ? 0 : DECISIONS_PER_WORKER,
    heapBytes: HEAP_BYTES,
  };
}

/** The largest MTU that frames of an arena have room for. */
export function largestMtu({ slotBytes }: Capacity): number {
  return slotBytes - LINK_HEADER_BYTES - SPARE_BYTES;
}
