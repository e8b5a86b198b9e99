/**
 * Whether the emulator itself is the bottleneck of a link direction: then what the link does to its frames is not only
 * what it was told to. Judged once a second, of what the data plane counts anyway:
 *
 *   late     of the frames that delay or rate held back, 1 % or more left over a millisecond after their time
 *   pool     frames were dropped because the worker had no slot for them
 *   worker   frames came, and the worker that carries them was busy for 95 % of the time or more
 *
 * A cause is in force once it was seen in two seconds in a row, and until five in a row are without it: a moment's
 * stall is in the counters and makes no alarm, and what comes and goes is one overload. What a node's kernel drops
 * because nobody reads the device in time is not seen here, but goes with `worker`.
 */

export const OVERLOAD_CAUSES = ['late', 'pool', 'worker'] as const;
export type OverloadCause = (typeof OVERLOAD_CAUSES)[number];

/** What each means to people, and what to do about it. */
export const OVERLOAD_HELP: Readonly<Record<OverloadCause, { meaning: string; advice: string }>> = {
  late: {
    meaning: 'frames leave over 1 ms after the time that the link asked for',
    advice: 'have more workers (workers:), fewer descriptors, or leave the machine more to spare',
  },
  pool: {
    meaning: 'frames are dropped because the worker has no slot for them',
    advice: 'have more workers (workers:), a shorter delay or a lower rate, or a queue limit',
  },
  worker: {
    meaning: 'the worker that carries it hardly ever waits, so it decides how fast frames come through',
    advice: 'have more workers (workers:), fewer links or descriptors on it, or a rate that it can carry',
  },
};

/** How often to judge. */
export const OVERLOAD_WINDOW_MS = 1_000;
/** A frame that left so long after its time was late. A bound of engine/histogram.ts. */
export const LATE_NS = 1e6;

const LATE_SHARE = 0.01;
/** Of so few nothing is said. */
const MIN_LATE = 5;
const BUSY_SHARE = 0.95;
const BEGIN_WINDOWS = 2;
const END_WINDOWS = 5;

/** Totals of a direction. */
export type LoadCounts = {
  readonly offered: number;
  /** Frames that were held back, and those of them that were late. */
  readonly timed: number;
  readonly late: number;
  /** Dropped for want of a slot. */
  readonly pool: number;
};

/** Of one direction. */
export class Overload {
  /** In force. The list is replaced when that changes. */
  causes: readonly OverloadCause[] = [];
  #last: LoadCounts;
  /** By cause: windows in a row with it, or below zero without. */
  readonly #runs: Record<OverloadCause, number> = { late: 0, pool: 0, worker: 0 };

  /** @param counts what it starts from */
  constructor(counts: LoadCounts) {
    this.#last = counts;
  }

  /**
   * Takes in one window.
   * @param busyShare of its worker's time, 0 to 1
   * @returns whether the causes have changed
   */
  judge(counts: LoadCounts, busyShare: number): boolean {
    const last = this.#last;
    this.#last = counts;
    const late = counts.late - last.late;
    const isSeen: Readonly<Record<OverloadCause, boolean>> = {
      late: late >= MIN_LATE && late >= LATE_SHARE * (counts.timed - last.timed),
      pool: counts.pool > last.pool,
      worker: counts.offered > last.offered && busyShare >= BUSY_SHARE,
    };
    const before = this.causes;
    const now = OVERLOAD_CAUSES.filter((cause) => {
      const run = this.#run(cause, isSeen[cause]);
      return before.includes(cause) ? run > -END_WINDOWS : run >= BEGIN_WINDOWS;
    });
    const isSame = now.length === before.length && now.every((cause) => before.includes(cause));
    if (!isSame) this.causes = now;
    return !isSame;
  }

  /** Windows in a row, this one included. */
  #run(cause: OverloadCause, isSeen: boolean): number {
    const run = this.#runs[cause];
    this.#runs[cause] = isSeen ? Math.max(0, run) + 1 : Math.min(0, run) - 1;
    return this.#runs[cause];
  }
}
