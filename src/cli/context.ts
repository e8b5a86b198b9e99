/** What every command gets: where output goes, and the way to the control socket. */
import { resolve } from 'node:path';
import { ControlClient } from '../control/client.ts';
import { defaultSocketPath } from '../lab/state.ts';
import type { Terminal } from './terminal.ts';

export class Context {
  readonly terminal: Terminal;
  /** What --socket said. */
  socketOption: string | undefined;
  /** What the process will exit with. */
  exitStatus = 0;
  #client: ControlClient | undefined;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** The control socket: --socket, $TAPLAB_SOCKET, or the default. Absolute. */
  get socketPath(): string {
    return resolve(this.socketOption ?? defaultSocketPath());
  }

  /** For a command that runs: when it is made, nobody has read --socket yet. */
  get client(): ControlClient {
    this.#client ??= new ControlClient(this.socketPath);
    return this.#client;
  }

  /** Closes the connections that would keep the process alive. */
  dispose(): void {
    this.#client?.close();
  }
}
