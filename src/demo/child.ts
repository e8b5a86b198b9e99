/**
 * A child process of the demo: its output line by line, and an end that does come. Its stdin is a pipe that nothing is
 * written to: a program with `--until-stdin-closes` ends with the demo, even when the demo is killed.
 */
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
  #endedBy: NodeJS.Signals | null = null;
  #hasEnded = false;
  #onLine: () => void = () => undefined;

  /**
   * In a session of its own, so that a Ctrl-C on the terminal reaches the demo only, which ends it in order.
   * `name` is what errors call it; `file` is an open file that it gets as descriptor 3.
   */
  constructor(name: string, command: string, args: readonly string[], file?: number) {
    this.#name = name;
    this.#process = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe', ...(file === undefined ? [] : [file])],
      detached: true,
    });
    // Closing the pipe to a process that has ended is no news.
    this.#process.stdin?.on('error', () => undefined);
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
      this.#process.once('close', (status, signal) => {
        this.#endedBy = signal;
        end(status ?? 1);
      });
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
    // The programs of taplab begin with who is speaking, and so will whoever shows this.
    const said = this.#stderr.trim().replace(/^(?:taplab|traffic): /, '');
    const how = this.#endedBy === null ? 'it said nothing' : `it was ended by ${this.#endedBy}`;
    return new CliError(`${this.#name} failed: ${said || how}`);
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
