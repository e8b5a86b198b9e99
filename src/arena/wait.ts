/**
 * Sleeping on a word of shared memory from the control thread, whose event loop must go on.
 */

/** The longest a timer takes. */
const LONG_MS = 2 ** 31 - 1;

/**
 * Resolves once the word no longer holds `value` and somebody notified it, or after `timeoutMs` if that is given.
 * Keeps the process alive meanwhile, which Atomics.waitAsync alone does not.
 */
export async function waitWhile(
  i32: Int32Array,
  word: number,
  value: number,
  timeoutMs?: number,
): Promise<'ok' | 'not-equal' | 'timed-out'> {
  // V8 keeps the timer of a wait that was notified until it would have run out: no timeout unless one is wanted.
  const waiting =
    timeoutMs === undefined
      ? Atomics.waitAsync(i32, word, value)
      : Atomics.waitAsync(i32, word, value, timeoutMs);
  if (!waiting.async) return waiting.value;
  const alive = setTimeout(() => {}, LONG_MS);
  try {
    return await waiting.value;
  } finally {
    clearTimeout(alive);
  }
}
