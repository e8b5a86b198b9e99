/** A link direction on a virtual clock. */
import { largestDistance } from '../../bench/accuracy/statistics.ts';
import { Scheduler } from '../../src/engine/scheduler.ts';
import { DIRECTION_COUNTERS, DUPLICATED_FRAMES, dropCounter } from '../../src/link/counters.ts';
import { LinkDirection } from '../../src/link/direction.ts';
import { parseImpairment } from '../../src/link/impairment.ts';
import { createRandom } from '../../src/link/random.ts';
import { CLEAR_LINK, DROP_REASONS, type DropReason, type LinkSettings } from '../../src/link/settings.ts';
import type { FrameTable } from '../../src/link/stage.ts';

const SLOTS = 8192;
const SLOT_BYTES = 1600;
const DELIVERED = -1;

export type Arrival = { readonly number: number; readonly atNs: number; readonly bytes: number };

/** Frame slots with bytes, taken in order and given back. */
class TestFrames implements FrameTable {
  readonly length: Int32Array = new Int32Array(SLOTS);
  readonly arrivedNs: Float64Array = new Float64Array(SLOTS);
  readonly changed: Uint8Array = new Uint8Array(SLOTS);
  readonly queuedNs: Float64Array = new Float64Array(SLOTS);
  readonly next: Int32Array = new Int32Array(SLOTS);
  readonly bytes: Uint8Array = new Uint8Array(SLOTS * SLOT_BYTES);
  /** What the test calls the frame in a slot. */
  readonly number: Float64Array = new Float64Array(SLOTS);
  readonly free: number[];
  readonly lent: Set<number> = new Set();

  constructor(slots: number) {
    this.free = Array.from({ length: slots }, (_, i) => slots - 1 - i);
  }

  offset(frame: number): number {
    return frame * SLOT_BYTES;
  }

  seen(frame: number): number {
    return this.offset(frame);
  }

  header(frame: number): number {
    return this.offset(frame);
  }

  take(): number {
    const frame = this.free.pop();
    if (frame === undefined) return -1;
    this.lent.add(frame);
    return frame;
  }

  takeLike(): number {
    return this.take();
  }

  release(frame: number): void {
    if (!this.lent.delete(frame)) throw new Error(`slot ${frame} was given back twice`);
    this.free.push(frame);
  }
}

type RigOptions = { readonly seed?: number; readonly slots?: number; readonly linkType?: number };

/** A direction, and all that happens to its frames. */
export class Rig {
  readonly counters: Float64Array = new Float64Array(DIRECTION_COUNTERS);
  readonly frames: TestFrames;
  readonly timers: Scheduler = new Scheduler(SLOTS);
  readonly arrived: Arrival[] = [];
  readonly contents: Uint8Array[] = [];
  /** Numbers of frames that did not arrive. */
  readonly dropped: number[] = [];
  /** What was shown of dropped frames. */
  readonly shown: { length: number; reason: DropReason; wasLent: boolean }[] = [];
  readonly direction: LinkDirection;
  #offered = 0;

  constructor(settings: LinkSettings, { seed = 1, slots = SLOTS, linkType = 1 }: RigOptions) {
    this.frames = new TestFrames(slots);
    this.direction = new LinkDirection(
      {
        frames: this.frames,
        timers: this.timers.of(0),
        counters: this.counters,
        linkType,
        random: (stage) => createRandom(seed, stage),
        deliver: (frame, atNs) => this.#deliver(frame, atNs),
        dropped: (frame, length, reason) =>
          void this.shown.push({ length, reason, wasLent: this.frames.lent.has(frame) }),
        release: (frame) => this.#release(frame),
      },
      settings,
    );
  }

  /** Offers a frame of zeros or of these bytes; its number counts from 0 in the order of the calls. */
  offer(nowNs: number, content: number | Uint8Array = 100): void {
    const { frames } = this;
    const frame = frames.take();
    if (frame === -1) throw new Error('no slot is free');
    const bytes = typeof content === 'number' ? content : content.length;
    const start = frames.offset(frame);
    frames.length[frame] = bytes;
    frames.bytes.fill(0, start, start + bytes);
    if (typeof content !== 'number') frames.bytes.set(content, start);
    frames.number[frame] = this.#offered++;
    this.direction.offer(frame, nowNs);
  }

  /** Offers `count` frames `gapNs` apart, lets all time pass, and returns what arrived. */
  stream(count: number, gapNs: number, content: number | Uint8Array = 100): Arrival[] {
    for (let i = 0; i < count; i++) {
      this.timers.run(i * gapNs);
      this.offer(i * gapNs, content);
    }
    this.timers.run(Number.MAX_VALUE);
    return this.arrived;
  }

  set(change: string | Partial<LinkSettings>, nowNs: number): void {
    this.direction.set(settingsOf(change), nowNs);
  }

  drops(reason: DropReason): number {
    return this.counters[dropCounter(reason)]!;
  }

  allDrops(): number {
    return DROP_REASONS.reduce((sum, each) => sum + this.drops(each), 0);
  }

  duplicated(): number {
    return this.counters[DUPLICATED_FRAMES]!;
  }

  #deliver(frame: number, atNs: number): undefined {
    const { number, length, bytes } = this.frames;
    const start = this.frames.offset(frame);
    this.arrived.push({ number: number[frame]!, atNs, bytes: length[frame]! });
    this.contents.push(bytes.slice(start, start + length[frame]!));
    number[frame] = DELIVERED;
  }

  #release(frame: number): void {
    if (this.frames.number[frame] !== DELIVERED) this.dropped.push(this.frames.number[frame]!);
    this.frames.release(frame);
  }
}

/** A direction with settings, or with an impairment as text. */
export function setUp(impairment: string | Partial<LinkSettings> = {}, options: RigOptions = {}): Rig {
  return new Rig(settingsOf(impairment), options);
}

export function settingsOf(impairment: string | Partial<LinkSettings>): LinkSettings {
  const settings = typeof impairment === 'string' ? parseImpairment(impairment) : impairment;
  return { ...CLEAR_LINK, ...settings };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

/** Pearson's coefficient of each value and the one before. */
export function autocorrelation(values: readonly number[]): number {
  const middle = mean(values);
  const variance = mean(values.map((each) => (each - middle) ** 2));
  return mean(values.slice(1).map((each, i) => (each - middle) * (values[i]! - middle))) / variance;
}

/** Largest distance between the distribution of the values and `cumulative`, times the root of their number. */
export function kolmogorovSmirnov(values: readonly number[], cumulative: (value: number) => number): number {
  return largestDistance(values, cumulative) * Math.sqrt(values.length);
}

/** 99.9 % quantile of the Kolmogorov distribution. */
export const KOLMOGOROV_999 = 1.95;
