/**
 * The nodes of a lab that join it: their socket beside the control socket, from when the lab is up to when it goes
 * down. A lab without such nodes has none.
 */
import { Access } from '../control/access.ts';
import { listenOnPassed, listenOnSocket } from '../control/listen.ts';
import { Handover } from '../join/handover.ts';
import { joinSocketPath } from '../lab/state.ts';
import type { LabRun, RunLog } from './lab-run.ts';

export class Joins {
  readonly #run: LabRun;
  readonly #log: RunLog;
  #handover: Handover | undefined;

  constructor(run: LabRun, log: RunLog) {
    this.#run = run;
    this.#log = log;
  }

  /** Lets nodes join from now on, if the lab has such nodes. Idempotent. Throws SocketError. */
  async listen(controlSocket: string, group?: number, passedFd?: number): Promise<void> {
    if (this.#handover !== undefined || !this.#run.lab.nodes.some(({ join }) => join === true)) return;
    const handover = new Handover({ emulator: this.#run.emulator, access: new Access(), log: this.#log });
    if (passedFd !== undefined) await listenOnPassed(handover.server, passedFd);
    else await listenOnSocket(handover.server, joinSocketPath(controlSocket), { group });
    this.#handover = handover;
  }

  /** The device behind an interface has died: its node starts over. */
  interfaceDown(name: string): void {
    const node = this.#run.lab.nodes.find(({ interfaces }) => interfaces.some((each) => each.name === name));
    if (node !== undefined) this.#handover?.release(node.name);
  }

  /** Lets a node go that is another now; it joins again by itself. */
  release(node: string): void {
    this.#handover?.release(node);
  }

  /** Lets no node join any more, and all go. Idempotent. */
  async close(): Promise<void> {
    const handover = this.#handover;
    this.#handover = undefined;
    await handover?.close();
  }
}
