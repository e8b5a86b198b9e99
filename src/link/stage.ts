/**
 * What the stages of a link have in common. A stage receives frames, and passes each on, drops it, or keeps it for
 * a time. A frame is a number: the index of its slot in the worker's frame pool. A stage owns a frame from push()
 * until it hands it to the next stage or to drop(), exactly one of them, exactly once.
 *
 * Stages are pure: time comes in with each call, timers and randomness from outside. Times are nanoseconds on a
 * clock that only has to be monotonic.
 */
import type { Precision } from './precision.ts';
import type { Random } from './random.ts';
import type { DropReason } from './reasons.ts';

export interface Stage {
  push(frame: number, nowNs: number): void;
}

/** A stage that keeps frames. */
export interface TimedStage extends Stage {
  /** The deadline given to StageTimers.at() has come. `deadlineNs` is that deadline, not the time of the call. */
  due(frame: number, deadlineNs: number): void;
}

export interface Timers {
  /** Those of one stage. */
  for(stage: TimedStage): StageTimers;
  /** More of the same owner, with a precision of their own. */
  group(): TimerGroup;
}

export interface TimerGroup extends Timers {
  /** From now on; see precision.ts. It is normal until it is set. */
  setPrecision(precision: Precision): void;
}

export interface StageTimers {
  /**
   * Calls `due(frame, deadlineNs)` of the stage when the time has come; equal deadlines, of whatever stages, in the
   * order of these calls and those of inLine().
   */
  at(deadlineNs: number, frame: number): void;
  /** The same for a frame that waits for nothing else; costs less where deadlines seldom go back. */
  inLine(deadlineNs: number, frame: number): void;
}

/** What is known of a frame, by slot. Arrays of the owning worker; no other thread sees them. */
export interface FrameTable {
  /** Bytes. */
  readonly length: Int32Array;
  /** When the link took it. */
  readonly arrivedNs: Float64Array;
  /** When the queue that holds it took it. */
  readonly queuedNs: Float64Array;
  /** Next frame of whatever list the frame is in; a frame is in one list at most. */
  readonly next: Int32Array;
  /** 1 for a frame that has other bytes than it came with: set by who changes it, cleared by who wants to know. */
  readonly changed: Uint8Array;
  /** The memory in which frames lie. The stage that owns a frame may change it; nobody else sees it meanwhile. */
  readonly bytes: Uint8Array;
  /** Where in `bytes` a frame starts, which may be changed from then on. */
  offset(frame: number): number;
  /** Where to look at a frame, until the next such call for any frame. */
  seen(frame: number): number;
  /**
   * Where to look at the headers of a frame, up to the ports; costs less. Lengths and checksums, sequence numbers and
   * flags there may be those of a super-frame that it is a part of.
   */
  header(frame: number): number;
  /** A free slot for a copy of a frame, or -1. It goes back as frames do: through deliver or drop. */
  takeLike(frame: number): number;
}

export type Drop = (frame: number, reason: DropReason) => void;

/** What a stage gets from the direction it belongs to. */
export type StageContext = {
  readonly frames: FrameTable;
  readonly timers: Timers;
  /** See counters.ts. */
  readonly counters: Float64Array;
  /** Link type of the frames, as in pcap: 1 is EN10MB, 101 is RAW. */
  readonly linkType: number;
  /** A generator of that name, in the place of this chain. */
  readonly random: (name: string) => Random;
  readonly drop: Drop;
  /** Tells the device at the far end that the direction carries nothing, or does again; without it there is none to tell. */
  readonly tellCarrier?: ((state: 'up' | 'down') => void) | undefined;
  /** Counts a copy of a frame; without a slot to hold it, as -1, it is lost at once. */
  readonly copied: (frame: number, copy: number) => void;
};

/**
 * The same context as an object like all others. To V8 an object that was made by spreading has a hidden class of its own,
 * and with more than four of those every stage would search for what it looks up in its context.
 */
export function alike({
  frames,
  timers,
  counters,
  linkType,
  random,
  drop,
  tellCarrier,
  copied,
}: StageContext): StageContext {
  return { frames, timers, counters, linkType, random, drop, tellCarrier, copied };
}

/** A stage whose settings change while frames are in it. */
export interface ImpairmentStage<Settings> extends Stage {
  /** Where frames go on. */
  next: Stage;
  /** True while it holds frames that later ones must not overtake: it then stays in the way of new ones. */
  readonly busy?: boolean;
  set(settings: Settings, nowNs: number): void;
}

/** One impairment: when it is on, and what makes its stage. */
export type Impairment<Settings> = {
  readonly isOn: (settings: Settings) => boolean;
  readonly create: (context: StageContext) => ImpairmentStage<Settings>;
};

/** Stands behind a stage that is not yet part of a chain. */
export const NOWHERE: Stage = {
  push() {
    throw new Error('a stage passed a frame on before it was put into a chain');
  },
};
