/**
 * Whoever wants to know what a link direction decides, frame by frame. A frame is a slot, as in stage.ts; what it is
 * told of is still in its slot. For labs on a virtual clock (replay/decision-log.ts): in real time there is none, and
 * a frame pays one comparison for that.
 */
import type { DropReason } from './reasons.ts';
import type { FrameTable } from './stage.ts';

export interface DirectionObserver {
  /** The direction takes a frame. */
  offered(frame: number): void;
  /** It has made a copy; `copy` is -1 when no slot held it, and it is lost at once. */
  duplicated(frame: number, copy: number): void;
  dropped(frame: number, reason: DropReason): void;
  delivered(frame: number): void;
}

/** Makes the observer of a direction, named as `wan/forward`. `nowNs` is the time in the lab. */
export type Observe = (path: string, frames: FrameTable, nowNs: () => number) => DirectionObserver;
