/**
 * The frame slots of one worker. Slots lie in the arena, so that filters can read frames where they are; who has a
 * slot is known to the worker alone. A slot given back is the next to be taken: a lab that holds few frames touches
 * little memory, and that stays in the cache.
 */
import type { Arena } from '../arena/arena.ts';
import type { FrameTable } from '../link/stage.ts';

const NOBODY = -1;

export class FramePool implements FrameTable {
  readonly length: Int32Array;
  readonly arrivedNs: Float64Array;
  readonly queuedNs: Float64Array;
  readonly next: Int32Array;
  /** The link direction a frame is in; NOBODY for a free slot or a frame that is in none. */
  readonly owner: Int32Array;
  readonly bytes: Uint8Array;
  readonly slotBytes: number;
  /** A slot that is never lent: frames that find no other are read into it and dropped. */
  readonly scratch: number;
  readonly #start: number;
  /** Slots that are lent. */
  used = 0;
  /** Head of the list of free slots, through `next`; -1 when there is none. */
  #free: number;

  constructor(arena: Arena, worker: number) {
    const { slotsPerWorker, slotBytes } = arena.capacity;
    this.length = new Int32Array(slotsPerWorker);
    this.arrivedNs = new Float64Array(slotsPerWorker);
    this.owner = new Int32Array(slotsPerWorker).fill(NOBODY);
    this.queuedNs = new Float64Array(slotsPerWorker);
    this.bytes = arena.u8;
    this.next = Int32Array.from({ length: slotsPerWorker }, (_, slot) => slot + 1);
    this.slotBytes = slotBytes;
    this.scratch = slotsPerWorker - 1;
    this.next[this.scratch - 1] = -1;
    this.#free = 0;
    this.#start = arena.frames + worker * slotsPerWorker * slotBytes;
  }

  /** A free slot, or -1. */
  take(): number {
    const slot = this.#free;
    if (slot !== -1) {
      this.#free = this.next[slot]!;
      this.used++;
    }
    return slot;
  }

  /** Gives a slot back. */
  release(slot: number): void {
    this.used--;
    this.owner[slot] = NOBODY;
    this.next[slot] = this.#free;
    this.#free = slot;
  }

  /** Byte offset of a slot in the arena. */
  offset(slot: number): number {
    return this.#start + slot * this.slotBytes;
  }
}
