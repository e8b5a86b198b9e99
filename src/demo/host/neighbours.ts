/** Which MAC address has an IPv4 address: learned from ARP, and asked for while packets wait. */
import type { HostClock } from '../host.ts';
import type { Ipv4Address, MacAddress } from '../wire/address.ts';

/** As Linux does: a request each second, three times; then what waits is dropped. */
const RETRY_NS = 1e9;
const MOST_REQUESTS = 3;
/** Packets that wait for one address; the oldest goes when there are more. */
const MOST_WAITING = 64;

type Send = (mac: MacAddress) => void;

export class Neighbours {
  readonly #clock: HostClock;
  readonly #ask: (address: Ipv4Address) => void;
  readonly #known = new Map<Ipv4Address, MacAddress>();
  readonly #waiting = new Map<Ipv4Address, Send[]>();

  /** `ask` broadcasts an ARP request. */
  constructor(clock: HostClock, ask: (address: Ipv4Address) => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Calls `send` with the MAC address, now or when it becomes known; not at all when nobody answers. */
  resolve(address: Ipv4Address, send: Send): void {
    const mac = this.#known.get(address);
    if (mac !== undefined) {
      send(mac);
      return;
    }
    const waiting = this.#waiting.get(address);
    if (waiting !== undefined) {
      waiting.push(send);
      if (waiting.length > MOST_WAITING) waiting.shift();
      return;
    }
    this.#waiting.set(address, [send]);
    this.#request(address, 1);
  }

  learn(address: Ipv4Address, mac: MacAddress): void {
    this.#known.set(address, mac);
    const waiting = this.#waiting.get(address) ?? [];
    this.#waiting.delete(address);
    for (const send of waiting) send(mac);
  }

  #request(address: Ipv4Address, count: number): void {
    this.#ask(address);
    this.#clock.at(this.#clock.nowNs() + RETRY_NS, () => {
      if (!this.#waiting.has(address)) return;
      if (count < MOST_REQUESTS) this.#request(address, count + 1);
      else this.#waiting.delete(address);
    });
  }
}
