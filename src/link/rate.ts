/**
 * Serialization at a given rate, behind a queue limited in bytes that drops at the tail: `rate` of tc-netem(8) with
 * the queue of tc-bfifo(8).
 *
 * An idle limiter takes any frame: it need not wait. One frame at a time is on the wire for length × 8 / rate seconds. Each starts at the exact moment the one before
 * it ended, whenever the call comes, so that the rate holds over any length of time.
 *
 *   push ─▶ limit? ─▶ [ head │ … │ tail ] ─▶ head on the wire ─▶ due ─▶ next
 */
import { QUEUE_BYTES, QUEUE_FRAMES } from './counters.ts';
import type { Drop, FrameTable, Stage, TimedStage, Timers } from './stage.ts';

const NONE = -1;

export class Rate implements TimedStage {
  limitBytes = 0;
  readonly #next: Stage;
  readonly #timers: Timers;
  readonly #frames: FrameTable;
  readonly #drop: Drop;
  readonly #counters: Float64Array;
  #bitsPerSecond = 0;
  #head = NONE;
  #tail = NONE;
  /** When the head will have left the wire. A timer with another deadline is one that a change of rate outdated. */
  #finishNs = 0;

  /** `counters` is the direction's record: QUEUE_BYTES and QUEUE_FRAMES are this stage's. */
  constructor(next: Stage, timers: Timers, frames: FrameTable, drop: Drop, counters: Float64Array) {
    this.#next = next;
    this.#timers = timers;
    this.#frames = frames;
    this.#drop = drop;
    this.#counters = counters;
  }

  /** Changes the rate; 0 is unlimited. What is left of the frame on the wire continues at the new rate. */
  setRate(bitsPerSecond: number, nowNs: number): void {
    const old = this.#bitsPerSecond;
    this.#bitsPerSecond = bitsPerSecond;
    if (this.#head === NONE || old === bitsPerSecond) return;
    const leftNs = Math.max(0, this.#finishNs - nowNs);
    this.#finish(bitsPerSecond === 0 ? nowNs : nowNs + (leftNs * old) / bitsPerSecond);
  }

  push(frame: number, nowNs: number): void {
    const idle = this.#head === NONE;
    const bytes = this.#counters[QUEUE_BYTES]! + this.#frames.length[frame]!;
    if (idle && this.#bitsPerSecond === 0) this.#next.push(frame, nowNs);
    else if (idle || bytes <= this.limitBytes) this.#enqueue(frame, nowNs);
    else this.#drop(frame, 'queue');
  }

  due(frame: number, deadlineNs: number): void {
    if (frame !== this.#head || deadlineNs !== this.#finishNs) return;
    this.#head = this.#frames.next[frame]!;
    if (this.#head === NONE) this.#tail = NONE;
    else this.#serialize(this.#head, deadlineNs);
    this.#counters[QUEUE_BYTES]! -= this.#frames.length[frame]!;
    this.#counters[QUEUE_FRAMES]!--;
    this.#next.push(frame, deadlineNs);
  }

  #enqueue(frame: number, nowNs: number): void {
    const counters = this.#counters;
    counters[QUEUE_BYTES]! += this.#frames.length[frame]!;
    counters[QUEUE_FRAMES]!++;
    this.#frames.next[frame] = NONE;
    if (this.#head === NONE) {
      this.#head = frame;
      this.#tail = frame;
      this.#serialize(frame, nowNs);
    } else {
      this.#frames.next[this.#tail] = frame;
      this.#tail = frame;
    }
  }

  #serialize(frame: number, startNs: number): void {
    const rate = this.#bitsPerSecond;
    this.#finish(rate === 0 ? startNs : startNs + (this.#frames.length[frame]! * 8e9) / rate);
  }

  #finish(finishNs: number): void {
    this.#finishNs = finishNs;
    this.#timers.at(finishNs, this, this.#head);
  }
}
