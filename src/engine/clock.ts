/**
 * Clocks. The data plane counts nanoseconds on a monotonic clock of its own thread; captures want the time of day.
 */
import type { Stamp } from '../bpf/buffers.ts';

export interface Clock {
  /** Whether time passes only when there is something to do: then nothing may ask for it to pass for ever. */
  readonly isVirtual: boolean;
  /** Monotonic time in nanoseconds from any start; a float64 holds it exactly for 104 days and to 1 ns after. */
  nowNs(): number;
  /** Time of day and time since the system started, at a monotonic time, written into `stamp`. */
  stampAt(nowNs: number, stamp: Stamp): void;
}

type Time = { seconds: number; nanoseconds: number };

/** How often the time of day is looked at again: it may be slewed or set while we run. */
const RESYNC_NS = 1e9;

/** Real time. `performance.now()` has the resolution of clock_gettime(2) and allocates nothing. */
export class SystemClock implements Clock {
  readonly isVirtual = false;
  #syncedNs = Number.NEGATIVE_INFINITY;
  /** Time of day when it was last looked at; CLOCK_MONOTONIC when this thread's own clock was 0. */
  readonly #base: Stamp;
  readonly #timeOfDay: (time: Time) => void;

  /** `timeOfDay` writes the time since the epoch into what it is given. */
  constructor(timeOfDay: (time: Time) => void) {
    this.#timeOfDay = timeOfDay;
    // Both run alike for good: hrtime(2) is CLOCK_MONOTONIC, performance.now() the same from another start.
    const [uptimeSeconds, nanoseconds] = process.hrtime();
    this.#base = { seconds: 0, nanoseconds: 0, uptimeSeconds, uptimeNanoseconds: nanoseconds - this.nowNs() };
  }

  nowNs(): number {
    return performance.now() * 1e6;
  }

  stampAt(nowNs: number, stamp: Stamp): void {
    if (nowNs - this.#syncedNs > RESYNC_NS) {
      this.#timeOfDay(this.#base);
      this.#syncedNs = this.nowNs();
    }
    addTime(this.#base, nowNs - this.#syncedNs, nowNs, stamp);
  }
}

const EPOCH: Stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };

/** Time that passes only when it is told to. Starts at the epoch, so that captures are the same in every run. */
export class VirtualClock implements Clock {
  readonly isVirtual = true;
  #nowNs = 0;

  nowNs(): number {
    return this.#nowNs;
  }

  /** Moves on to a later time; an earlier one is ignored. */
  moveTo(nowNs: number): void {
    this.#nowNs = Math.max(this.#nowNs, nowNs);
  }

  stampAt(nowNs: number, stamp: Stamp): void {
    addTime(EPOCH, nowNs, nowNs, stamp);
  }
}

/** Keeps seconds and nanoseconds apart: together they need more than the 53 bits of a number. */
function addTime(base: Stamp, offsetNs: number, uptimeNs: number, sum: Stamp): void {
  const nanoseconds = base.nanoseconds + Math.round(offsetNs);
  const carry = Math.floor(nanoseconds / 1e9);
  sum.seconds = base.seconds + carry;
  sum.nanoseconds = nanoseconds - carry * 1e9;
  const uptimeNanoseconds = Math.round(base.uptimeNanoseconds + uptimeNs);
  const uptimeCarry = Math.floor(uptimeNanoseconds / 1e9);
  sum.uptimeSeconds = base.uptimeSeconds + uptimeCarry;
  sum.uptimeNanoseconds = uptimeNanoseconds - uptimeCarry * 1e9;
}
