/**
 * Keeps a node in a lab: asks the emulator what the node is, makes its devices, hands them over, and does so again
 * whenever the emulator has gone and is back. The devices stay meanwhile, unless the node is to be another by then.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, type ControlClient, ControlError } from '../control/client.ts';
import type { LabNode } from '../lab/model.ts';
import { joinSocketPath } from '../lab/state.ts';
import { handOver, JoinConnectionError, type Membership } from './membership.ts';
import { NodeDevices } from './node-devices.ts';
import { RefusedError } from './read-hello.ts';

export type JoinOptions = {
  readonly node: string;
  readonly client: ControlClient;
  /** How long to wait for an emulator at first. Later it is waited for without end. */
  readonly waitMs: number;
  /** Aborted when the node shall leave. */
  readonly stop: AbortSignal;
  /** The node has joined; again after each time that it was lost. */
  readonly onJoined: (lab: string, node: LabNode) => void;
  /** The emulator has gone, or cannot be joined yet. */
  readonly onLost: (reason: string) => void;
};

const FIRST_BACKOFF_MS = 50;
/** So that a node is back well within five seconds after its emulator. */
const LONGEST_BACKOFF_MS = 1000;

/**
 * Joins, and stays until told to leave; the devices are gone then. Throws what makes joining impossible: ControlError,
 * RefusedError, SystemError, NodeError, and ConnectionError when nobody was there in time.
 */
export async function join(options: JoinOptions): Promise<void> {
  const session = new Session(options);
  try {
    await session.run();
  } finally {
    await session.leave();
  }
}

class Session {
  readonly #options: JoinOptions;
  readonly #deadline: number;
  #devices: NodeDevices | undefined;
  #membership: Membership | undefined;
  #hasJoined = false;

  constructor(options: JoinOptions) {
    this.#options = options;
    this.#deadline = Date.now() + options.waitMs;
  }

  async run(): Promise<void> {
    const { stop, onLost } = this.#options;
    const stopped = new Promise<void>((resolve) => {
      stop.addEventListener('abort', () => resolve(), { once: true });
    });
    let lastReason = '';
    for (let backoffMs = FIRST_BACKOFF_MS; !stop.aborted; ) {
      let reason = 'the emulator has gone';
      try {
        const membership = await this.#join();
        lastReason = '';
        backoffMs = FIRST_BACKOFF_MS;
        await Promise.race([membership.ended, stopped]);
        if (stop.aborted) return;
        this.#membership = undefined;
        this.#devices?.unplug();
      } catch (error) {
        if (stop.aborted) return;
        if (!mayPass(error) || (!this.#hasJoined && Date.now() > this.#deadline)) throw error;
        reason = (error as Error).message;
      }
      if (reason !== lastReason) onLost(reason);
      lastReason = reason;
      await sleep(backoffMs, undefined, { signal: stop }).catch(() => undefined);
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  }

  /** Gives everything back. */
  async leave(): Promise<void> {
    const isFree = (await this.#membership?.leave()) ?? true;
    if (!isFree) await this.#devices?.delete();
    this.#devices?.close();
    this.#devices = undefined;
  }

  async #join(): Promise<Membership> {
    const { client, node: name, onJoined } = this.#options;
    const { lab, node } = await client.node(name);
    // Not needed between now and the next time.
    client.close();
    if (node.join !== true) {
      throw new RefusedError(`node ${name} of lab ${lab} is made by the emulator; give it \`join: true\``);
    }
    if (this.#devices?.fits(node) !== true) {
      this.#devices?.close();
      this.#devices = undefined;
      this.#devices = await NodeDevices.open(node);
    }
    const membership = await handOver(joinSocketPath(client.socketPath), name, this.#devices.fds);
    this.#membership = membership;
    this.#hasJoined = true;
    onJoined(lab, node);
    return membership;
  }
}

/** Whether the same may succeed later: nobody is there yet, or not ready. */
function mayPass(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof JoinConnectionError) return true;
  if (error instanceof RefusedError) return error.retry;
  return error instanceof ControlError && error.problem.status >= 500;
}
