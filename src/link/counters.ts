/**
 * Counters of one link direction: a Float64Array, in the arena or anywhere. Written by the worker that owns the
 * direction and by nobody else; read at any time by anybody, without a lock.
 *
 * What came in and what was made is what went out, what was dropped and what is under way:
 * offered + duplicated = delivered + sum of drops + in flight.
 */
import { DROP_REASONS, type DropReason } from './reasons.ts';

/** Rules that a direction may have: each has counters here. */
export const MAX_RULES = 16;

export const OFFERED_FRAMES = 0;
export const OFFERED_BYTES = 1;
export const DELIVERED_FRAMES = 2;
export const DELIVERED_BYTES = 3;
/** Delivered frames that delay or rate had held back. */
export const DELAYED_FRAMES = 4;
/** What waits in front of the rate limiter, the frame being serialized included. */
export const QUEUE_BYTES = 5;
export const QUEUE_FRAMES = 6;
/** Copies that the link made. */
export const DUPLICATED_FRAMES = 7;
/** One counter for each of DROP_REASONS, in that order. */
export const DROPS = 8;

/** Of each rule: frames and bytes that it matched, and how many of those frames it dropped itself. */
const RULES: number = DROPS + DROP_REASONS.length;
export const RULE_FRAMES = 0;
export const RULE_BYTES = 1;
export const RULE_DROPS = 2;
const RULE_COUNTERS = 3;

export const DIRECTION_COUNTERS: number = RULES + MAX_RULES * RULE_COUNTERS;

const reasonIndex: ReadonlyMap<DropReason, number> = new Map(
  DROP_REASONS.map((reason, index) => [reason, DROPS + index]),
);

/** Index of a drop reason's counter. */
export function dropCounter(reason: DropReason): number {
  return reasonIndex.get(reason)!;
}

/** Whether a direction holds frames: what came, and was neither delivered nor dropped. */
export function holdsFrames(counters: Float64Array): boolean {
  let held = counters[OFFERED_FRAMES]! + counters[DUPLICATED_FRAMES]! - counters[DELIVERED_FRAMES]!;
  for (const index of reasonIndex.values()) held -= counters[index]!;
  return held > 0;
}

/** Index of the first counter of a rule. */
export function ruleCounters(rule: number): number {
  return RULES + rule * RULE_COUNTERS;
}
