/**
 * Looks once a second whether the emulator itself is a bottleneck (link/overload.ts), in real time; on a virtual clock it
 * never is. Lives in the control thread.
 */
import { OVERLOAD_HELP, OVERLOAD_WINDOW_MS } from '../link/overload.ts';
import type { WorkerStatus } from './contract.ts';
import type { RunLog } from './lab-run.ts';
import type { LinkTable, OverloadChange } from './links.ts';

export class LoadWatch {
  readonly #timer: NodeJS.Timeout;
  readonly #workers: () => readonly WorkerStatus[];
  readonly #links: LinkTable;
  readonly #onChange: (changes: readonly OverloadChange[]) => void;
  #lastMs: number = performance.now();
  #lastBusyNs: readonly number[];

  /** @param onChange what has begun and ended, all of one second together */
  constructor(
    workers: () => readonly WorkerStatus[],
    links: LinkTable,
    onChange: (changes: readonly OverloadChange[]) => void,
  ) {
    this.#workers = workers;
    this.#links = links;
    this.#onChange = onChange;
    this.#lastBusyNs = workers().map(({ busyNs }) => busyNs);
    // It alone does not keep a process alive.
    this.#timer = setInterval(() => this.#look(), OVERLOAD_WINDOW_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const windowNs = (nowMs - this.#lastMs) * 1e6;
    const busyNs = this.#workers().map((worker) => worker.busyNs);
    const shares = busyNs.map((each, i) => (each - this.#lastBusyNs[i]!) / windowNs);
    this.#lastMs = nowMs;
    this.#lastBusyNs = busyNs;
    const changes = this.#links.judgeLoad((worker) => shares[worker]!);
    if (changes.length > 0) this.#onChange(changes);
  }
}

/** Directions that a line of the log names. */
const NAMED = 10;

/** Logs when overload begins and ends: a line each at most, whatever number of links it is about. */
export function logOverload(log: RunLog, changes: readonly OverloadChange[]): void {
  const begun = changes.filter(({ before, causes }) => causes.some((cause) => !before.includes(cause)));
  const ended = changes.filter(({ causes }) => causes.length === 0);
  if (begun.length > 0) {
    const causes = [...new Set(begun.flatMap((each) => each.causes))];
    const advice = Object.fromEntries(causes.map((cause) => [cause, OVERLOAD_HELP[cause]]));
    log.warn(
      { links: named(begun), ...advice },
      'the emulator is the bottleneck of links: they are overloaded',
    );
  }
  if (ended.length > 0) log.info({ links: named(ended) }, 'links are no longer overloaded');
}

function named(changes: readonly OverloadChange[]): string[] {
  const names = changes
    .slice(0, NAMED)
    .map(({ link, direction, causes }) => [`${link}/${direction}`, ...causes].join(' '));
  return changes.length > NAMED ? [...names, `and ${changes.length - NAMED} more`] : names;
}
