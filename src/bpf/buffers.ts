/**
 * Putting a frame into a descriptor's buffers: FreeBSD's catchpacket() and ROTATE_BUFFERS() (sys/net/bpf.c).
 *
 * Everything here runs with the bpf_if lock held, allocates nothing and never sleeps. Each store leaves the record
 * valid: the length that says how much of a buffer counts is written after the bytes, and the roles are one word.
 * test/model/buffers.pml follows these functions step by step.
 */
import type { Arena } from '../arena/arena.ts';
import {
  D_BUFFER_BYTES,
  D_BUFFERS,
  D_CAPTURED_BYTES,
  D_DROPPED,
  D_LENGTH,
  D_ROLES,
  D_TIMESTAMP,
  D_WAIT,
  HAS_HOLD,
  STORE_INDEX,
  WAIT_HOLD,
  WAIT_NOTHING,
  WAIT_RECORD,
} from './layout.ts';
import {
  RECORD_ALIGN,
  RECORD_HEADER,
  TIMESTAMP_MONOTONIC,
  TIMESTAMP_NONE,
  TIMESTAMP_SHIFT,
} from './record.ts';

/** When a thread saw a frame: since the epoch, and since the system started (CLOCK_MONOTONIC). */
export type Stamp = {
  seconds: number;
  nanoseconds: number;
  uptimeSeconds: number;
  uptimeNanoseconds: number;
};

/** From one of a descriptor's two buffers to the other; padding of a record that fills a buffer has room in it. */
export function bufferStride(bufferBytes: number): number {
  return Math.ceil(bufferBytes / 64) * 64;
}

/**
 * Appends one accepted frame to the store buffer of descriptor record `d` (word index).
 * Fits: append. Does not fit, and the other buffer is free: rotate, wake the reader, append. Else: count a
 * drop. `origin` is the direction, and why a dropped frame was dropped (record.ts). bpf(4)'s immediate mode needs nothing here: such a reader waits for any record, others for a full buffer.
 */
export function catchPacket(
  arena: Arena,
  d: number,
  frame: number,
  length: number,
  snapLength: number,
  origin: number,
  stamp: Stamp,
): void {
  const { i32 } = arena;
  const bufferBytes = i32[d + D_BUFFER_BYTES]!;
  // A snap length larger than the buffer is cut to it, as catchpacket() does.
  const captured = Math.min(snapLength, length, bufferBytes - RECORD_HEADER);
  let store = i32[d + D_ROLES]! & STORE_INDEX;
  let at = i32[d + D_LENGTH + store]!;
  // Only the start of a record is aligned, so the last one in a buffer needs no room for its padding.
  if (at + RECORD_HEADER + captured > bufferBytes) {
    if (!rotate(arena, d)) {
      arena.f64[(d >>> 1) + D_DROPPED]!++;
      return;
    }
    wake(arena, d, WAIT_HOLD);
    store ^= 1;
    at = 0;
  }
  const total = (RECORD_HEADER + captured + RECORD_ALIGN - 1) & -RECORD_ALIGN;
  const record = i32[d + D_BUFFERS]! + store * bufferStride(bufferBytes) + at;
  const word = record >>> 2;
  i32[word] = total;
  i32[word + 1] = captured;
  i32[word + 2] = length;
  const timestamp = i32[d + D_TIMESTAMP]!;
  i32[word + 3] = origin | (timestamp << TIMESTAMP_SHIFT);
  if ((timestamp & TIMESTAMP_MONOTONIC) !== 0) {
    i32[word + 4] = stamp.uptimeSeconds;
    i32[word + 5] = stamp.uptimeNanoseconds;
  } else {
    const stamped = timestamp !== TIMESTAMP_NONE;
    i32[word + 4] = stamped ? stamp.seconds : 0;
    i32[word + 5] = stamped ? stamp.nanoseconds : 0;
  }
  arena.u8.copyWithin(record + RECORD_HEADER, frame, frame + captured);
  arena.f64[(d >>> 1) + D_CAPTURED_BYTES]! += captured;
  i32[d + D_LENGTH + store] = at + total;
  wake(arena, d, WAIT_RECORD);
}

/** Whether the store buffer has no record. */
export function isStoreEmpty(arena: Arena, d: number): boolean {
  return arena.i32[d + D_LENGTH + (arena.i32[d + D_ROLES]! & STORE_INDEX)] === 0;
}

/** Whether there is a hold buffer, and so no free one. */
export function hasHold(arena: Arena, d: number): boolean {
  return (arena.i32[d + D_ROLES]! & HAS_HOLD) !== 0;
}

/** Byte offset of the hold buffer. Only when there is one. */
export function holdOffset(arena: Arena, d: number): number {
  const { i32 } = arena;
  return i32[d + D_BUFFERS]! + (~i32[d + D_ROLES]! & STORE_INDEX) * bufferStride(i32[d + D_BUFFER_BYTES]!);
}

/** Bytes of records in the hold buffer. Only when there is one. */
export function holdLength(arena: Arena, d: number): number {
  return arena.i32[d + D_LENGTH + (~arena.i32[d + D_ROLES]! & STORE_INDEX)]!;
}

/** store becomes hold, free becomes store; false when there is no free buffer. */
export function rotate(arena: Arena, d: number): boolean {
  const roles = arena.i32[d + D_ROLES]!;
  if ((roles & HAS_HOLD) !== 0) return false;
  arena.i32[d + D_ROLES] = (roles ^ STORE_INDEX) | HAS_HOLD;
  return true;
}

/** hold becomes free: the reader has copied it. */
export function release(arena: Arena, d: number): void {
  const roles = arena.i32[d + D_ROLES]!;
  arena.i32[d + D_LENGTH + (~roles & STORE_INDEX)] = 0;
  arena.i32[d + D_ROLES] = roles & ~HAS_HOLD;
}

/** Empties the store, and the hold buffer unless a reader has it. */
export function reset(arena: Arena, d: number, holdInUse: boolean): void {
  arena.i32[d + D_LENGTH + (arena.i32[d + D_ROLES]! & STORE_INDEX)] = 0;
  if (hasHold(arena, d) && !holdInUse) release(arena, d);
}

/** Bytes of records in the store buffer. */
export function storeBytes(arena: Arena, d: number): number {
  return arena.i32[d + D_LENGTH + (arena.i32[d + D_ROLES]! & STORE_INDEX)]!;
}

/** Bytes of records in the hold buffer, 0 when there is none. */
export function holdBytes(arena: Arena, d: number): number {
  return hasHold(arena, d) ? holdLength(arena, d) : 0;
}

/** Wakes the reader if it waits for what has just happened; a hold buffer satisfies either wish. */
function wake(arena: Arena, d: number, what: number): void {
  const wanted = arena.i32[d + D_WAIT]!;
  if (wanted === WAIT_NOTHING || (wanted === WAIT_HOLD && what !== WAIT_HOLD)) return;
  wakeReader(arena, d);
}

/** Wakes the reader whatever it waits for. */
export function wakeReader(arena: Arena, d: number): void {
  Atomics.store(arena.i32, d + D_WAIT, WAIT_NOTHING);
  Atomics.notify(arena.i32, d + D_WAIT);
}
