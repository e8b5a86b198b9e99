/**
 * Putting a frame into a descriptor's buffers: FreeBSD's catchpacket() and ROTATE_BUFFERS() (sys/net/bpf.c).
 *
 * Everything here runs with the bpf_if lock held, allocates nothing and never sleeps. Each step leaves the record
 * valid: D_STORE_LENGTH is what says how much of the store buffer counts, and it is written last.
 */
import type { Arena } from '../arena/arena.ts';
import {
  D_BUFFER_BYTES,
  D_CAPTURED_BYTES,
  D_DROPPED,
  D_FREE,
  D_HOLD,
  D_HOLD_LENGTH,
  D_STORE,
  D_STORE_LENGTH,
  D_WAIT,
  WAIT_HOLD,
  WAIT_NOTHING,
  WAIT_RECORD,
} from './layout.ts';
import { RECORD_ALIGN, RECORD_HEADER } from './record.ts';

/** When a thread saw a frame: seconds and nanoseconds since the epoch. */
export type Stamp = { seconds: number; nanoseconds: number };

/**
 * Appends one accepted frame to the store buffer of descriptor record `d` (word index).
 * Fits: append. Does not fit, and the other buffer is free: rotate, wake the reader, append. Else: count a
 * drop. bpf(4)'s immediate mode needs nothing here: such a reader waits for any record, others for a full buffer.
 */
export function catchPacket(
  arena: Arena,
  d: number,
  frame: number,
  length: number,
  snapLength: number,
  direction: number,
  stamp: Stamp,
): void {
  const { i32 } = arena;
  const bufferBytes = i32[d + D_BUFFER_BYTES]!;
  // A snap length larger than the buffer is cut to it, as catchpacket() does.
  const captured = Math.min(snapLength, length, bufferBytes - RECORD_HEADER);
  const total = (RECORD_HEADER + captured + RECORD_ALIGN - 1) & -RECORD_ALIGN;
  let at = i32[d + D_STORE_LENGTH]!;
  if (at + total > bufferBytes) {
    if (i32[d + D_FREE] === 0) {
      arena.f64[(d >>> 1) + D_DROPPED]!++;
      return;
    }
    rotate(arena, d);
    wake(arena, d, WAIT_HOLD);
    at = 0;
  }
  const record = i32[d + D_STORE]! + at;
  const word = record >>> 2;
  i32[word] = total;
  i32[word + 1] = captured;
  i32[word + 2] = length;
  i32[word + 3] = direction;
  i32[word + 4] = stamp.seconds;
  i32[word + 5] = stamp.nanoseconds;
  arena.u8.copyWithin(record + RECORD_HEADER, frame, frame + captured);
  i32[d + D_STORE_LENGTH] = at + total;
  arena.f64[(d >>> 1) + D_CAPTURED_BYTES]! += captured;
  wake(arena, d, WAIT_RECORD);
}

/** store becomes hold, free becomes store. Only when there is a free buffer, so that there is no hold. */
export function rotate(arena: Arena, d: number): void {
  const { i32 } = arena;
  i32[d + D_HOLD] = i32[d + D_STORE]!;
  i32[d + D_HOLD_LENGTH] = i32[d + D_STORE_LENGTH]!;
  i32[d + D_STORE] = i32[d + D_FREE]!;
  i32[d + D_STORE_LENGTH] = 0;
  i32[d + D_FREE] = 0;
}

/** hold becomes free: the reader has copied it. */
export function release(arena: Arena, d: number): void {
  const { i32 } = arena;
  i32[d + D_FREE] = i32[d + D_HOLD]!;
  i32[d + D_HOLD] = 0;
  i32[d + D_HOLD_LENGTH] = 0;
}

/** Empties store and hold. */
export function reset(arena: Arena, d: number): void {
  arena.i32[d + D_STORE_LENGTH] = 0;
  if (arena.i32[d + D_HOLD] !== 0) release(arena, d);
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
