/**
 * What a link direction decided for a frame, as numbers: what goes through shared memory (ring.ts) and becomes a line of
 * the log (line.ts). docs/replay.md has the members.
 */

/** Events. LOST is no decision: so many could not be kept (ring.ts). */
export const OFFERED = 0;
export const DUPLICATED = 1;
export const DROPPED = 2;
export const DELIVERED = 3;
/** Delivered, with bytes other than it came with. */
export const DELIVERED_CHANGED = 4;
export const REFUSED = 5;
export const LOST = 6;

/** Takes decisions, in order. Called for every frame: nothing may be allocated in real time. */
export interface DecisionSink {
  /**
   * @param direction number of the link direction; a worker of a lab may use it again for another once all know that
   * @param frame number of the frame in that direction; 0 for REFUSED
   * @param bytes of OFFERED and DELIVERED
   * @param value of DUPLICATED the frame it is a copy of, of DROPPED the index in DROP_REASONS, of DELIVERED the delay
   *   in nanoseconds, of REFUSED how many frames, of LOST how many decisions
   */
  put(timeNs: number, direction: number, event: number, frame: number, bytes: number, value: number): void;
}
