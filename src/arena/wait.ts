/**
 * Sleeping on a word of shared memory from the control thread, whose event loop must go on.
 */

/** Longer than any wait; the largest delay a timer takes. */
const FOR_EVER_MS = 2 ** 31 - 1;

/**
 * Resolves once the word no longer holds `value` and somebody notified it, or after `timeoutMs`.
 * Keeps the process alive meanwhile, which Atomics.waitAsync alone does not.
 */
export async function waitWhile(
  i32: Int32Array,
  word: number,
  value: number,
  timeoutMs: number = FOR_EVER_MS,
): Promise<'ok' | 'not-equal' | 'timed-out'> {
  const waiting = Atomics.waitAsync(i32, word, value, timeoutMs);
  if (!waiting.async) return waiting.value;
  const alive = setTimeout(() => {}, FOR_EVER_MS);
  try {
    return await waiting.value;
  } finally {
    clearTimeout(alive);
  }
}
