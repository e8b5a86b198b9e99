/**
 * The frame slots of one worker. Slots lie in the arena, so that filters can read frames where they are; who has a
 * slot is known to the worker alone. A slot given back is the next to be taken: a lab that holds few frames touches
 * little memory, and that stays in the cache. No link direction can have all of them (shares.ts).
 *
 * A frame that came from a device with offload may be unfinished in one of two ways. offset() finishes it first, so
 * that whoever looks at a frame sees it as on a wire; place() is for the data plane, which knows.
 *
 *   a segment    `area` says of which super-frame, `segment` which one; its slot is empty (super-frames.ts)
 *   partial      its checksum is left to be computed, as the virtio_net_hdr right before it says
 */
import type { Arena } from '../arena/arena.ts';
import type { FrameTable } from '../link/stage.ts';
import { completeChecksum } from '../offload/checksum.ts';
import { cutSegment } from '../offload/super-frame.ts';
import { VNET_HEADER } from '../offload/virtio-net.ts';
import { NOBODY, Shares } from './shares.ts';
import { SuperFrames } from './super-frames.ts';

const WHOLE = -1;
/** Bytes before each frame, for its virtio_net_hdr; a multiple of 16 keeps frames aligned. */
export const SLOT_HEADROOM = 16;

export class FramePool implements FrameTable {
  readonly length: Int32Array;
  readonly arrivedNs: Float64Array;
  readonly queuedNs: Float64Array;
  readonly next: Int32Array;
  readonly changed: Uint8Array;
  readonly bytes: Uint8Array;
  /** The super-frame of which a frame is a segment, WHOLE if it has bytes of its own. */
  readonly area: Int32Array;
  readonly segment: Int32Array;
  /** 1 when the frame's checksum is yet to be computed. */
  readonly partial: Uint8Array;
  readonly superFrames: SuperFrames;
  readonly slotBytes: number;
  /** A slot that is never lent: frames that find no other are read into it and dropped. */
  readonly scratch: number;
  readonly #start: number;
  readonly #stride: number;
  readonly #shares: Shares;
  /** The link direction a frame is in; NOBODY for a free slot or a frame that is in none. */
  readonly #owner: Int32Array;
  /** How many hold a slot besides whoever took it. */
  readonly #holds: Uint8Array;
  /** Head of the list of free slots, through `next`; -1 when there is none. */
  #free: number;

  constructor(arena: Arena, worker: number) {
    const { slotsPerWorker, slotBytes } = arena.capacity;
    this.length = new Int32Array(slotsPerWorker);
    this.arrivedNs = new Float64Array(slotsPerWorker);
    this.#owner = new Int32Array(slotsPerWorker).fill(NOBODY);
    this.#holds = new Uint8Array(slotsPerWorker);
    this.#shares = new Shares(slotsPerWorker - 1, arena.capacity.directions);
    this.queuedNs = new Float64Array(slotsPerWorker);
    this.changed = new Uint8Array(slotsPerWorker);
    this.bytes = arena.u8;
    this.area = new Int32Array(slotsPerWorker).fill(WHOLE);
    this.segment = new Int32Array(slotsPerWorker);
    this.partial = new Uint8Array(slotsPerWorker);
    this.superFrames = new SuperFrames(arena, worker);
    this.next = Int32Array.from({ length: slotsPerWorker }, (_, slot) => slot + 1);
    this.slotBytes = slotBytes - SLOT_HEADROOM;
    this.scratch = slotsPerWorker - 1;
    this.next[this.scratch - 1] = -1;
    this.#free = 0;
    this.#start = arena.frames + worker * slotsPerWorker * slotBytes + SLOT_HEADROOM;
    this.#stride = slotBytes;
  }

  /** Slots that are lent. */
  get used(): number {
    return this.scratch - this.#shares.free;
  }

  /** A free slot for a frame of a direction, or -1. */
  take(direction: number): number {
    if (!this.#shares.take(direction)) return -1;
    const slot = this.#free;
    this.#free = this.next[slot]!;
    this.#owner[slot] = direction;
    return slot;
  }

  takeLike(frame: number): number {
    return this.take(this.#owner[frame]!);
  }

  /** How many slots a direction has. */
  heldBy(direction: number): number {
    return this.#shares.heldBy(direction);
  }

  owner(slot: number): number {
    return this.#owner[slot]!;
  }

  /** Keeps a frame beyond a release(): it takes another one. */
  hold(slot: number): void {
    this.#holds[slot]!++;
  }

  /** Gives a slot back. */
  release(slot: number): void {
    if (this.#holds[slot] !== 0) {
      this.#holds[slot]!--;
      return;
    }
    this.#shares.give(this.#owner[slot]!);
    this.#owner[slot] = NOBODY;
    this.partial[slot] = 0;
    if (this.area[slot] !== WHOLE) this.#leaveArea(slot);
    this.next[slot] = this.#free;
    this.#free = slot;
  }

  /** Makes a slot a segment of a super-frame. */
  refer(slot: number, area: number, segment: number): void {
    this.superFrames.hold(area);
    this.area[slot] = area;
    this.segment[slot] = segment;
  }

  /** Makes a slot, free but for that, the same frame as another: a segment of the same super-frame, if it is one. */
  copy(from: number, to: number): void {
    const length = this.length[from]!;
    this.length[to] = length;
    if (this.area[from] !== WHOLE) {
      this.refer(to, this.area[from]!, this.segment[from]!);
      return;
    }
    const start = this.place(from);
    this.bytes.copyWithin(this.place(to) - VNET_HEADER, start - VNET_HEADER, start + length);
    this.partial[to] = this.partial[from]!;
  }

  /** Byte offset in the arena of a frame's link header, to look at. */
  header(slot: number): number {
    const area = this.area[slot]!;
    return area === WHOLE ? this.place(slot) : this.superFrames.offset(area);
  }

  isSegment(slot: number): boolean {
    return this.area[slot] !== WHOLE;
  }

  /** Byte offset in the arena of a frame, complete and in a slot of its own: it may be changed. */
  offset(slot: number): number {
    if (this.area[slot] !== WHOLE) {
      this.cut(slot, slot);
      this.#leaveArea(slot);
    } else if (this.partial[slot] !== 0) {
      const at = this.place(slot);
      completeChecksum(this.bytes, at - VNET_HEADER, at, this.length[slot]!);
      this.partial[slot] = 0;
    }
    return this.place(slot);
  }

  /** Byte offset at which a frame can be seen as on a wire. A segment stays one: it is cut into the scratch slot. */
  seen(slot: number): number {
    return this.isSegment(slot) ? this.cut(slot, this.scratch) : this.offset(slot);
  }

  /** Writes what a segment is on a wire into a slot, its own or another. Returns the byte offset. */
  cut(slot: number, into: number): number {
    const area = this.area[slot]!;
    const { superFrames } = this;
    const to = this.place(into);
    cutSegment(this.bytes, superFrames.offset(area), superFrames.shape(area), this.segment[slot]!, to);
    return to;
  }

  /** Byte offset in the arena of a slot, whatever stands there. */
  place(slot: number): number {
    return this.#start + slot * this.#stride;
  }

  #leaveArea(slot: number): void {
    this.superFrames.release(this.area[slot]!);
    this.area[slot] = WHOLE;
  }
}
