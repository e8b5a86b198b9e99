/** Has probes enter, each at its time, and waits for what is on its way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { probe } from './probe.ts';
import type { InFlight, Subject } from './subject.ts';

const TICK_MS = 1;
/** For what is still on its way at the end. */
const QUIET_MS = 100;
const MAX_QUIET_MS = 10_000;

export type Sender = {
  /** False when there is no room for it now. */
  readonly send: (subject: number, frame: Uint8Array) => boolean;
  /** Takes what has come out. */
  readonly take: () => void;
};

/** Throws what the signal was aborted with. */
export async function sendAll(
  subjects: readonly Subject[],
  { send, take }: Sender,
  inFlight: InFlight,
  signal: AbortSignal | undefined,
): Promise<void> {
  const startMs = performance.now();
  const sent = subjects.map(() => 0);
  for (let left = true; left; ) {
    signal?.throwIfAborted();
    const nowNs = (performance.now() - startMs) * 1e6;
    left = false;
    for (const [i, { kind, plan }] of subjects.entries()) {
      let next = sent[i]!;
      while (plan.atNs[next]! <= nowNs && send(i, probe(kind, i, next, plan.bytes[next]!))) next++;
      // A device without a carrier takes nothing, ever: what is so late is not sent any more.
      while (plan.atNs[next]! <= nowNs - MAX_QUIET_MS * 1e6) next++;
      sent[i] = next;
      left ||= next < plan.atNs.length;
    }
    take();
    await sleep(TICK_MS);
  }
  const sentMs = performance.now();
  for (let waitedMs = 0; waitedMs < MAX_QUIET_MS; waitedMs = performance.now() - sentMs) {
    signal?.throwIfAborted();
    take();
    if (waitedMs >= QUIET_MS && (await inFlight()) === 0) break;
    await sleep(10 * TICK_MS);
  }
  take();
}
