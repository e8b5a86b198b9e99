/**
 * When to send again (RFC 6298): the timeout follows the measured round trips, doubles with each loss, and ends the
 * connection after MOST_RETRIES in a row. Round trips are measured one segment at a time, never of one that was sent
 * again (Karn's algorithm).
 */
import type { HostClock } from '../host.ts';
import { MOST_RETRIES } from './tcp-parameters.ts';

const INITIAL_TIMEOUT_NS = 1e9;
/** As in Linux; RFC 6298 says one second. */
const LEAST_TIMEOUT_NS = 200e6;
const MOST_TIMEOUT_NS = 60e9;

export class RetransmissionTimer {
  readonly #clock: HostClock;
  readonly #onTimeout: () => void;
  readonly #onGivenUp: () => void;
  #timeoutNs = INITIAL_TIMEOUT_NS;
  #smoothedNs: number | undefined;
  #variationNs = 0;
  #retries = 0;
  /** The end of the segment whose round trip is measured. */
  #timedPosition: number | undefined;
  #timedSinceNs = 0;
  /** When to fire; Infinity when nothing is under way. */
  #deadlineNs = Number.POSITIVE_INFINITY;
  /** Of the action the clock holds; an action cannot be taken back, so an early one looks again. */
  #wakeNs = Number.POSITIVE_INFINITY;

  constructor(clock: HostClock, onTimeout: () => void, onGivenUp: () => void) {
    this.#clock = clock;
    this.#onTimeout = onTimeout;
    this.#onGivenUp = onGivenUp;
  }

  /** A segment that ends at `position` was sent, perhaps again. */
  sent(position: number, again: boolean): void {
    if (again) this.#timedPosition = undefined;
    else if (this.#timedPosition === undefined) {
      this.#timedPosition = position;
      this.#timedSinceNs = this.#clock.nowNs();
    }
    if (this.#deadlineNs === Number.POSITIVE_INFINITY) this.#arm();
  }

  /** Everything before `position` was acknowledged; `more` says whether anything is under way still. */
  acknowledged(position: number, more: boolean): void {
    this.#retries = 0;
    if (this.#timedPosition !== undefined && position >= this.#timedPosition) {
      this.#timedPosition = undefined;
      this.#measured(this.#clock.nowNs() - this.#timedSinceNs);
    }
    if (more) this.#arm();
    else this.stop();
  }

  stop(): void {
    this.#deadlineNs = Number.POSITIVE_INFINITY;
  }

  #measured(roundTripNs: number): void {
    if (this.#smoothedNs === undefined) {
      this.#smoothedNs = roundTripNs;
      this.#variationNs = roundTripNs / 2;
    } else {
      this.#variationNs += (Math.abs(this.#smoothedNs - roundTripNs) - this.#variationNs) / 4;
      this.#smoothedNs += (roundTripNs - this.#smoothedNs) / 8;
    }
    this.#timeoutNs = this.#smoothedNs + Math.max(4 * this.#variationNs, LEAST_TIMEOUT_NS);
  }

  #arm(): void {
    this.#deadlineNs = this.#clock.nowNs() + Math.min(this.#timeoutNs, MOST_TIMEOUT_NS);
    if (this.#wakeNs <= this.#deadlineNs) return;
    this.#wakeAt(this.#deadlineNs);
  }

  #wakeAt(deadlineNs: number): void {
    this.#wakeNs = deadlineNs;
    this.#clock.at(deadlineNs, () => {
      // A later wake-up was replaced by an earlier one.
      if (this.#wakeNs !== deadlineNs) return;
      this.#wakeNs = Number.POSITIVE_INFINITY;
      if (this.#clock.nowNs() >= this.#deadlineNs) this.#expire();
      else if (this.#deadlineNs !== Number.POSITIVE_INFINITY) this.#wakeAt(this.#deadlineNs);
    });
  }

  #expire(): void {
    this.#deadlineNs = Number.POSITIVE_INFINITY;
    this.#timedPosition = undefined;
    if (this.#retries++ === MOST_RETRIES) {
      this.#onGivenUp();
      return;
    }
    this.#timeoutNs = Math.min(this.#timeoutNs * 2, MOST_TIMEOUT_NS);
    this.#onTimeout();
  }
}
