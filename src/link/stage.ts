/**
 * What the stages of a link have in common. A stage receives frames, and passes each on, drops it, or keeps it for
 * a time. A frame is a number: the index of its slot in the worker's frame pool. A stage owns a frame from push()
 * until it hands it to the next stage or to drop(), exactly one of them, exactly once.
 *
 * Stages are pure: time comes in with each call, timers and randomness from outside. Times are nanoseconds on a
 * clock that only has to be monotonic.
 */
import type { DropReason } from './settings.ts';

export interface Stage {
  push(frame: number, nowNs: number): void;
}

/** A stage that keeps frames. */
export interface TimedStage extends Stage {
  /** The deadline given to Timers.at() has come. `deadlineNs` is that deadline, not the time of the call. */
  due(frame: number, deadlineNs: number): void;
}

export interface Timers {
  /** Calls `stage.due(frame, deadlineNs)` when the time has come; equal deadlines in the order of these calls. */
  at(deadlineNs: number, stage: TimedStage, frame: number): void;
}

/** What is known of a frame, by slot. Arrays of the owning worker; no other thread sees them. */
export type FrameTable = {
  /** Bytes. */
  readonly length: Int32Array;
  /** When the link took it. */
  readonly arrivedNs: Float64Array;
  /** Next frame of whatever list the frame is in; a frame is in one list at most. */
  readonly next: Int32Array;
};

export type Drop = (frame: number, reason: DropReason) => void;
