/**
 * Takes frames from devices into slots of the pool: whole ones, and the segments of super-frames.
 */
import type { Arena } from '../arena/arena.ts';
import { type Device, GONE, NO_FRAME } from '../device/device.ts';
import {
  cutSegment,
  isSuperFrame,
  parseSuperFrame,
  runBytes,
  type SuperFrame,
} from '../offload/super-frame.ts';
import { NEEDS_CHECKSUM, VNET_HEADER } from '../offload/virtio-net.ts';
import type { Clock } from './clock.ts';
import type { FramePool } from './frame-pool.ts';
import { numberOf, type OnFrame, type OnSuperFrame, type Port, unreadIf } from './port.ts';

/** Frames, and bytes, taken from one device before the others have their turn. */
const READ_BATCH = 64;
const READ_BYTES = 262_144;

export class Receiver {
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #clock: Clock;
  readonly #onFrame: OnFrame;
  readonly #onSuperFrame: OnSuperFrame;
  readonly #onGone: (port: Port) => void;

  constructor(
    arena: Arena,
    pool: FramePool,
    clock: Clock,
    onFrame: OnFrame,
    onSuperFrame: OnSuperFrame,
    onGone: (port: Port) => void,
  ) {
    this.#arena = arena;
    this.#pool = pool;
    this.#clock = clock;
    this.#onFrame = onFrame;
    this.#onSuperFrame = onSuperFrame;
    this.#onGone = onGone;
  }

  /** Takes what a device has, up to READ_BATCH frames. Returns how many came. */
  receive(port: Port): number {
    let bytes = 0;
    for (let count = 0; count < READ_BATCH; count++) {
      const { device } = port;
      if (!device || bytes >= READ_BYTES) return count;
      const length = device.offload ? this.#receiveOffloaded(port, device) : this.#receiveOne(port, device);
      if (length <= NO_FRAME) {
        if (length === GONE) this.#onGone(port);
        return count;
      }
      bytes += length;
    }
    return READ_BATCH;
  }

  /** Reads a frame into a slot. Returns what the device did. */
  #receiveOne(port: Port, device: Device): number {
    const pool = this.#pool;
    const slot = pool.take(numberOf(port));
    const into = slot === -1 ? pool.scratch : slot;
    const length = device.read(pool.place(into), pool.slotBytes);
    if (length > NO_FRAME) this.#onFrame(port, into, length, this.#clock.nowNs(), unreadIf(slot));
    else if (slot !== -1) pool.release(slot);
    return length;
  }

  /** Reads a frame that may be a super-frame, and brings it where it belongs. */
  #receiveOffloaded(port: Port, device: Device): number {
    const pool = this.#pool;
    const { superFrames } = pool;
    const { u8 } = this.#arena;
    const from = superFrames.offset(superFrames.landing);
    const header = from - VNET_HEADER;
    const length = device.read(from, superFrames.capacityBytes);
    if (length <= NO_FRAME) return length;
    const nowNs = this.#clock.nowNs();
    const shape = superFrames.shape(superFrames.landing);
    const isSuper = isSuperFrame(u8, header);
    const isSound = isSuper && parseSuperFrame(u8, header, from, length, port.ethernet, shape);
    // What a node asks for need not fit its MTU: segments too long for a slot must not be cut into one.
    if (isSound && shape.headerBytes + runBytes(shape, 0, 1) < pool.slotBytes) {
      return this.#receiveSegments(port, from, shape, nowNs);
    }
    const slot = isSuper ? -1 : pool.take(numberOf(port));
    const into = slot === -1 ? pool.scratch : slot;
    // A frame that fills a whole slot was longer: slots have room to spare (daemon/layout.ts). Nothing counts it as longer.
    const stored = Math.min(length, pool.slotBytes);
    u8.copyWithin(pool.place(into) - VNET_HEADER, header, from + stored);
    // Of a frame that is not all there the checksum cannot be known; neither will it go anywhere.
    const isPartial = (u8[header]! & NEEDS_CHECKSUM) !== 0 && stored === length;
    pool.partial[into] = isPartial ? 1 : 0;
    const unread = isSound ? 'mtu' : isSuper ? 'device' : unreadIf(slot);
    this.#onFrame(port, into, stored, nowNs, unread);
    return length;
  }

  /**
   * What has landed passes whole, or each segment goes its own way. They share its bytes, or have their own when no area
   * is left in which it could stay. Returns their bytes as on a wire.
   */
  #receiveSegments(port: Port, from: number, shape: SuperFrame, nowNs: number): number {
    const { superFrames } = this.#pool;
    const bytes = shape.segments * shape.headerBytes + shape.payloadBytes;
    const area = superFrames.keep(numberOf(port));
    if (area === -1 || !this.#onSuperFrame(port, area, bytes)) this.#cut(port, from, shape, area, nowNs);
    if (area !== -1) superFrames.release(area);
    return bytes;
  }

  #cut(port: Port, from: number, shape: SuperFrame, area: number, nowNs: number): void {
    const pool = this.#pool;
    for (let segment = 0; segment < shape.segments; segment++) {
      const slot = pool.take(numberOf(port));
      const into = slot === -1 ? pool.scratch : slot;
      if (area !== -1 && slot !== -1) pool.refer(slot, area, segment);
      else cutSegment(this.#arena.u8, from, shape, segment, pool.place(into));
      const length = shape.headerBytes + runBytes(shape, segment, 1);
      this.#onFrame(port, into, length, nowNs, unreadIf(slot));
    }
  }
}
