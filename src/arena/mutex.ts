/**
 * A mutex in shared memory, in the manner of a futex: one word, uncontended one compare-exchange each way.
 *
 * The word is 0 when free, else the number of the thread that holds it, with WAITERS set when somebody may sleep on
 * it. Because the word names its owner, a waiter can see that the owner died and take the lock over; what the lock
 * protects must therefore be consistent after every single store (see bpf/buffers.ts for how that is kept).
 *
 * Never sleep, allocate or await while holding one. Order of locks: registry, then bpf_if; never two bpf_ifs.
 *
 * After Ulrich Drepper, "Futexes Are Tricky", mutex2: whoever has slept takes the lock with WAITERS set, because
 * others may still be asleep. test/model/mutex.pml follows it step by step.
 */
import { type Arena, THREAD_DEAD, THREAD_STATE } from './arena.ts';
import { waitWhile } from './wait.ts';

const WAITERS = 0x10000;
const OWNER = 0xffff;
/** Some microseconds: about as long as a delivery holds the lock. */
const SPINS = 200;
/** How long a sleeper sleeps before it looks whether the owner is still alive. */
const RECHECK_MS = 100;

/** Takes the lock if it is free. */
export function tryLock(arena: Arena, word: number, self: number): boolean {
  return Atomics.compareExchange(arena.i32, word, 0, self) === 0;
}

/** Takes the lock; may put the thread to sleep. Not for the control thread, whose event loop must go on. */
export function lock(arena: Arena, word: number, self: number): void {
  if (Atomics.compareExchange(arena.i32, word, 0, self) !== 0) lockContended(arena, word, self);
}

function lockContended(arena: Arena, word: number, self: number): void {
  if (spin(arena, word, self)) return;
  for (;;) {
    const seen = prepareSleep(arena, word, self);
    if (seen === 0) return;
    Atomics.wait(arena.i32, word, seen, RECHECK_MS);
  }
}

/**
 * Runs `critical` with the lock held by the control thread: spins briefly, then lets the event loop run until the lock
 * is free. `critical` runs in the very turn of the event loop in which the thread gets the
 * lock: nothing else of the control thread runs while it holds it, so that a data plane in the same thread
 * (engine/inline.ts) never waits for its own thread. test/model/bpf_if.pml: AWAIT_WITH_LOCK is what this avoids.
 *
 * @param released called in that same turn, with what `critical` returned, once the lock has been given back: it may
 * allocate, and still nothing of the control thread comes in between
 */
export async function whileLocked<T>(
  arena: Arena,
  word: number,
  self: number,
  critical: () => T,
  released: (result: T) => void = () => {},
): Promise<T> {
  if (!tryLock(arena, word, self) && !spin(arena, word, self)) {
    for (let seen = prepareSleep(arena, word, self); seen !== 0; seen = prepareSleep(arena, word, self)) {
      await waitWhile(arena.i32, word, seen, RECHECK_MS);
    }
  }
  let result: T;
  try {
    result = critical();
  } finally {
    unlock(arena, word);
  }
  released(result);
  return result;
}

/**
 * Gives the lock back. Wakes everybody: if the first in the queue were the control thread, busy in its event loop, a
 * worker behind it would sleep beside a free lock.
 */
export function unlock(arena: Arena, word: number): void {
  if ((Atomics.exchange(arena.i32, word, 0) & WAITERS) !== 0) Atomics.notify(arena.i32, word);
}

function spin(arena: Arena, word: number, self: number): boolean {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.load(arena.i32, word) === 0 && tryLock(arena, word, self)) return true;
  }
  return false;
}

/** Marks the word as waited for. Returns the value to sleep on, or 0 when the lock was taken meanwhile. */
function prepareSleep(arena: Arena, word: number, self: number): number {
  for (;;) {
    const seen = Atomics.load(arena.i32, word);
    const free = seen === 0 || ownerIsDead(arena, seen & OWNER);
    const next = free ? self | WAITERS : seen | WAITERS;
    if (Atomics.compareExchange(arena.i32, word, seen, next) !== seen) continue;
    return free ? 0 : next;
  }
}

function ownerIsDead(arena: Arena, owner: number): boolean {
  return Atomics.load(arena.i32, arena.threadWord(owner, THREAD_STATE)) === THREAD_DEAD;
}
