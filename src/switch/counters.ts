/**
 * The record of a switch: float64 fields in the arena, or anywhere. Written by the worker that the switch belongs to,
 * read at any time by anybody, without a lock. Every frame that enters is counted in one of the first four.
 */

/** Sent to the one port where its destination is. */
export const FORWARDED = 0;
/** Sent to all ports of its VLAN: for a group, or for an address that is not known. */
export const FLOODED = 1;
/** Not sent anywhere: meant for where it came from, for bridges only, or no Ethernet frame. */
export const FILTERED = 2;
/** Not taken: of a VLAN that the port does not carry. */
export const VLAN_REFUSED = 3;
/** Addresses that were learned, and those of them that were known at another port before. */
export const LEARNED = 4;
export const MOVED = 5;
/** Addresses that were not learned, for want of room. */
export const NOT_LEARNED = 6;
/** CLOCK_MONOTONIC, in nanoseconds, when the worker's clock was 0: the times in the table count from there. */
export const CLOCK_START_NS = 7;

export const SWITCH_FIELDS = 8;
