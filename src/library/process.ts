/**
 * A command that runs inside a node, such as a server under test. It leads a process group of its own, so that
 * killing it ends what it has started too, and that a Ctrl-C on the terminal reaches this process alone, which takes
 * the lab down.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { commandProblem } from '../sys/command.ts';
import { CommandError } from './errors.ts';
import { Output } from './output.ts';
import { messageOf, REAL_TIME, type WaitOptions, waitUntil } from './time.ts';

export type CommandOptions = {
  /** Variables added to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; this process's unless given. */
  readonly cwd?: string;
  /** What the command reads from its standard input; nothing unless given. */
  readonly input?: string | Uint8Array;
  /** Kills the command with SIGKILL when it is aborted. */
  readonly signal?: AbortSignal;
};

/** How a command ended, and what it wrote. */
export type ExecResult = {
  /** Its exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Characters kept of each of stdout and stderr, the newest. */
const OUTPUT_LIMIT = 16 * 2 ** 20;

export type Start = {
  /** Leads into the node; the command follows. */
  readonly entrance: readonly [string, ...string[]];
  readonly command: string;
  readonly args: readonly string[];
  readonly options: CommandOptions;
  /** Aborted when the lab goes down. */
  readonly over: AbortSignal;
  /** The command wrote more than is kept. */
  readonly onFull?: () => void;
};

export class SpawnedProcess implements AsyncDisposable {
  readonly pid: number;
  /** Resolves when the command has ended and its output is complete. Never rejects. */
  readonly exited: Promise<ExecResult>;
  readonly #line: string;
  readonly #over: AbortSignal;
  readonly #stdout: Output;
  readonly #stderr: Output;
  #result: ExecResult | undefined;
  #change!: Promise<void>;
  #tellChange!: () => void;

  private constructor(child: ChildProcess, { command, args, options, over, onFull }: Start) {
    this.pid = child.pid!;
    this.#line = [command, ...args].join(' ');
    this.#over = over;
    const changed = (): void => this.#nextChange();
    this.#nextChange();
    this.#stdout = new Output(child.stdout!, OUTPUT_LIMIT, changed, () => onFull?.());
    this.#stderr = new Output(child.stderr!, OUTPUT_LIMIT, changed, () => onFull?.());
    const abort = (): void => this.#signal('SIGKILL');
    options.signal?.addEventListener('abort', abort, { once: true });
    this.exited = new Promise((resolve) => {
      child.once('close', (status, signal) => {
        options.signal?.removeEventListener('abort', abort);
        this.#result = { status, signal, stdout: this.stdout, stderr: this.stderr };
        resolve(this.#result);
        changed();
      });
    });
    // A command that does not read its input may close it.
    child.stdin!.on('error', () => {});
    child.stdin!.end(options.input);
    if (options.signal?.aborted) abort();
  }

  /** Starts a command. Throws CommandError: ENOENT, EACCES, ECANCELED. */
  static async start(start: Start): Promise<SpawnedProcess> {
    const { entrance, command, args, options } = start;
    const env = { ...process.env, ...options.env };
    const problem = commandProblem(command, env.PATH);
    if (problem === 'ENOENT') throw new CommandError('ENOENT', `there is no command ${command} in PATH`);
    if (problem === 'EACCES') throw new CommandError('EACCES', `${command} cannot be executed`);
    if (options.signal?.aborted) {
      throw new CommandError('ECANCELED', `${command} was not started: ${messageOf(options.signal.reason)}`);
    }
    const [program, ...way] = entrance;
    const child = spawn(program, [...way, command, ...args], {
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    try {
      await once(child, 'spawn');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = options.cwd === undefined ? `${program}: ${code}` : `${program} in ${options.cwd}: ${code}`;
      throw new CommandError('ENOENT', `${command} cannot be started: ${why}`, undefined, error);
    }
    return new SpawnedProcess(child, start);
  }

  /** What it has written to its standard output up to now, the newest 16 MiB. */
  get stdout(): string {
    return this.#stdout.text;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  /** How it ended; undefined while it runs. */
  get result(): ExecResult | undefined {
    return this.#result;
  }

  /**
   * Waits until stdout or stderr contains the text, or matches. Returns the match, as String.match() does.
   * Throws WaitError: ETIMEDOUT, ENXIO (it has ended without), ECANCELED; the message has what it wrote.
   */
  waitForOutput(pattern: string | RegExp, options: WaitOptions = {}): Promise<RegExpMatchArray> {
    const expression = typeof pattern === 'string' ? new RegExp(escapeExpression(pattern)) : pattern;
    return waitUntil(REAL_TIME, options, this.#over, {
      find: () => this.stdout.match(expression) ?? this.stderr.match(expression) ?? undefined,
      change: () => this.#change,
      ended: () => (this.#result === undefined ? undefined : describeEnd(this.#result)),
      what: () => `output ${pattern} of \`${this.#line}\`, which wrote "${this.#tail()}"`,
    });
  }

  /** Sends a signal to it and all it has started; returns when it has ended. SIGTERM unless given. Idempotent. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<ExecResult> {
    this.#signal(signal);
    return this.exited;
  }

  /** Sends SIGKILL, and returns when it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    // Also when the leader has ended but something it started still holds its output.
    if (this.#result !== undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // All of the group have ended.
    }
  }

  #tail(): string {
    return `${this.stdout}${this.stderr}`.trim().slice(-500);
  }

  #nextChange(): void {
    this.#tellChange?.();
    this.#change = new Promise((resolve) => {
      this.#tellChange = resolve;
    });
  }
}

/** `it ended with status 1`, `it was ended by SIGKILL`. */
function describeEnd({ status, signal }: ExecResult): string {
  return status === null ? `it was ended by ${signal}` : `it ended with status ${status}`;
}

function escapeExpression(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
