/**
 * Joins segments again that leave a link one after the other, so that they take one write(2) instead of many: those of
 * one super-frame, and those of one TCP connection that came in several or by themselves (offload/coalesce.ts). Never
 * across a loss or a reordering: a run is a row of neighbours, and whatever else goes to the same device closes it
 * first. A run is open only while its worker is busy with what had come or was due; nothing waits for segments to come.
 *
 * A frame that came by itself is joined only with checksums that hold, or that its node left open. One that finds no
 * neighbour is written as it came.
 */
import type { Arena } from '../arena/arena.ts';
import type { Device, Parts } from '../device/device.ts';
import type { LinkDirection } from '../link/direction.ts';
import { goesOn, isSound, mayGoOn, parseSegment } from '../offload/coalesce.ts';
import {
  createSuperFrame,
  endFlags,
  MAX_SEGMENTS,
  payloadOffset,
  runBytes,
  type SuperFrame,
  writeRunHeaders,
  writeVnetHeader,
} from '../offload/super-frame.ts';
import { clearVnetHeader, readU16, VNET_CHECKSUM_START, VNET_HEADER } from '../offload/virtio-net.ts';
import type { FramePool } from './frame-pool.ts';
import type { Port } from './port.ts';

const NONE = -1;
/** Places in memory that one write gathers, a row of segments of one super-frame each or a frame by itself. */
const MAX_PARTS = 64;
/** Longest IP packet. */
const MAX_PACKET_BYTES = 65_535;

/** Segments on their way to one port. */
type Run = {
  /** How many; 0 when there is no run. */
  count: number;
  /** As on a wire. */
  bytes: number;
  payloadBytes: number;
  link: LinkDirection | undefined;
  /** Where its headers are, and what they say: those of segment `first` of what stands there. */
  frame: number;
  shape: SuperFrame;
  first: number;
  /** The shape of a frame that came by itself. */
  own: SuperFrame;
  /** The super-frame of its last segment, and which segment would be next; NONE after a frame that came by itself. */
  area: number;
  next: number;
  /** FIN and PSH of its last segment. */
  flags: number;
  /** Whether its first frame, which came by itself, was not verified yet. */
  isUnverified: boolean;
  /** Payload of each part, and who holds it: an area, or ~slot. */
  readonly parts: Parts;
  readonly holders: Int32Array;
};

/** What became of a run: its frames and bytes as on a wire, and what write returned. */
export type OnWritten = (
  port: Port,
  written: number,
  frames: number,
  bytes: number,
  link: LinkDirection,
) => void;

/** Byte offset of a frame that has bytes of its own, with a header before it for a device with offload. */
export function bytesToWrite(u8: Uint8Array, pool: FramePool, slot: number): number {
  const at = pool.place(slot);
  if (pool.partial[slot] === 0) clearVnetHeader(u8, at - VNET_HEADER);
  return at;
}

export class Joiner {
  readonly #u8: Uint8Array;
  readonly #pool: FramePool;
  readonly #beforeWrite: () => void;
  readonly #onWritten: OnWritten;
  readonly #runs: Map<Port, Run> = new Map();
  /** Ports with a run. */
  readonly #open: Port[] = [];
  /** What a frame that comes by itself is. */
  #candidate: SuperFrame = createSuperFrame();

  /** @param beforeWrite called before a run is written: what came before it must leave before it */
  constructor(arena: Arena, pool: FramePool, beforeWrite: () => void, onWritten: OnWritten) {
    this.#beforeWrite = beforeWrite;
    this.#u8 = arena.u8;
    this.#pool = pool;
    this.#onWritten = onWritten;
  }

  /**
   * Takes a frame over for a port whose device has offload; the caller's slot is not needed any more. Returns false for
   * a frame with which none can be joined: that is the caller's to write.
   */
  append(port: Port, slot: number, link: LinkDirection): boolean {
    const pool = this.#pool;
    if (!pool.isSegment(slot)) return this.#appendAlone(port, slot, link);
    this.#appendRow(port, pool.area[slot]!, pool.segment[slot]!, 1, link);
    return true;
  }

