/**
 * Whoever wants to know what a link direction decides, frame by frame (decisions/frame-log.ts). A frame is a slot, as in
 * stage.ts; what it is told of is still in its slot. When there is none a frame pays one comparison for that.
 */
import type { DropReason } from './reasons.ts';

export interface DirectionObserver {
  /** The direction takes a frame. */
  offered(frame: number): void;
  /** It has made a copy; `copy` is -1 when no slot held it, and it is lost at once. */
  duplicated(frame: number, copy: number): void;
  dropped(frame: number, reason: DropReason): void;
  delivered(frame: number): void;
  /** So many frames that it says are delivered were not: the device refused them, together. */
  refused(frames: number): void;
}
