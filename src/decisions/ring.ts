/**
 * How decisions of a worker reach the control thread: a ring of records in the arena, one for each worker. The worker
 * never waits. What finds no room is lost and counted, and a record LOST stands in its place once there is room again.
 *
 *   word 0      written: records that the worker has written, modulo 2^32; written by the worker, after the record
 *   word 1      taken: records that the control thread has taken; written by the control thread
 *   float64 1   lost, in all; written by the worker
 *   from byte 64, records of five float64: time (CLOCK_MONOTONIC), frame, value, bytes, direction * 8 + event
 *
 * A record is the worker's until it is written, the control thread's until it is taken. There is no lock.
 */
import { type Arena, DECISION_BYTES } from '../arena/arena.ts';
import { type DecisionSink, LOST } from './decision.ts';

const WRITTEN = 0;
const TAKEN = 1;
const LOST_TOTAL = 1;
const RECORDS = 8;
const FIELDS = DECISION_BYTES / 8;
const EVENTS = 8;

/** The worker's end. */
export class DecisionWriter implements DecisionSink {
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #words: number;
  readonly #floats: number;
  readonly #room: number;
  /** CLOCK_MONOTONIC when the worker's own clock was 0. */
  readonly #epochNs: number;
  #written: number;
  /** Where the next record goes. */
  #at: number;
  /** Lost since the last record that was written. */
  #gap = 0;

  constructor(arena: Arena, worker: number, epochNs: number) {
    const start = arena.decisionRing(worker);
    this.#i32 = arena.i32;
    this.#f64 = arena.f64;
    this.#words = start >>> 2;
    this.#floats = start >>> 3;
    this.#room = arena.decisionsPerWorker;
    this.#epochNs = epochNs;
    this.#written = Atomics.load(this.#i32, this.#words + WRITTEN);
    this.#at = (this.#written >>> 0) % this.#room;
    this.#f64[this.#floats + LOST_TOTAL] = 0;
  }

  put(timeNs: number, direction: number, event: number, frame: number, bytes: number, value: number): void {
    const used = (this.#written - Atomics.load(this.#i32, this.#words + TAKEN)) | 0;
    if (this.#room - used < (this.#gap === 0 ? 1 : 2)) {
      this.#gap++;
      this.#f64[this.#floats + LOST_TOTAL]!++;
      return;
    }
    const uptimeNs = timeNs + this.#epochNs;
    if (this.#gap > 0) {
      this.#write(uptimeNs, 0, LOST, 0, 0, this.#gap);
      this.#gap = 0;
    }
    this.#write(uptimeNs, direction, event, frame, bytes, value);
  }

  #write(
    uptimeNs: number,
    direction: number,
    event: number,
    frame: number,
    bytes: number,
    value: number,
  ): void {
    const f64 = this.#f64;
    const at = this.#floats + RECORDS + this.#at * FIELDS;
    f64[at] = uptimeNs;
    f64[at + 1] = frame;
    f64[at + 2] = value;
    f64[at + 3] = bytes;
    f64[at + 4] = direction * EVENTS + event;
    this.#at = this.#at + 1 === this.#room ? 0 : this.#at + 1;
    this.#written = (this.#written + 1) | 0;
    Atomics.store(this.#i32, this.#words + WRITTEN, this.#written);
  }
}

/** The control thread's end. */
export class DecisionReader {
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #words: number;
  readonly #floats: number;
  readonly #room: number;
  #taken: number;
  #at: number;

  constructor(arena: Arena, worker: number) {
    const start = arena.decisionRing(worker);
    this.#i32 = arena.i32;
    this.#f64 = arena.f64;
    this.#words = start >>> 2;
    this.#floats = start >>> 3;
    this.#room = arena.decisionsPerWorker;
    this.#taken = Atomics.load(this.#i32, this.#words + TAKEN);
    this.#at = (this.#taken >>> 0) % this.#room;
  }

  /** Decisions that found no room since the worker began. */
  get lost(): number {
    return this.#f64[this.#floats + LOST_TOTAL]!;
  }

  /** Records that were not taken. */
  get pending(): number {
    return (Atomics.load(this.#i32, this.#words + WRITTEN) - this.#taken) | 0;
  }

  /** CLOCK_MONOTONIC of the next record; Infinity when there is none. */
  get nextNs(): number {
    if (this.#taken === Atomics.load(this.#i32, this.#words + WRITTEN)) return Number.POSITIVE_INFINITY;
    return this.#f64[this.#floats + RECORDS + this.#at * FIELDS]!;
  }

  /** Hands the next record to a sink; its times are from `startNs`. There must be one. */
  take(startNs: number, sink: DecisionSink): void {
    const f64 = this.#f64;
    const at = this.#floats + RECORDS + this.#at * FIELDS;
    const what = f64[at + 4]!;
    sink.put(
      f64[at]! - startNs,
      Math.floor(what / EVENTS),
      what % EVENTS,
      f64[at + 1]!,
      f64[at + 3]!,
      f64[at + 2]!,
    );
    this.#at = this.#at + 1 === this.#room ? 0 : this.#at + 1;
    this.#taken = (this.#taken + 1) | 0;
    Atomics.store(this.#i32, this.#words + TAKEN, this.#taken);
  }
}
