/**
 * Tells a sink what link directions decide for each frame. Frames have numbers: of a direction, in the order in which it
 * took or made them, from 1. One that was under way already when this began has none, and nothing is said of it.
 */
import type { DirectionObserver } from '../link/observer.ts';
import { DROP_REASONS, type DropReason } from '../link/reasons.ts';
import type { FrameTable } from '../link/stage.ts';
import {
  DELIVERED,
  DELIVERED_CHANGED,
  type DecisionSink,
  DROPPED,
  DUPLICATED,
  OFFERED,
  REFUSED,
} from './decision.ts';

const REASONS = new Map<DropReason, number>(DROP_REASONS.map((reason, index) => [reason, index]));

/** The frames of one data plane; a slot is in one direction at a time, so all directions share the numbers by slot. */
export class FrameLog {
  readonly #frames: FrameTable;
  readonly #nowNs: () => number;
  readonly #sink: DecisionSink;
  readonly #numbers: Float64Array;

  constructor(frames: FrameTable, nowNs: () => number, sink: DecisionSink) {
    this.#frames = frames;
    this.#nowNs = nowNs;
    this.#sink = sink;
    this.#numbers = new Float64Array(frames.length.length);
  }

  /** What a direction tells of its frames. */
  of(direction: number): DirectionObserver {
    return new DirectionLog(direction, this.#frames, this.#numbers, this.#nowNs, this.#sink);
  }
}

class DirectionLog implements DirectionObserver {
  readonly #direction: number;
  readonly #frames: FrameTable;
  readonly #numbers: Float64Array;
  readonly #nowNs: () => number;
  readonly #sink: DecisionSink;
  #last = 0;

  constructor(
    direction: number,
    frames: FrameTable,
    numbers: Float64Array,
    nowNs: () => number,
    sink: DecisionSink,
  ) {
    this.#direction = direction;
    this.#frames = frames;
    this.#numbers = numbers;
    this.#nowNs = nowNs;
    this.#sink = sink;
  }

  offered(frame: number): void {
    const { length, changed } = this.#frames;
    this.#numbers[frame] = ++this.#last;
    changed[frame] = 0;
    this.#sink.put(this.#nowNs(), this.#direction, OFFERED, this.#last, length[frame]!, 0);
  }

  duplicated(frame: number, copy: number): void {
    const of = this.#numbers[frame]!;
    if (of === 0) {
      if (copy !== -1) this.#numbers[copy] = 0;
      return;
    }
    const nowNs = this.#nowNs();
    const number = ++this.#last;
    this.#sink.put(nowNs, this.#direction, DUPLICATED, number, 0, of);
    if (copy === -1) {
      this.#sink.put(nowNs, this.#direction, DROPPED, number, 0, REASONS.get('pool')!);
      return;
    }
    this.#numbers[copy] = number;
    this.#frames.changed[copy] = this.#frames.changed[frame]!;
  }

  dropped(frame: number, reason: DropReason): void {
    const number = this.#numbers[frame]!;
    if (number === 0) return;
    this.#sink.put(this.#nowNs(), this.#direction, DROPPED, number, 0, REASONS.get(reason)!);
  }

  delivered(frame: number): void {
    const number = this.#numbers[frame]!;
    if (number === 0) return;
    const { length, arrivedNs, changed } = this.#frames;
    const nowNs = this.#nowNs();
    const delayNs = Math.round(nowNs) - Math.round(arrivedNs[frame]!);
    const event = changed[frame] === 0 ? DELIVERED : DELIVERED_CHANGED;
    this.#sink.put(nowNs, this.#direction, event, number, length[frame]!, delayNs);
  }

  refused(frames: number): void {
    this.#sink.put(this.#nowNs(), this.#direction, REFUSED, 0, 0, frames);
  }
}
