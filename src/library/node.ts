/** A node of a lab, as a test uses it: run commands in its network namespace. */
import type { LabNode } from '../lab/model.ts';
import { entrance } from '../lab/namespaces.ts';
import { CommandError } from './errors.ts';
import { type CommandOptions, type ExecResult, SpawnedProcess } from './process.ts';
import { messageOf } from './time.ts';

export type ExecOptions = CommandOptions & {
  /** How long the command may take, 30,000 ms unless given; then it is killed. */
  readonly timeoutMs?: number;
};

const DEFAULT_EXEC_MS = 30_000;

export type NodeContext = {
  /** The lab's name, which is part of its namespaces' names. */
  readonly lab: string;
  /** Whether nodes have no namespaces. */
  readonly virtual: boolean;
  readonly over: AbortSignal;
  assertUp(): void;
  onProcess(process: SpawnedProcess): void;
};

export class NodeHandle {
  readonly name: string;
  readonly #definition: LabNode;
  readonly #context: NodeContext;

  constructor(definition: LabNode, context: NodeContext) {
    this.name = definition.name;
    this.#definition = definition;
    this.#context = context;
  }

  /**
   * Runs a command in the node to its end, without a shell. A status other than 0 is a result, no error.
   * Throws CommandError: ENOENT, EACCES, ETIMEDOUT, ENOBUFS (more than 16 MiB of output), ECANCELED; TypeError when
   * the node has no namespace.
   */
  async exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<ExecResult> {
    const { timeoutMs = DEFAULT_EXEC_MS, signal, ...rest } = options;
    const tooLong = new AbortController();
    const tooMuch = new AbortController();
    const { over } = this.#context;
    const end = AbortSignal.any([tooLong.signal, tooMuch.signal, over, ...(signal ? [signal] : [])]);
    const timer = setTimeout(() => tooLong.abort(), timeoutMs);
    try {
      const child = await this.#start(command, args, { ...rest, signal: end }, () => tooMuch.abort());
      const result = await child.exited;
      const line = [command, ...args].join(' ');
      if (tooLong.signal.aborted) {
        throw new CommandError(
          'ETIMEDOUT',
          `\`${line}\` in ${this.name} took more than ${timeoutMs} ms`,
          result,
        );
      }
      if (tooMuch.signal.aborted) {
        throw new CommandError('ENOBUFS', `\`${line}\` in ${this.name} wrote more than 16 MiB`);
      }
      if (end.aborted) {
        const why = `\`${line}\` in ${this.name} was ended: ${messageOf(end.reason)}`;
        throw new CommandError('ECANCELED', why, result, end.reason);
      }
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts a command, such as a server, that goes on until it ends, is killed, or the lab goes down. Throws as exec(). */
  async spawn(
    command: string,
    args: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<SpawnedProcess> {
    return this.#start(command, args, options);
  }

  async #start(
    command: string,
    args: readonly string[],
    options: CommandOptions,
    onFull?: () => void,
  ): Promise<SpawnedProcess> {
    const { lab, virtual, over } = this.#context;
    this.#context.assertUp();
    if (virtual || this.#definition.join) {
      const why = virtual ? 'the lab runs on memory devices' : 'it brings its own devices (`join`)';
      throw new TypeError(`node ${this.name} has no namespace to run a command in: ${why}`);
    }
    const child = await SpawnedProcess.start({
      entrance: entrance(lab, this.name, process.pid),
      command,
      args,
      options,
      over,
      ...(onFull && { onFull }),
    });
    this.#context.onProcess(child);
    return child;
  }
}
