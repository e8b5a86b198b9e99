/**
 * Waiting in a lab: in real time, or in the virtual time of a lab on memory devices, which passes only when somebody
 * lets it.
 */
import { MAX_TIMER_MS } from '../sys/timer.ts';
import { WaitError } from './errors.ts';

/** What may end a wait early. Times are in milliseconds of the lab's own clock. */
export type WaitOptions = {
  /** How long to wait, 5000 unless given. */
  readonly timeoutMs?: number;
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal;
};

export const DEFAULT_WAIT_MS = 5_000;

/** The clock that a lab's waits go by. */
export interface Time {
  nowMs(): number;
  /** Lets up to `milliseconds` pass, less when `change` resolves or `signal` aborts meanwhile. */
  pass(milliseconds: number, change: Promise<void>, signal: AbortSignal): Promise<void>;
}

export const REAL_TIME: Time = {
  nowMs: () => performance.now(),
  pass: (milliseconds, change, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(milliseconds, MAX_TIMER_MS));
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
      void change.then(done);
    }),
};

/** How far a virtual clock moves between two looks. */
const STEP_MS = 1;

/** @param run lets so much virtual time pass, and all that happens in it */
export function virtualTime(nowMs: () => number, run: (milliseconds: number) => Promise<void>): Time {
  return { nowMs, pass: (milliseconds) => run(Math.min(milliseconds, STEP_MS)) };
}

/**
 * Looks again and again, after each change, until there is something. `ended` says why it cannot come any more.
 * Throws WaitError: ETIMEDOUT, ENXIO or ECANCELED; `what` completes "no ... within 5000 ms".
 */
export async function waitUntil<T>(
  time: Time,
  { timeoutMs = DEFAULT_WAIT_MS, signal }: WaitOptions,
  over: AbortSignal,
  wait: {
    readonly find: () => T | undefined;
    readonly change: () => Promise<void>;
    readonly ended: () => string | undefined;
    readonly what: () => string;
  },
): Promise<T> {
  const either = signal === undefined ? over : AbortSignal.any([signal, over]);
  const deadlineMs = time.nowMs() + timeoutMs;
  for (;;) {
    const change = wait.change();
    const found = wait.find();
    if (found !== undefined) return found;
    const ended = wait.ended();
    if (ended !== undefined) throw new WaitError('ENXIO', `no ${wait.what()}: ${ended}`);
    if (either.aborted) {
      throw new WaitError('ECANCELED', `no ${wait.what()}: ${messageOf(either.reason)}`, either.reason);
    }
    const leftMs = deadlineMs - time.nowMs();
    if (leftMs <= 0) throw new WaitError('ETIMEDOUT', `no ${wait.what()} within ${timeoutMs} ms`);
    await time.pass(leftMs, change, either);
  }
}

export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
