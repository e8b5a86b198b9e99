/**
 * What queues have in common: what a queue is, a list of frames, and the count of all that waits in front of one
 * rate limiter.
 */
import { QUEUE_BYTES, QUEUE_FRAMES } from '../counters.ts';
import type { DropReason } from '../reasons.ts';
import type { FrameTable, StageContext } from '../stage.ts';
import { bytesFor, DEFAULT_LIMIT, type LimitSettings } from './limit.ts';

export const NONE = -1;

/** Frames that wait for the wire. Times are nanoseconds. */
export interface Queue {
  /** Takes a frame, or drops it, or drops others for it. */
  enqueue(frame: number, nowNs: number): void;
  /** The frame that goes next, -1 when there is none. May drop frames on the way. */
  dequeue(nowNs: number): number;
  /** The same two with no policy: a change of discipline moves frames with them. */
  put(frame: number): void;
  take(): number;
}

/** Frames in order, linked through FrameTable.next. */
export class FrameList {
  head: number = NONE;
  bytes = 0;
  frames = 0;
  readonly #table: FrameTable;
  #tail: number = NONE;

  constructor(table: FrameTable) {
    this.#table = table;
  }

  append(frame: number): void {
    this.#table.next[frame] = NONE;
    if (this.head === NONE) this.head = frame;
    else this.#table.next[this.#tail] = frame;
    this.#tail = frame;
    this.bytes += this.#table.length[frame]!;
    this.frames++;
  }

  /** The first frame, -1 when there is none. */
  shift(): number {
    const frame = this.head;
    if (frame === NONE) return NONE;
    this.head = this.#table.next[frame]!;
    this.bytes -= this.#table.length[frame]!;
    this.frames--;
    return frame;
  }
}

/** All that waits in front of a rate limiter, the frame on the wire included, and how much of it may. */
export class Backlog {
  bytes = 0;
  frames = 0;
  /** How fast it goes, 0 when it does at once. */
  rateBitsPerSecond = 0;
  readonly #context: StageContext;
  #limit: LimitSettings = DEFAULT_LIMIT;
  #limitBytes = 0;

  constructor(context: StageContext) {
    this.#context = context;
  }

  set(limit: LimitSettings, rateBitsPerSecond: number): void {
    this.#limit = limit;
    this.#limitBytes = bytesFor(limit, rateBitsPerSecond);
    this.rateBitsPerSecond = rateBitsPerSecond;
  }

  /** Whether a frame may wait behind these. Where nothing waits, any frame may: it need not. */
  fits(frame: number, waiting: { readonly bytes: number; readonly frames: number } = this): boolean {
    if (waiting.frames === 0) return true;
    const { limitFrames, limitNs } = this.#limit;
    const bytes = waiting.bytes + this.#context.frames.length[frame]!;
    if (this.#limitBytes > 0 && bytes > this.#limitBytes) return false;
    if (limitFrames > 0 && waiting.frames >= limitFrames) return false;
    return limitNs === 0 || waiting.bytes * 8e9 <= limitNs * this.rateBitsPerSecond;
  }

  /** A frame waits from now on. */
  add(frame: number, nowNs: number): void {
    const { frames, counters } = this.#context;
    const bytes = frames.length[frame]!;
    frames.queuedNs[frame] = nowNs;
    this.bytes += bytes;
    this.frames++;
    counters[QUEUE_BYTES]! += bytes;
    counters[QUEUE_FRAMES]!++;
  }

  /** A frame waits no longer. */
  remove(frame: number): void {
    const { frames, counters } = this.#context;
    const bytes = frames.length[frame]!;
    this.bytes -= bytes;
    this.frames--;
    counters[QUEUE_BYTES]! -= bytes;
    counters[QUEUE_FRAMES]!--;
  }

  /** Drops a frame that was waiting. */
  discard(frame: number, reason: DropReason): void {
    this.remove(frame);
    this.#context.drop(frame, reason);
  }
}
