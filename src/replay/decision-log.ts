/**
 * The decision log: what every link direction decided for every frame, as JSON, a line each, in the order in which it
 * was decided. docs/replay.md has the members.
 *
 * Frames have numbers: of a direction, in the order in which it took or made them, from 1. A frame ends in exactly
 * one of `delivered` and `dropped`; one that is still on its way when the log ends in neither.
 */
import type { DirectionObserver, Observe } from '../link/observer.ts';
import type { DropReason } from '../link/reasons.ts';
import type { FrameTable } from '../link/stage.ts';

type Write = (line: string) => void;

/** What has a log written of each direction. `write` gets lines without their end. */
export function decisionLog(write: Write): Observe {
  return (path, frames, nowNs) => new DirectionLog(path, frames, nowNs, write);
}

class DirectionLog implements DirectionObserver {
  readonly #where: { readonly link: string; readonly direction: string };
  readonly #frames: FrameTable;
  readonly #nowNs: () => number;
  readonly #write: Write;
  /** By slot: the number of the frame in it, and a hash of what it was when the link took it. */
  readonly #numbers: Float64Array;
  readonly #hashes: Int32Array;
  #last = 0;

  constructor(path: string, frames: FrameTable, nowNs: () => number, write: Write) {
    const slash = path.lastIndexOf('/');
    this.#where = { link: path.slice(0, slash), direction: path.slice(slash + 1) };
    this.#frames = frames;
    this.#nowNs = nowNs;
    this.#write = write;
    this.#numbers = new Float64Array(frames.length.length);
    this.#hashes = new Int32Array(frames.length.length);
  }

  offered(frame: number): void {
    this.#numbers[frame] = ++this.#last;
    this.#hashes[frame] = this.#hash(frame);
    this.#say('offered', this.#last, { bytes: this.#frames.length[frame]! });
  }

  duplicated(frame: number, copy: number): void {
    const number = ++this.#last;
    this.#say('duplicated', number, { of: this.#numbers[frame]! });
    if (copy === -1) {
      this.#say('dropped', number, { reason: 'pool' });
      return;
    }
    this.#numbers[copy] = number;
    this.#hashes[copy] = this.#hashes[frame]!;
  }

  dropped(frame: number, reason: DropReason): void {
    this.#say('dropped', this.#numbers[frame]!, { reason });
  }

  delivered(frame: number): void {
    const { length, arrivedNs } = this.#frames;
    this.#say('delivered', this.#numbers[frame]!, {
      bytes: length[frame]!,
      delayNs: Math.round(this.#nowNs()) - Math.round(arrivedNs[frame]!),
      ...(this.#hash(frame) === this.#hashes[frame] ? {} : { changed: true }),
    });
  }

  #say(event: string, frame: number, more: object): void {
    const timeNs = Math.round(this.#nowNs());
    this.#write(JSON.stringify({ timeNs, ...this.#where, frame, event, ...more }));
  }

  /** FNV-1a, 32 bits: of a change of one bit it never fails to tell. */
  #hash(frame: number): number {
    const { bytes, length } = this.#frames;
    const start = this.#frames.offset(frame);
    const end = start + length[frame]!;
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    return hash;
  }
}
