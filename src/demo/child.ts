/** A child process of the demo: its output line by line, and an end that does come. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CliError } from '../cli/errors.ts';

/** How long a child may take to end by itself before it is killed. */
const PATIENCE_MS = 15_000;
const MOST_STDERR = 4000;

export class Child {
  /** What it has written to stdout. */
  readonly lines: string[] = [];
  /** Resolves with the exit status when it has ended and its output has been read; 1 when it could not be started. */
  readonly ended: Promise<number>;
  readonly #process: ChildProcess;
  readonly #name: string;
  #stderr = '';
  #hasEnded = false;
  #onLine: () => void = () => undefined;

  /** In a session of its own, so that a Ctrl-C on the terminal reaches the demo only, which ends it in order. */
  constructor(name: string, command: string, args: readonly string[]) {
    this.#name = name;
    this.#process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MOST_STDERR);
    });
    if (this.#process.stdout !== null) {
      createInterface({ input: this.#process.stdout }).on('line', (line) => {
        this.lines.push(line);
        this.#onLine();
      });
    }
    this.ended = new Promise((resolve) => {
      const end = (status: number) => {
        this.#hasEnded = true;
        this.#onLine();
        resolve(status);
      };
      this.#process.once('error', (error) => {
        this.#stderr += error.message;
        end(1);
      });
      this.#process.once('close', (status) => end(status ?? 1));
    });
  }

  /** Its first line of stdout that `matches`. Throws when it ends before. */
  async line(matches: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.lines.find(matches);
      if (found !== undefined) return found;
      if (this.#hasEnded) throw this.failure();
      await new Promise<void>((resolve) => {
        this.#onLine = resolve;
      });
    }
  }

  /** What to tell the user when it did not do what it was for. */
  failure(): CliError {
    return new CliError(`${this.#name} failed: ${this.#stderr.trim() || 'it said nothing'}`);
  }

  /** Asks it to end, and sees to it that it does. */
  async end(patienceMs: number = PATIENCE_MS): Promise<void> {
    if (this.#hasEnded) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), patienceMs);
    await this.ended;
    clearTimeout(timer);
  }
}
