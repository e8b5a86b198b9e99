/** A virtual clock and two hosts on a wire that delays, loses, limits and records. */
import { Host, type HostClock } from '../../src/demo/host.ts';

export class TestClock implements HostClock {
  #nowNs = 0;
  #order = 0;
  #actions: { deadlineNs: number; order: number; action: () => void }[] = [];

  nowNs(): number {
    return this.#nowNs;
  }

  at(deadlineNs: number, action: () => void): void {
    const entry = { deadlineNs: Math.max(deadlineNs, this.#nowNs), order: this.#order++, action };
    const isLater = (each: typeof entry) => each.deadlineNs > entry.deadlineNs;
    const index = this.#actions.findIndex(isLater);
    this.#actions.splice(index < 0 ? this.#actions.length : index, 0, entry);
  }

  /** Carries out what is due up to `untilNs`. */
  run(untilNs: number): void {
    for (
      let next = this.#actions[0];
      next !== undefined && next.deadlineNs <= untilNs;
      next = this.#actions[0]
    ) {
      this.#actions.shift();
      this.#nowNs = next.deadlineNs;
      next.action();
    }
    this.#nowNs = untilNs;
  }
}

export type WireOptions = {
  readonly delayNs?: number;
  /** Whether a frame is lost, by its number on the wire and its bytes. */
  readonly loses?: (number: number, frame: Uint8Array) => boolean;
  readonly rateBitsPerSecond?: number;
  readonly limitBytes?: number;
};

export type SentFrame = { readonly nowNs: number; readonly frame: Uint8Array };

/** Hosts 198.18.0.1 and 198.18.0.2, and everything either of them sent. */
export function twoHosts(options: WireOptions = {}): {
  clock: TestClock;
  a: Host;
  b: Host;
  sent: SentFrame[];
} {
  const clock = new TestClock();
  const sent: SentFrame[] = [];
  const wire = (receive: (frame: Uint8Array) => void) => {
    let freeNs = 0;
    return (frame: Uint8Array): void => {
      sent.push({ nowNs: clock.nowNs(), frame: frame.slice() });
      const rate = options.rateBitsPerSecond ?? Number.POSITIVE_INFINITY;
      const waitingNs = Math.max(0, freeNs - clock.nowNs());
      if ((waitingNs / 8e9) * rate > (options.limitBytes ?? Number.POSITIVE_INFINITY)) return;
      freeNs = Math.max(freeNs, clock.nowNs()) + (frame.length * 8e9) / rate;
      if (options.loses?.(sent.length - 1, frame)) return;
      clock.at(freeNs + (options.delayNs ?? 1e6), () => receive(frame));
    };
  };
  const host = (number: number, send: (frame: Uint8Array) => void) =>
    new Host({ mac: `02:00:00:00:00:0${number}`, address: `198.18.0.${number}`, clock, send });
  const a: Host = host(
    1,
    wire((frame) => b.receive(frame)),
  );
  const b: Host = host(
    2,
    wire((frame) => a.receive(frame)),
  );
  return { clock, a, b, sent };
}

/** mulberry32: numbers from 0 to 1 that follow from the seed. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
