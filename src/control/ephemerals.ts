/**
 * Descriptors that last only as long as somebody reads them: closed when the last reader leaves, and when none has
 * come within a grace period. So a client that dies leaves nothing behind.
 */
import type { Captures } from '../capture/captures.ts';
import type { DescriptorHandle } from '../daemon/contract.ts';

/** How long a new ephemeral descriptor waits for its first reader. */
export const EPHEMERAL_GRACE_MS = 10_000;

export class Ephemerals {
  readonly #captures: Captures;
  readonly #graceMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #handles = new Set<DescriptorHandle>();

  /** `onError` gets what closing a descriptor throws: nobody waits for it. */
  constructor(captures: Captures, onError: (error: unknown) => void, graceMs: number = EPHEMERAL_GRACE_MS) {
    this.#captures = captures;
    this.#onError = onError;
    this.#graceMs = graceMs;
  }

  has(handle: DescriptorHandle): boolean {
    return this.#handles.has(handle);
  }

  /** Makes a descriptor ephemeral. */
  add(handle: DescriptorHandle): void {
    this.#handles.add(handle);
    const close = (): void => {
      handle.close().catch(this.#onError);
    };
    const capture = this.#captures.of(handle).on({ onIdle: close });
    const timer = setTimeout(() => {
      if (capture.status().subscribers.length === 0) close();
    }, this.#graceMs);
    timer.unref();
    void handle.closed.finally(() => {
      clearTimeout(timer);
      this.#handles.delete(handle);
    });
  }
}
