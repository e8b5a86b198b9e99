/**
 * The devices of a node that joins, made in this process's own network namespace and configured as the lab file says.
 * They live as long as this process has them open, or the emulator that they were handed to.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createTap, describeTap, setCarrier } from '../device/tap.ts';
import { configureNode } from '../lab/configure.ts';
import type { LabNode } from '../lab/model.ts';
import { close, SystemError } from '../sys/libc.ts';
import { runTool } from '../sys/tool.ts';

/** How long the emulator may take to let go of the devices of an earlier process of this node. */
const BUSY_MS = 2000;
const RETRY_MS = 50;
const BUSY = new Set(['EBUSY', 'EEXIST']);

export class NodeDevices {
  /** What they were made for. */
  readonly #definition: string;
  readonly #fds: ReadonlyMap<string, number>;

  private constructor(definition: string, fds: ReadonlyMap<string, number>) {
    this.#definition = definition;
    this.#fds = fds;
  }

  /** Makes all devices of a node and configures them, or none. Throws SystemError, NodeError, ToolError. */
  static async open(node: LabNode): Promise<NodeDevices> {
    const fds = new Map<string, number>();
    const devices = new NodeDevices(JSON.stringify(node), fds);
    try {
      for (const { device, kind, offload } of node.interfaces) {
        fds.set(device, await createWhenFree(device, kind === 'tun' ? 'tun' : 'tap', offload !== false));
      }
      configureNode(node);
    } catch (error) {
      devices.close();
      throw error;
    }
    return devices;
  }

  /** The open files by the devices' names. */
  get fds(): ReadonlyMap<string, number> {
    return this.#fds;
  }

  /** Whether these are the devices for that definition, and none has been deleted. */
  fits(node: LabNode): boolean {
    return JSON.stringify(node) === this.#definition && this.#areThere();
  }

  /** As if the cables were pulled: what is sent then is dropped at once, and not sent later. Whoever takes them plugs in. */
  unplug(): void {
    for (const fd of this.#fds.values()) setCarrier(fd, false);
  }

  close(): void {
    for (const fd of this.#fds.values()) close(fd);
  }

  /** Removes devices that somebody else still has open. */
  async delete(): Promise<void> {
    if (!this.#areThere()) return;
    const lines = [...this.#fds.keys()].map((name) => `link del dev ${name}\n`);
    await runTool('ip', ['-batch', '-'], { attempt: 'remove the devices', input: lines.join('') });
  }

  #areThere(): boolean {
    return [...this.#fds.values()].every((fd) => describeTap(fd) !== undefined);
  }
}

async function createWhenFree(name: string, kind: 'tap' | 'tun', offload: boolean): Promise<number> {
  const deadline = Date.now() + BUSY_MS;
  for (;;) {
    try {
      return createTap(name, kind, offload);
    } catch (error) {
      if (!(error instanceof SystemError && BUSY.has(error.code)) || Date.now() > deadline) throw error;
      await sleep(RETRY_MS);
    }
  }
}
