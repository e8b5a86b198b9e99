/**
 * Plays moments in real time. Each is due at its time from the start, not from the moment before, so that lateness does
 * not add up: what Node's timers allow, which is about a millisecond.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_TIMER_MS } from '../sys/timer.ts';
import type { Moment, Step } from './moments.ts';

export type PlayOptions<S extends Step> = {
  /** How much faster than it says; 1 unless given. */
  readonly speed?: number;
  /** Begin again after so long, in its own time. */
  readonly turnNs?: number | undefined;
  /** When it began, as performance.now(); now unless given. */
  readonly startMs?: number;
  /** `lateMs` is how long after its time a moment has come. */
  readonly onMoment: (moment: Moment<S>, lateMs: number) => void | Promise<void>;
  /** Ends it between two moments. */
  readonly signal: AbortSignal;
};

/** Returns when the last moment was played, or the signal was aborted. Throws what onMoment throws. */
export async function play<S extends Step>(
  moments: readonly Moment<S>[],
  { speed = 1, turnNs, startMs = performance.now(), onMoment, signal }: PlayOptions<S>,
): Promise<void> {
  for (let turn = 0; turn === 0 || turnNs !== undefined; turn++) {
    for (const moment of moments) {
      const dueMs = startMs + (moment.atNs + turn * (turnNs ?? 0)) / 1e6 / speed;
      await sleepUntil(dueMs, signal);
      if (signal.aborted) return;
      await onMoment(moment, performance.now() - dueMs);
    }
  }
}

async function sleepUntil(dueMs: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = dueMs - performance.now(); leftMs > 0; leftMs = dueMs - performance.now()) {
    await sleep(Math.min(leftMs, MAX_TIMER_MS), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}
