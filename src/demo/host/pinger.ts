/** Echo requests at even intervals, and the round-trip times of the replies. */
import type { HostClock } from '../host.ts';

export type PingOptions = {
  readonly count: number;
  readonly intervalNs: number;
  /** Bytes of ICMP payload; 56, as ping(8) sends them, by default. */
  readonly size?: number;
};

/** Grows while the pings run. */
export type PingStats = {
  readonly sent: number;
  readonly received: number;
  /** In the order of the replies. */
  readonly roundTripsNs: readonly number[];
};

const DEFAULT_SIZE = 56;

export class Pinger {
  readonly stats: { sent: number; received: number; roundTripsNs: number[] } = {
    sent: 0,
    received: 0,
    roundTripsNs: [],
  };
  readonly #clock: HostClock;
  readonly #options: PingOptions;
  readonly #send: (sequence: number, payload: Uint8Array) => void;
  /** When requests without a reply were sent, by sequence number. */
  readonly #underWay = new Map<number, number>();

  constructor(clock: HostClock, options: PingOptions, send: (sequence: number, payload: Uint8Array) => void) {
    this.#clock = clock;
    this.#options = options;
    this.#send = send;
  }

  start(): void {
    this.#next(this.#clock.nowNs());
  }

  /** A reply; one that was not asked for, or comes a second time, is ignored. */
  receive(sequence: number): void {
    const sentNs = this.#underWay.get(sequence);
    if (sentNs === undefined) return;
    this.#underWay.delete(sequence);
    this.stats.received++;
    this.stats.roundTripsNs.push(this.#clock.nowNs() - sentNs);
  }

  #next(dueNs: number): void {
    if (this.stats.sent === this.#options.count) return;
    // ICMP sequence numbers have 16 bits and start anew after that.
    const sequence = ++this.stats.sent & 0xffff;
    this.#underWay.set(sequence, this.#clock.nowNs());
    this.#send(sequence, new Uint8Array(this.#options.size ?? DEFAULT_SIZE));
    const nextNs = dueNs + this.#options.intervalNs;
    this.#clock.at(nextNs, () => this.#next(nextNs));
  }
}
