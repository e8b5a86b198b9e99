/**
 * The nodes that the emulator makes: their namespaces and the devices in them, from when the lab comes up, through its
 * changes, to when it goes down. The claim on the lab always names at least the namespaces that are there.
 */
import { setImmediate } from 'node:timers/promises';
import { type OpenedDevice, openDevice } from '../device/open.ts';
import type { Claim } from '../lab/claim.ts';
import { type Lab, type LabInterface, type LabNode, nodesToMake } from '../lab/model.ts';
import { namespaceName } from '../lab/names.ts';
import { Nodes, type RemovalReport } from '../lab/namespaces.ts';
import type { RunLog } from './lab-run.ts';

export type MadeNodesOptions = {
  readonly claim: Claim;
  readonly log: RunLog;
  /** Whether what still runs in a node is ended with it. */
  readonly endProcesses: boolean;
};

/** Told how many are done; may throw to go no further. */
type Count = (done: number, total: number) => void;

export class MadeNodes {
  readonly #lab: string;
  readonly #nodes: Nodes;
  readonly #options: MadeNodesOptions;
  /** By the names of their interfaces. */
  readonly #devices: Map<string, OpenedDevice> = new Map();

  private constructor(lab: string, nodes: Nodes, options: MadeNodesOptions) {
    this.#lab = lab;
    this.#nodes = nodes;
    this.#options = options;
  }

  /** Makes the namespaces of all nodes, or none. Throws NodeError. */
  static async create(lab: Lab, options: MadeNodesOptions): Promise<MadeNodes> {
    return new MadeNodes(lab.name, await Nodes.create(lab), options);
  }

  /** Opens the devices of these nodes. Throws; those that were opened are closed with the others. */
  async openDevices(lab: Lab, onDevice: Count): Promise<ReadonlyMap<string, OpenedDevice>> {
    const interfaces = nodesToMake(lab).flatMap((node) => node.interfaces);
    for (const [i, each] of interfaces.entries()) {
      await this.openDevice(each);
      onDevice(i + 1, interfaces.length);
      // A signal may have come.
      await setImmediate();
    }
    return this.#devices;
  }

  async openDevice(definition: LabInterface): Promise<OpenedDevice> {
    const device = await openDevice(definition, this.#nodes.namespace(definition.node));
    this.#devices.set(definition.name, device);
    return device;
  }

  /** When nobody uses its file any more. */
  async closeDevice(interfaceName: string): Promise<void> {
    const device = this.#devices.get(interfaceName);
    this.#devices.delete(interfaceName);
    await device?.close();
  }

  /** Before the namespaces are removed, which take their devices with them. */
  async leaveDevices(): Promise<void> {
    const devices = [...this.#devices.values()].reverse();
    this.#devices.clear();
    await Promise.all(devices.map((device) => device.leave()));
  }

  /** Configures all nodes of the lab as it came up. Throws NodeError. */
  configureAll(onNode: Count): Promise<void> {
    return this.#nodes.configure(onNode);
  }

  /** See lab/configure.ts. */
  configure(node: LabNode, was: LabNode | undefined): void {
    this.#nodes.configureNode(node, was);
  }

  /** Makes the namespace of another node. Throws NodeError. */
  async add({ name }: LabNode): Promise<void> {
    const { claim } = this.#options;
    // Claimed first: whatever happens, somebody knows of it.
    claim.addNamespace(namespaceName(this.#lab, name));
    try {
      await this.#nodes.add([name]);
    } catch (error) {
      claim.dropNamespace(namespaceName(this.#lab, name));
      throw error;
    }
  }

  /** Removes the namespace of one node. */
  async remove({ name }: LabNode): Promise<void> {
    this.#report(await this.#remove(name));
    this.#options.claim.dropNamespace(namespaceName(this.#lab, name));
  }

  /** Removes all namespaces. Throws AggregateError. */
  async removeAll(): Promise<void> {
    this.#report(await this.#remove());
  }

  /** See Nodes. */
  abandon(): void {
    this.#nodes.abandon();
  }

  async #remove(node?: string): Promise<RemovalReport> {
    if (this.#options.endProcesses) await this.#nodes.endProcesses(node);
    return this.#nodes.remove(node);
  }

  #report({ processes, errors }: RemovalReport): void {
    for (const { namespace, pid, command } of processes) {
      this.#options.log.warn({ namespace, pid, command }, 'a process still runs in a node that is gone');
    }
    if (errors.length > 0) throw new AggregateError(errors, errors.map((each) => each.message).join('; '));
  }
}
