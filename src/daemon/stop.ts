/**
 * Why and when a lab's process is to stop: signals, requests, failures; and SIGHUP, which on a terminal is one of them.
 */
import type { Logger } from 'pino';

/** Signals that take the lab down. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Asked for at most once: the first reason counts. */
export class Stop {
  readonly requested: Promise<void>;
  failed = false;
  /** Somebody wants the lab to be over; SIGTERM is what service managers also send to start it anew. */
  forGood = false;
  /** What SIGHUP does, once there is something to do. */
  onHangup: () => void = () => undefined;
  readonly #controller = new AbortController();
  readonly #log: Logger;
  readonly #onSignal = (name: NodeJS.Signals): void => this.request(`signal ${name}`, name === 'SIGINT');
  /** On a terminal it says that the terminal is gone. */
  readonly #onSighup = (): void => (process.stdin.isTTY ? this.request('signal SIGHUP') : this.onHangup());
  readonly #onUncaught = (error: Error): void => this.fail(error);

  constructor(log: Logger) {
    this.#log = log;
    this.requested = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (const name of SIGNALS) process.on(name, this.#onSignal);
    process.on('SIGHUP', this.#onSighup);
    process.on('uncaughtException', this.#onUncaught);
  }

  /** Aborted once it is time to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  request(reason: string, forGood = false): void {
    if (this.signal.aborted) return;
    this.forGood = forGood;
    this.#log.info({ reason }, 'taking the lab down');
    this.#controller.abort(new Error(reason));
  }

  /** Something broke that the lab cannot do without. */
  fail(error: Error): void {
    this.#log.fatal({ err: error }, 'the lab cannot go on');
    this.failed = true;
    this.request(error.message);
  }

  dispose(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
    process.off('SIGHUP', this.#onSighup);
    process.off('uncaughtException', this.#onUncaught);
  }
}
