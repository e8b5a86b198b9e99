/**
 * Joins segments of one super-frame again that leave a link one after the other, so that they take one write(2)
 * instead of many. Never across a loss or a reordering: a run is a row of neighbours, and whatever else goes to the
 * same device closes it first. A run is open only while its worker is busy with what had come or was due; nothing
 * waits for segments to come.
 */
import type { Arena } from '../arena/arena.ts';
import type { LinkDirection } from '../link/direction.ts';
import { payloadOffset, runBytes, writeHeaders, writeVnetHeader } from '../offload/super-frame.ts';
import { VNET_HEADER } from '../offload/virtio-net.ts';
import type { FramePool } from './frame-pool.ts';
import type { Port } from './port.ts';

const NONE = -1;

/** Segments on their way to one port: `count` neighbours from `first` on. `area` is -1 when there are none. */
type Run = { area: number; first: number; count: number; bytes: number; link: LinkDirection | undefined };

/** What became of a run: its frames and bytes as on a wire, and what write returned. */
export type OnWritten = (
  port: Port,
  written: number,
  frames: number,
  bytes: number,
  link: LinkDirection,
) => void;

export class Joiner {
  readonly #u8: Uint8Array;
  readonly #pool: FramePool;
  readonly #onWritten: OnWritten;
  readonly #runs: Map<Port, Run> = new Map();
  /** Ports with a run. */
  readonly #open: Port[] = [];

  constructor(arena: Arena, pool: FramePool, onWritten: OnWritten) {
    this.#u8 = arena.u8;
    this.#pool = pool;
    this.#onWritten = onWritten;
  }

  /** Takes a segment over; its slot is not needed any more. */
  append(port: Port, slot: number, link: LinkDirection): void {
    const { area, segment, length, superFrames } = this.#pool;
    const [from, index] = [area[slot]!, segment[slot]!];
    const run = this.#runOf(port);
    if (run.area !== from || run.first + run.count !== index || run.link !== link) {
      this.close(port);
      superFrames.hold(from);
      run.area = from;
      run.first = index;
      run.count = 0;
      run.bytes = 0;
      run.link = link;
      this.#open.push(port);
    }
    run.count++;
    run.bytes += length[slot]!;
    if (index === superFrames.shape(from).segments - 1) this.close(port);
  }

  /** Writes what is open for a port. */
  close(port: Port): void {
    const run = this.#runs.get(port);
    if (run === undefined || run.area === NONE) return;
    const { area, first, count, bytes, link } = run;
    run.area = NONE;
    this.#open.splice(this.#open.indexOf(port), 1);
    const written = this.#write(port, area, first, count);
    this.#pool.superFrames.release(area);
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

  #write({ device }: Port, area: number, first: number, count: number): number {
    if (device === undefined) return NONE;
    const { superFrames, scratch } = this.#pool;
    const frame = superFrames.offset(area);
    const shape = superFrames.shape(area);
    if (count === shape.segments) return device.write(frame, shape.headerBytes + shape.payloadBytes);
    const headers = this.#pool.place(scratch);
    writeHeaders(this.#u8, frame, shape, first, count, headers);
    writeVnetHeader(this.#u8, shape, count, headers - VNET_HEADER);
    const payload = frame + payloadOffset(shape, first);
    return device.writeParts(headers, shape.headerBytes, payload, runBytes(shape, first, count));
  }

  #runOf(port: Port): Run {
    let run = this.#runs.get(port);
    if (run === undefined) {
      run = { area: NONE, first: 0, count: 0, bytes: 0, link: undefined };
      this.#runs.set(port, run);
    }
    return run;
  }
}
