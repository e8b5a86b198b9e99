/**
 * Counters of one link direction: a Float64Array, in the arena or anywhere. Written by the worker that owns the
 * direction and by nobody else; read at any time by anybody, without a lock.
 *
 * What came in is what went out, what was dropped and what is under way:
 * offered = delivered + sum of drops + in flight.
 */
import { DROP_REASONS, type DropReason } from './settings.ts';

export const OFFERED_FRAMES = 0;
export const OFFERED_BYTES = 1;
export const DELIVERED_FRAMES = 2;
export const DELIVERED_BYTES = 3;
/** Delivered frames that delay or rate had held back. */
export const DELAYED_FRAMES = 4;
/** What waits in front of the rate limiter, the frame being serialized included. */
export const QUEUE_BYTES = 5;
export const QUEUE_FRAMES = 6;
/** One counter for each of DROP_REASONS, in that order. */
export const DROPS = 8;
export const DIRECTION_COUNTERS: number = DROPS + DROP_REASONS.length;

const reasonIndex: ReadonlyMap<DropReason, number> = new Map(
  DROP_REASONS.map((reason, index) => [reason, DROPS + index]),
);

/** Index of a drop reason's counter. */
export function dropCounter(reason: DropReason): number {
  return reasonIndex.get(reason)!;
}