  /** Takes over all segments of a super-frame at once; the caller's hold on its area is not needed any more. */
  appendWhole(port: Port, area: number, link: LinkDirection): void {
    this.#appendRow(port, area, 0, this.#pool.superFrames.shape(area).segments, link);
  }

  /** `count` segments of a super-frame, from `first` on. */
  #appendRow(port: Port, area: number, first: number, count: number, link: LinkDirection): void {
    const run = this.#runOf(port);
    const { superFrames } = this.#pool;
    const [frame, shape] = [superFrames.offset(area), superFrames.shape(area)];
    const bytes = runBytes(shape, first, count);
    if (run.area === area && run.next === first && run.link === link && this.#hasRoom(run, count, bytes)) {
      run.parts.bytes[run.parts.count - 1]! += bytes;
    } else {
      if (!this.#continues(run, link, frame, shape, first, count)) {
        this.close(port);
        this.#start(port, run, frame, shape, first, link, false);
      }
      superFrames.hold(area);
      this.#addPart(run, frame + payloadOffset(shape, first), bytes, area);
      run.area = area;
    }
    this.#grow(port, run, frame, shape, first, count);
  }

  /** A frame that came by itself. */
  #appendAlone(port: Port, slot: number, link: LinkDirection): boolean {
    const pool = this.#pool;
    const [frame, shape] = [pool.place(slot), this.#candidate];
    if (!parseSegment(this.#u8, frame, pool.length[slot]!, port.ethernet, shape)) return false;
    const run = this.#runOf(port);
    if (!(this.#continues(run, link, frame, shape, 0, 1) && this.#isSound(frame, shape, slot))) {
      this.close(port);
      if (!mayGoOn(this.#u8, frame, shape) || endFlags(this.#u8, frame, shape, 0) !== 0) return false;
      this.#start(port, run, frame, shape, 0, link, true);
    }
    pool.hold(slot);
    this.#addPart(run, frame + shape.headerBytes, shape.payloadBytes, ~slot);
    run.area = NONE;
    this.#grow(port, run, frame, shape, 0, 1);
    return true;
  }

  /** Writes what is open for a port. */
  close(port: Port): void {
    const run = this.#runs.get(port);
    if (run === undefined || run.count === 0) return;
    const { count, bytes, link, parts, holders } = run;
    this.#open.splice(this.#open.indexOf(port), 1);
    this.#beforeWrite();
    const written = port.device === undefined ? NONE : this.#write(port.device, run);
    for (let i = 0; i < parts.count; i++) {
      if (holders[i]! >= 0) this.#pool.superFrames.release(holders[i]!);
      else this.#pool.release(~holders[i]!);
    }
    run.count = 0;
    run.area = NONE;
    run.link = undefined;
    parts.count = 0;
    this.#onWritten(port, written, count, bytes, link!);
  }

  closeAll(): void {
    while (this.#open.length > 0) this.close(this.#open[0]!);
  }

  /** Forgets a port. */
  remove(port: Port): void {
    this.close(port);
    this.#runs.delete(port);
  }

  #start(
    port: Port,
    run: Run,
    frame: number,
    shape: SuperFrame,
    first: number,
    link: LinkDirection,
    isUnverified: boolean,
  ): void {
    run.bytes = 0;
    run.payloadBytes = 0;
    run.link = link;
    run.frame = frame;
    run.shape = shape;
    run.first = first;
    run.isUnverified = isUnverified;
    if (shape === this.#candidate) {
      this.#candidate = run.own;
      run.own = shape;
    }
    this.#open.push(port);
  }

  #addPart({ parts, holders }: Run, offset: number, bytes: number, holder: number): void {
    parts.offsets[parts.count] = offset;
    parts.bytes[parts.count] = bytes;
    holders[parts.count++] = holder;
  }

  /** Counts the segments that were added. A run that cannot grow any more is written. */
  #grow(port: Port, run: Run, frame: number, shape: SuperFrame, first: number, count: number): void {
    const bytes = runBytes(shape, first, count);
    const last = first + count - 1;
    run.count += count;
    run.bytes += count * shape.headerBytes + bytes;
    run.payloadBytes += bytes;
    run.next = last + 1;
    if (last < shape.segments - 1) return;
    run.flags = endFlags(this.#u8, frame, shape, last);
    const { segmentBytes, isTcp } = run.shape;
    const isFull = !this.#hasRoom(run, 1, segmentBytes);
    if (run.flags !== 0 || runBytes(shape, last, 1) < segmentBytes || isFull || !isTcp) this.close(port);
  }

  #hasRoom(run: Run, count: number, bytes: number): boolean {
    const { shape } = run;
    if (run.count + count > MAX_SEGMENTS) return false;
    return shape.headerBytes - shape.network + run.payloadBytes + bytes <= MAX_PACKET_BYTES;
  }

  /** Whether segments of another frame than the last go on where a run ends. */
  #continues(
    run: Run,
    link: LinkDirection,
    frame: number,
    shape: SuperFrame,
    first: number,
    count: number,
  ): boolean {
    if (run.count === 0 || run.link !== link || run.parts.count === MAX_PARTS) return false;
    if (!this.#hasRoom(run, count, runBytes(shape, first, count))) return false;
    if (count > 1 && shape.segmentBytes !== run.shape.segmentBytes) return false;
    // A run that ended within its super-frame goes on with that, or not at all.
    if (run.area !== NONE && run.next < this.#pool.superFrames.shape(run.area).segments) return false;
    const u8 = this.#u8;
    if (!mayGoOn(u8, run.frame, run.shape)) return false;
    if (!goesOn(u8, run.frame, run.shape, run.first, run.count, run.payloadBytes, frame, shape, first))
      return false;
    if (run.isUnverified && !this.#isSound(run.frame, run.shape, ~run.holders[0]!)) return false;
    run.isUnverified = false;
    return true;
  }

  /** Of a frame that came by itself. */
  #isSound(frame: number, shape: SuperFrame, slot: number): boolean {
    const isPartial = this.#pool.partial[slot] !== 0;
    const start = readU16(this.#u8, frame - VNET_HEADER + VNET_CHECKSUM_START);
    return (!isPartial || start === shape.transport) && isSound(this.#u8, frame, shape, isPartial);
  }

  #write(
    device: Device,
    { count, frame, shape, first, payloadBytes, flags, next, area, parts, holders }: Run,
  ): number {
    if (parts.count === 1) {
      if (holders[0]! < 0) {
        const slot = ~holders[0]!;
        return device.write(bytesToWrite(this.#u8, this.#pool, slot), this.#pool.length[slot]!);
      }
      if (count === shape.segments) return device.write(frame, shape.headerBytes + shape.payloadBytes);
    }
    const isWithin = area !== NONE && next < this.#pool.superFrames.shape(area).segments;
    const headers = this.#pool.place(this.#pool.scratch);
    writeRunHeaders(this.#u8, frame, shape, first, payloadBytes, isWithin ? 0 : flags, headers);
    writeVnetHeader(this.#u8, shape, count, headers - VNET_HEADER);
    return device.writeParts(headers, shape.headerBytes, parts);
  }

  #runOf(port: Port): Run {
    let run = this.#runs.get(port);
    if (run === undefined) {
      const own = createSuperFrame();
      const [offsets, bytes] = [new Uint32Array(MAX_PARTS), new Uint32Array(MAX_PARTS)];
      const nothing = { count: 0, bytes: 0, payloadBytes: 0, frame: 0, first: 0, next: 0, flags: 0 };
      const parts = { count: 0, offsets, bytes };
      const holders = new Int32Array(MAX_PARTS);
      run = { ...nothing, link: undefined, shape: own, own, area: NONE, isUnverified: false, parts, holders };
      this.#runs.set(port, run);
    }
    return run;
  }
}
