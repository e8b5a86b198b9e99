/**
 * Counts the frames of a capture stream as it passes, and cuts it after so many: what is not a frame (the headers
 * and the trailer of pcapng) passes all the same, so that what comes out is complete. Chunks may be split anywhere.
 */
import type { CaptureFormat } from '../capture/formats.ts';

/** Where the unit at an offset ends, and whether it is a frame; undefined when more bytes are needed to tell. */
type Unit = { readonly end: number; readonly isFrame: boolean };
type UnitAt = (buffer: Buffer, at: number) => Unit | undefined;

const ENHANCED_PACKET_BLOCK = 6;
const BPF_HEADER_BYTES = 26;
const NEWLINE = 0x0a;

const UNITS: Readonly<Record<CaptureFormat, UnitAt>> = {
  pcapng(buffer, at) {
    if (buffer.length < at + 8) return undefined;
    const isFrame = buffer.readUInt32LE(at) === ENHANCED_PACKET_BLOCK;
    return { end: at + Math.max(12, buffer.readUInt32LE(at + 4)), isFrame };
  },
  bpf(buffer, at) {
    if (buffer.length < at + BPF_HEADER_BYTES) return undefined;
    const length = buffer.readUInt16LE(at + 24) + buffer.readUInt32LE(at + 16);
    return { end: at + ((length + 7) & ~7), isFrame: true };
  },
  json(buffer, at) {
    const newline = buffer.indexOf(NEWLINE, at);
    return newline === -1 ? undefined : { end: newline + 1, isFrame: true };
  },
};

export class FrameCounter {
  readonly #unitAt: UnitAt;
  readonly #limit: number;
  #rest: Buffer = Buffer.alloc(0);
  #frames = 0;

  /** Lets `limit` frames pass, all of them when it is undefined. */
  constructor(format: CaptureFormat, limit?: number) {
    this.#unitAt = UNITS[format];
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
  }

  /** Frames that have passed. */
  get frames(): number {
    return this.#frames;
  }

  /** True once no frame passes any more. */
  get full(): boolean {
    return this.#frames >= this.#limit;
  }

  /** Takes a chunk; returns what passes: whole units only. */
  push(chunk: Buffer): Buffer {
    const buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const passing: Buffer[] = [];
    let start = 0;
    let at = 0;
    for (let unit = this.#unitAt(buffer, at); unit !== undefined && unit.end <= buffer.length; ) {
      if (unit.isFrame && this.full) {
        passing.push(buffer.subarray(start, at));
        start = unit.end;
      } else if (unit.isFrame) {
        this.#frames++;
      }
      at = unit.end;
      unit = this.#unitAt(buffer, at);
    }
    passing.push(buffer.subarray(start, at));
    this.#rest = buffer.subarray(at);
    return passing.length === 1 ? passing[0]! : Buffer.concat(passing);
  }
}
