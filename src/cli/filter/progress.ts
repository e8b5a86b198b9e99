/** How far a long run is: one line on stderr that repaints itself, where that is a terminal. */
import { count } from '../format.ts';
import type { Terminal } from '../terminal.ts';

/** What is over sooner needs no progress. */
const FIRST_AFTER_MS = 700;
const INTERVAL_MS = 200;
const CLEAR_LINE = '\r\u001b[K';

export class Progress {
  readonly #terminal: Terminal;
  readonly #name: string;
  readonly #totalBytes: number | undefined;
  readonly #enabled: boolean;
  #nextMs = performance.now() + FIRST_AFTER_MS;
  #shown = false;

  /** `enabled` is false where the line would run into others, for example when packets are shown. */
  constructor(terminal: Terminal, name: string, totalBytes: number | undefined, enabled: boolean) {
    this.#terminal = terminal;
    this.#name = name;
    this.#totalBytes = totalBytes;
    this.#enabled = enabled && terminal.err.isTTY === true;
  }

  /** `what` says what was done until now. */
  update(readBytes: number, what: () => string): void {
    if (!this.#enabled) return;
    const nowMs = performance.now();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + INTERVAL_MS;
    this.#shown = true;
    const share = this.#totalBytes
      ? `${Math.floor((100 * readBytes) / this.#totalBytes)} %`
      : `${count(Math.floor(readBytes / 1e6))} MB`;
    this.#terminal.err.write(`${CLEAR_LINE}${this.#name}: ${share}, ${what()}`);
  }

  /** Takes the line away; what is said next stands in its place. */
  clear(): void {
    if (this.#shown) this.#terminal.err.write(CLEAR_LINE);
    this.#shown = false;
  }
}
