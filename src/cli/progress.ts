/**
 * How far a lab is in coming up, for whoever waits: one line that is repainted on a terminal, now and then a line
 * elsewhere, and nothing for a lab that is up before anybody would ask.
 */
import type { Progress } from '../daemon/lab-run.ts';
import type { Terminal } from './terminal.ts';

const PATIENCE_MS = 500;
const REPAINT_MS = 100;
const SAY_MS = 2_000;

export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #nowMs: () => number;
  #nextMs: number;
  #isPainted = false;

  /** @param nowMs a clock that only goes forward */
  constructor(terminal: Terminal, nowMs: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#nowMs = nowMs;
    this.#nextMs = nowMs() + PATIENCE_MS;
  }

  show({ what, done, total }: Progress): void {
    const nowMs = this.#nowMs();
    if (nowMs < this.#nextMs) return;
    const text = `coming up: ${what} ${done} of ${total}`;
    this.#isPainted = this.#terminal.repaint(text);
    if (!this.#isPainted) this.#terminal.say(text);
    this.#nextMs = nowMs + (this.#isPainted ? REPAINT_MS : SAY_MS);
  }

  /** Before anything else is said. */
  end(): void {
    if (this.#isPainted) this.#terminal.repaint('');
    this.#isPainted = false;
  }
}
