/**
 * All workers of the data plane, told together: a change is carried out by each, and is over when all have answered.
 * A worker answers between two frames; one that has ended uses nothing any more, and is not waited for.
 */
import type { Command } from '../engine/commands.ts';
import type { PlaneHost } from '../engine/host.ts';
import { CommandError } from '../engine/mailbox.ts';
import { LabChangeError } from './contract.ts';

/** A command, and the worker it is for. */
export type Told = { readonly worker: number; readonly command: Command };

export class Crew {
  readonly #host: PlaneHost;
  readonly #workers: number;

  constructor(host: PlaneHost, workers: number) {
    this.#host = host;
    this.#workers = workers;
  }

  /**
   * Has every worker carry out its commands. Throws when one cannot, after `undo` has taken back what may have been
   * carried out: LabChangeError ENOSPC when a command is too long, else what the worker met.
   */
  async tell(commandsOf: (worker: number) => Command[], undo?: () => Promise<unknown>): Promise<void> {
    const results = await this.settled(commandsOf);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    await undo?.();
    const { reason } = failed;
    if (!(reason instanceof CommandError) || reason.code !== 'E2BIG') throw reason;
    throw new LabChangeError('ENOSPC', `${reason.message}; make rules and traces shorter`);
  }

  /** Has every worker let go of something: the end of a grace period. A worker that has ended has let go already. */
  async quiesce(commands: Command[]): Promise<void> {
    await this.settled(() => commands);
  }

  /** Has every worker carry out what it can of its commands. */
  settled(commandsOf: (worker: number) => Command[]): Promise<PromiseSettledResult<void>[]> {
    return Promise.allSettled(
      Array.from({ length: this.#workers }, (_, worker) => this.#host.send(worker, commandsOf(worker))),
    );
  }
}

/** Those of a worker. */
export function commandsOf(told: readonly Told[], worker: number): Command[] {
  return told.filter((each) => each.worker === worker).map(({ command }) => command);
}
