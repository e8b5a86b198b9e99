/**
 * The labs of this process that are up, and what becomes of them when it ends without taking them down: `exit`, which
 * comes after process.exit(), an uncaught error and a test runner's time limit, and the signals that end a process.
 * A process that is killed runs nothing of this; the next lab that comes up cleans after it (lab/claim.ts).
 *
 * Listeners are there only while labs are.
 */

export type OpenLab = {
  close(): Promise<void>;
  /** Everything that would outlive the process, at once. */
  abandon(): void;
};

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const open: Set<OpenLab> = new Set();

export function addOpenLab(lab: OpenLab): void {
  if (open.size === 0) {
    process.on('exit', abandonAll);
    for (const signal of SIGNALS) process.on(signal, closeAll);
  }
  open.add(lab);
}

export function removeOpenLab(lab: OpenLab): void {
  if (!open.delete(lab) || open.size > 0) return;
  process.off('exit', abandonAll);
  for (const signal of SIGNALS) process.off(signal, closeAll);
}

function abandonAll(): void {
  for (const lab of open) lab.abandon();
}

async function closeAll(signal: NodeJS.Signals): Promise<void> {
  await Promise.allSettled([...open].map((lab) => lab.close()));
  // Without listeners the signal does what it always does. Who else listens has been told, and decides.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
