/**
 * What runs data planes: threads (threads.ts) or this thread on a virtual clock (inline.ts). The emulator does not
 * know which.
 */
import type { CompiledModule } from '../bpf/compiled.ts';
import type { Command } from './commands.ts';

export interface PlaneHost {
  /** Has a worker carry out commands, between two frames. Rejects with the reason when one fails. */
  send(worker: number, commands: readonly Command[]): Promise<void>;
  /** Gives every worker an interface's compiled filters. False when a worker has ended. */
  install(compiled: CompiledModule): Promise<boolean>;
  /** Stops all workers; no frame moves any more when it returns. Idempotent. */
  close(): Promise<void>;
}

export type HostEvents = {
  /** An interface's device has gone; its INTERFACE_UP is 0. */
  readonly onInterfacesChanged: () => void;
  /** A worker died. Its locks are released, its links are dead. */
  readonly onFailure: (error: Error) => void;
};
