/**
 * The super-frames of one worker: where frames of a device with offload land, and where those that stand for many
 * segments stay as long as any of these is under way. A segment is a slot of the frame pool that refers to its
 * super-frame instead of having bytes of its own (frame-pool.ts).
 *
 * Areas lie in the arena; a virtio_net_hdr stands in front of each frame. Who uses one is known to the worker alone.
 */
import { type Arena, SUPER_FRAME_BYTES } from '../arena/arena.ts';
import { createSuperFrame, type SuperFrame } from '../offload/super-frame.ts';
import { VNET_HEADER } from '../offload/virtio-net.ts';
import { NOBODY, Shares } from './shares.ts';

const NONE = -1;
/** Room for the header, rounded up. */
const HEADROOM = 64;

export class SuperFrames {
  /** Longest frame that an area has room for. */
  readonly capacityBytes: number = SUPER_FRAME_BYTES - HEADROOM;
  /** The area into which the next frame is read; -1 when the arena has none at all. */
  landing: number;
  readonly #start: number;
  readonly #shapes: readonly SuperFrame[];
  /** How many hold an area. */
  readonly #holders: Int32Array;
  /** For which link direction an area is kept. */
  readonly #owner: Int32Array;
  readonly #shares: Shares;
  /** Free areas, through this list. */
  readonly #next: Int32Array;
  #free: number;

  constructor(arena: Arena, worker: number) {
    const count = arena.capacity.superFramesPerWorker;
    this.#start = arena.superFrames + worker * count * SUPER_FRAME_BYTES + HEADROOM;
    this.#shapes = Array.from({ length: count }, createSuperFrame);
    this.#holders = new Int32Array(count);
    this.#owner = new Int32Array(count).fill(NOBODY);
    this.#shares = new Shares(Math.max(0, count - 1), arena.capacity.directions);
    this.#next = Int32Array.from({ length: count }, (_, area) => (area + 1 < count ? area + 1 : NONE));
    this.landing = count === 0 ? NONE : 0;
    this.#free = count > 1 ? 1 : NONE;
  }

  /** Byte offset of the frame in an area; its virtio_net_hdr stands before it. */
  offset(area: number): number {
    return this.#start + area * SUPER_FRAME_BYTES;
  }

  /** Byte offset of its virtio_net_hdr. */
  header(area: number): number {
    return this.offset(area) - VNET_HEADER;
  }

  shape(area: number): SuperFrame {
    return this.#shapes[area]!;
  }

  /**
   * Keeps what has landed, held once, and lands elsewhere from now on. Returns its area, or -1 when the direction has
   * its share or that is the last.
   */
  keep(direction: number): number {
    if (!this.#shares.take(direction)) return NONE;
    const kept = this.landing;
    this.#owner[kept] = direction;
    this.#holders[kept] = 1;
    this.landing = this.#free;
    this.#free = this.#next[this.landing]!;
    return kept;
  }

  hold(area: number): void {
    this.#holders[area]!++;
  }

  release(area: number): void {
    if (--this.#holders[area]! > 0) return;
    this.#shares.give(this.#owner[area]!);
    this.#next[area] = this.#free;
    this.#free = area;
  }
}
