/**
 * A filter attached to an interface for as long as a test wants: its frames as an array, as an async iterable, or
 * waited for.
 *
 * One pump reads the descriptor into `#frames`; everything else looks there. Frames are kept in the order in which
 * the interface saw them. frames() and clear() are exact: they include every frame that was captured before the call,
 * whether or not the pump had read it.
 */
import { type CapturedFrame, frames as walk } from '../bpf/record.ts';
import type { DescriptorHandle, DescriptorStatus } from '../bpf/types.ts';
import { type Time, type WaitOptions, waitUntil } from './time.ts';

export type { CapturedFrame } from '../bpf/record.ts';

/** Frames that a capture keeps unless told. */
export const DEFAULT_MAX_FRAMES = 65_536;

export class FrameCapture implements AsyncIterable<CapturedFrame>, AsyncDisposable {
  readonly #descriptor: DescriptorHandle;
  readonly #maxFrames: number;
  readonly #time: Time;
  readonly #over: AbortSignal;
  #frames: CapturedFrame[] = [];
  /** Frames read, those cleared included. */
  #read = 0;
  #ended: string | undefined;
  #change!: Promise<void>;
  #tellChange!: () => void;

  constructor(descriptor: DescriptorHandle, maxFrames: number, time: Time, over: AbortSignal) {
    this.#descriptor = descriptor;
    this.#maxFrames = maxFrames;
    this.#time = time;
    this.#over = over;
    this.#nextChange();
    void this.#pump();
  }

  /** `node:interface`. */
  get interface(): string {
    return this.#descriptor.interface;
  }

  /** Frames captured since the start. Frames that found no room are not among them: see status().dropped. */
  get count(): number {
    const { accepted, dropped } = this.#descriptor.status();
    return accepted - dropped;
  }

  /** The descriptor's counters: `received` before the filter, `accepted` by it, `dropped` for want of room. */
  status(): DescriptorStatus {
    return this.#descriptor.status();
  }

  /** All frames captured up to now, oldest first; not those before clear(). Also after the capture was closed. */
  async frames(): Promise<CapturedFrame[]> {
    await this.settled();
    return [...this.#frames];
  }

  /** Forgets the frames captured up to now; what is waited for after this comes after it. */
  async clear(): Promise<void> {
    await this.settled();
    this.#frames = [];
  }

  /**
   * The first frame for which the predicate holds, among those captured already and those that come.
   * Throws WaitError: ETIMEDOUT, ENXIO (the capture has ended), ECANCELED.
   */
  waitFor(
    predicate: (frame: CapturedFrame, index: number) => boolean,
    options: WaitOptions = {},
  ): Promise<CapturedFrame> {
    let frames = this.#frames;
    let next = 0;
    return this.#until('frame that was waited for', options, () => {
      if (frames !== this.#frames) [frames, next] = [this.#frames, 0];
      for (; next < frames.length; next++) if (predicate(frames[next]!, next)) return frames[next];
      return undefined;
    });
  }

  /** The first `count` frames, once they are there; those captured already count. Throws as waitFor() does. */
  take(count: number, options: WaitOptions = {}): Promise<CapturedFrame[]> {
    return this.#until(`${count} frames`, options, () =>
      this.#frames.length >= count ? this.#frames.slice(0, count) : undefined,
    );
  }

  /** Every frame, oldest first, and the end when the capture ends; in a lab on a virtual clock, time has to pass. */
  async *[Symbol.asyncIterator](): AsyncIterator<CapturedFrame, void, undefined> {
    let frames = this.#frames;
    let next = 0;
    for (;;) {
      const change = this.#change;
      if (frames !== this.#frames) [frames, next] = [this.#frames, 0];
      if (next < frames.length) {
        yield frames[next++]!;
        continue;
      }
      if (this.#ended !== undefined) return;
      await change;
    }
  }

  /** Detaches; frames() still has everything that was captured until then. Idempotent. */
  async close(): Promise<void> {
    await this.#descriptor.detach();
    await this.settled();
    await this.#descriptor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Resolves when frames() has every frame that was captured before the call. */
  async settled(): Promise<void> {
    // What the reader waits for, with immediate mode, is any record: so it comes by itself.
    for (const goal = this.count; this.#read < goal && this.#ended === undefined; ) await this.#change;
  }

  /** Resolves when nothing more can come: the interface is gone and everything is read, or the capture is full. */
  async finished(): Promise<void> {
    while (this.#ended === undefined) await this.#change;
  }

  #until<T>(what: string, options: WaitOptions, find: () => T | undefined): Promise<T> {
    return waitUntil(this.#time, options, this.#over, {
      find,
      change: () => this.#change,
      ended: () => this.#ended,
      what: () => `${what} on ${this.interface} (${this.#describe()})`,
    });
  }

  #describe(): string {
    const { filter, received, accepted, dropped } = this.status();
    const lost = dropped > 0 ? `, ${dropped} dropped for want of room` : '';
    return `filter "${filter}" saw ${received} frames and accepted ${accepted}${lost}`;
  }

  async #pump(): Promise<void> {
    try {
      while (this.#read < this.#maxFrames) {
        const batch = await this.#descriptor.read();
        if (batch === undefined) break;
        for (const frame of walk(batch)) {
          this.#frames.push(frame);
          this.#read++;
        }
        this.#nextChange();
      }
      this.#ended =
        this.#read >= this.#maxFrames
          ? `the capture is full with ${this.#read} frames (maxFrames)`
          : 'the capture has ended';
    } catch (error) {
      this.#ended = `the capture broke off: ${String(error)}`;
    }
    this.#nextChange();
  }

  #nextChange(): void {
    this.#tellChange?.();
    this.#change = new Promise((resolve) => {
      this.#tellChange = resolve;
    });
  }
}

/** Milliseconds from one frame to another by their time stamps, exact to a nanosecond. */
export function elapsedMs(from: CapturedFrame, to: CapturedFrame): number {
  return (to.seconds - from.seconds) * 1e3 + (to.nanoseconds - from.nanoseconds) / 1e6;
}
