/**
 * The interfaces and links of a running lab, and how they come and go while frames move.
 *
 * Belongs to the control thread. Changes follow each other, each complete before the next begins. When a change
 * returns every worker has answered, which it does between two frames: none has a frame of before in hand, none
 * stands between bpfPeersPresent() and the bpf_if lock, none will use a file that was taken away. That is the grace
 * period after which an interface's index and a direction's number are used again, and a file may be closed. A worker
 * that has died uses nothing, so it is not waited for.
 *
 * A change is made in all workers or in none: when one cannot carry out its part, what any of them may have carried out
 * is taken back before the error is thrown. Only a lab that cannot start is left as it is, to be closed.
 */
import type { Arena } from '../arena/arena.ts';
import { LINKTYPE_ETHERNET, linkTypeOf } from '../device/link-type.ts';
import type { Command } from '../engine/commands.ts';
import type { PlaneHost } from '../engine/host.ts';
import { fitsMailbox } from '../engine/mailbox.ts';
import {
  interfacesOfSwitch,
  isSwitchPort,
  type Lab,
  type LabInterface,
  type LabLink,
  type LabSwitch,
} from '../lab/model.ts';
import { type ChangedLink, LabChangeError, type LinkStatus, type NamedLinkChange } from './contract.ts';
import { Crew, commandsOf, type Told } from './crew.ts';
import { checkLinkType, DeviceTable, type OpenPort } from './device-table.ts';
import { largestMtu } from './layout.ts';
import { LinkTable, type Move } from './links.ts';
import { readersOf } from './placement.ts';
import { type RegisteredInterface, Registry } from './registry.ts';
import { SwitchTable } from './switches.ts';

export type TopologyEvents = {
  /** A device that the lab itself had made is gone, and its interface with it. */
  readonly onInterfaceGone?: (name: string) => void;
  /**
   * A device that was connected while the lab ran has died; its interface is down and can be connected again. No
   * worker uses the file any more: it may be closed.
   */
  readonly onInterfaceDown?: (name: string) => void;
};

export class Topology {
  readonly registry: Registry;
  readonly links: LinkTable;
  readonly switches: SwitchTable;
  /** Is told the number of each direction that ends, before it is another's. */
  onDirectionEnd: (direction: number) => void = () => {};
  readonly #arena: Arena;
  readonly #lab: Lab;
  readonly #events: TopologyEvents;
  readonly #detachAll: (interfaceIndex: number) => Promise<void>;
  readonly #crew: Crew;
  readonly #devices: DeviceTable;
  #last: Promise<unknown> = Promise.resolve();
  #stopped = false;

  /**
   * @param detachAll detaches the descriptors of an interface that has gone
   * @param uptimeNs CLOCK_MONOTONIC, unless it is virtual time
   */
  constructor(
    arena: Arena,
    lab: Lab,
    host: PlaneHost,
    detachAll: (interfaceIndex: number) => Promise<void>,
    events: TopologyEvents,
    uptimeNs: () => number = () => Number(process.hrtime.bigint()),
  ) {
    this.#arena = arena;
    this.#lab = lab;
    this.#crew = new Crew(host, arena.capacity.workers);
    this.#devices = new DeviceTable(arena, this.#crew);
    this.#detachAll = detachAll;
    this.#events = events;
    this.registry = new Registry(arena);
    this.links = new LinkTable(arena, lab.seed, uptimeNs);
    this.switches = new SwitchTable(arena, (name) => this.links.at(name), uptimeNs);
  }

  /** Makes what the lab file names, in as few commands as possible. An interface without a device has none yet. */
  start(devices?: ReadonlyMap<string, OpenPort>): Promise<void> {
    return this.#inTurn(async () => {
      const readers = readersOf(this.#lab, this.#arena.capacity.workers);
      const switches = this.#lab.switches ?? [];
      const ports = switches.flatMap(interfacesOfSwitch);
      const shared = [...this.#lab.nodes.flatMap((node) => node.interfaces), ...ports].flatMap((each) =>
        this.#register(each, devices?.get(each.name), readers.get(each.name)),
      );
      for (const link of this.#lab.links) this.links.add(link, (name) => this.#entry(name));
      const links = this.#lab.links.flatMap(({ name }) => this.#wiring(name));
      const made = switches.map((each) => this.switches.set(each, (name) => this.#entry(name)));
      const wiring = [...made.flatMap(({ told }) => told), ...links];
      await this.#crew.tell((worker) => [...shared, ...commandsOf(wiring, worker)]);
      for (const { inForce } of made) inForce();
      for (const { name } of this.#lab.links) this.links.wired(name);
    });
  }

  /**
   * Adds an interface, with its device if there is one already. Throws LabChangeError: EEXIST, ENOSPC, EINVAL (its MTU
   * does not fit into the frame slots of this run).
   *
   * @param peer the interface that it will be linked to, whose worker is to read it as well
   */
  addInterface(definition: LabInterface, port?: OpenPort, peer?: string): Promise<void> {
    return this.#inTurn(async () => {
      const reader = peer === undefined ? undefined : this.registry.get(peer)?.readers[0];
      const commands = this.#register(definition, port, reader);
      await this.#crew.tell(
        () => commands,
        () => this.#remove(this.#entry(definition.name)),
      );
    });
  }

  /**
   * Removes an interface. Its descriptors can be read to the end; nothing uses its file any more. Throws
   * LabChangeError: ENXIO, EBUSY (a link leads to it).
   */
  removeInterface(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const entry = this.#entry(name);
      this.#refuseLinked([entry]);
      await this.#remove(entry);
    });
  }

  /**
   * Adds a switch or hub, or makes one another: ports come, or ports go, to which no link leads; what it has learned is
   * forgotten. What enters it at ports that stay is carried on. Throws LabChangeError as addInterface() does, and
   * EBUSY.
   *
   * @param peers for ports, the interfaces that they will be linked to, whose worker is to carry the switch as well
   */
  setSwitch(definition: LabSwitch, peers: ReadonlyMap<string, string> = new Map()): Promise<void> {
    return this.#inTurn(async () => {
      const wanted = interfacesOfSwitch(definition);
      const gone = this.switches
        .interfacesOf(definition.name)
        .filter(({ name }) => !wanted.some((each) => each.name === name));
      this.#refuseLinked(gone);
      const added = wanted.filter(({ name }) => this.registry.get(name) === undefined);
      const ports = definition.ports.map(({ name }) => name);
      const reader = [...ports, ...ports.flatMap((name) => peers.get(name) ?? [])]
        .map((name) => this.registry.get(name)?.readers[0])
        .find((each) => each !== undefined);
      try {
        const commands = added.flatMap((each) => this.#register(each, undefined, reader));
        await this.#crew.tell(() => commands);
        const {
          told,
          undo: back,
          inForce,
          givenUp,
        } = this.switches.set(definition, (name) => this.#entry(name));
        await this.#crew.tell(
          (worker) => commandsOf(told, worker),
          async () => {
            await this.#crew.settled((worker) => commandsOf(back, worker));
            givenUp();
          },
        );
        inForce();
      } catch (error) {
        await this.#removeAll(added);
        throw error;
      }
      await this.#removeAll(gone);
    });
  }

  /** Removes a switch or hub and its interfaces. Throws LabChangeError: ENXIO, EBUSY (a link leads to it). */
  removeSwitch(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const interfaces = this.switches.interfacesOf(name);
      this.#refuseLinked(interfaces);
      const removal = this.switches.remove(name);
      if (!removal) throw new LabChangeError('ENXIO', `there is no switch ${name}`);
      await this.#crew.settled((worker) => commandsOf([removal.told], worker));
      removal.released();
      await this.#removeAll(interfaces);
    });
  }

  /**
   * Adds a link. Throws LabChangeError: ENXIO (no such interface), EINVAL (a switch belongs to another worker), ENOSPC
   * (its settings are too long to tell a worker), and what LinkTable.add() throws.
   */
  addLink(definition: LabLink): Promise<void> {
    return this.#inTurn(async () => {
      this.#checkWorkers(definition);
      this.#settle();
      this.links.add(definition, (name) => this.#entry(name));
      const wiring = this.#wiring(definition.name);
      await this.#crew.tell(
        (worker) => commandsOf(wiring, worker),
        () => this.#removeLink(definition.name),
      );
      this.links.wired(definition.name);
    });
  }

  /**
   * Removes a link. Frames under way are dropped, reason `carrier`. Returns its last status, in which nothing is in
   * flight. Throws LabChangeError: ENXIO.
   */
  removeLink(name: string): Promise<LinkStatus> {
    return this.#inTurn(() => this.#removeLink(name));
  }

  /** Has all workers record what links decide, or not any more. Throws when one cannot. */
  record(on: boolean): Promise<void> {
    return this.#inTurn(() => this.#crew.tell(() => [{ do: 'record', on }]));
  }

  /** See EmulatorControl. */
  setLinks(changes: readonly NamedLinkChange[]): Promise<ChangedLink[]> {
    return this.#inTurn(async () => {
      const names = changes.map(({ name }) => name);
      const { commands, undo, inForce } = this.links.change(changes);
      const before = names.map((name) => this.links.get(name)!);
      // What does not fit into one mail would come at several moments.
      if (names.length > 1 && !fitsMailbox(commands.map(({ command }) => command))) {
        throw new LabChangeError('ENOSPC', 'these are too many changes for one moment; change fewer links');
      }
      await this.#crew.tell(
        (worker) => commandsOf(commands, worker),
        () => this.#crew.settled((worker) => commandsOf(undo, worker)),
      );
      inForce();
      return names.map((name, i) => ({ before: before[i]!, after: this.links.get(name)! }));
    });
  }

  /**
   * Has a worker carry a link, both directions, from now on. Frames under way keep their deadlines and their order; those
   * that the worker before has leave there. Throws LabChangeError: EINVAL (no such worker; a link of a switch), and what
   * LinkTable.move() throws.
   */
  moveLink(name: string, worker: number): Promise<LinkStatus> {
    return this.#inTurn(async () => {
      const { workers } = this.#arena.capacity;
      const refuse = (why: string): never => {
        throw new LabChangeError('EINVAL', `link ${name}: ${why}`);
      };
      if (worker >= workers) refuse(`there is no worker ${worker}; this run has ${workers}, from 0 on`);
      const ends = this.links.get(name)?.endpoints.map((end) => this.#entry(end)) ?? [];
      if (ends.some(({ definition }) => isSwitchPort(definition)))
        refuse('what leads to a switch belongs to the worker of that switch');
      this.#settle();
      const move = this.links.move(name, worker, (end) => this.#entry(end).index);
      if (move !== undefined) await this.#move(move, worker);
      return this.links.get(name)!;
    });
  }

  async #move({ from, take, takeBack, leave, moved, givenUp }: Move, worker: number): Promise<void> {
    const tell = (told: readonly Told[], undo?: () => Promise<unknown>): Promise<void> =>
      this.#crew.tell((each) => commandsOf(told, each), undo);
    await tell(take, async () => {
      await this.#crew.settled((each) => commandsOf(takeBack, each));
      givenUp();
    });
    // From here on only a worker that dies can fail, and the lab with it.
    await tell(leave);
    moved();
    const entries = from.map((end) => this.#entry(end));
    for (const entry of entries) entry.readers = [worker];
    await tell(entries.map(({ index }) => ({ worker, command: { do: 'read', index } })));
  }

  /** Numbers of directions that went to another worker are free once that has them. */
  #settle(): void {
    for (const direction of this.links.settle()) this.onDirectionEnd(direction);
  }

  /**
   * Puts a device behind an interface that has none; frames move from now on. The caller keeps the file open until
   * disconnect(), or onInterfaceDown. Throws LabChangeError: ENXIO, EBUSY (it has one), EINVAL (its link type).
   */
  connect(name: string, port: OpenPort): Promise<void> {
    return this.#inTurn(async () => {
      const entry = this.#entry(name);
      if (this.registry.isGone(entry)) throw new LabChangeError('ENXIO', `the device of ${name} has gone`);
      if (this.#devices.has(entry)) throw new LabChangeError('EBUSY', `${name} has a device; disconnect it`);
      checkLinkType(name, entry.linkType, port);
      const command = this.#devices.give(entry, port, 'connected');
      await this.#crew.tell(
        () => [command],
        () => this.#devices.take(entry),
      );
    });
  }

  /**
   * Takes the device from behind an interface, if it has one. Frames towards it are dropped, reason `carrier`, until
   * it is connected again; descriptors stay. No worker uses the file any more. Throws LabChangeError: ENXIO.
   */
  disconnect(name: string): Promise<void> {
    return this.#inTurn(() => this.#devices.take(this.#entry(name)));
  }

  /** Sees to the interfaces whose devices have died. */
  async lookAfterDevices(): Promise<void> {
    const isDead = (entry: RegisteredInterface): boolean =>
      this.#devices.has(entry) && !this.#devices.isUp(entry);
    if (!this.registry.list().some(isDead)) return;
    await this.#inTurn(async () => {
      for (const entry of this.registry.list().filter(isDead)) {
        const origin = this.#devices.originOf(entry);
        await this.#devices.take(entry);
        if (origin === 'connected') {
          this.#events.onInterfaceDown?.(entry.name);
        } else {
          this.#events.onInterfaceGone?.(entry.name);
          await this.#retire(entry);
        }
      }
    }).catch(() => {}); // the lab is going down
  }

  /** Makes no more changes, and returns when the last is complete. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#last;
  }

  /** Detaches all descriptors. When no frame moves any more. */
  async retireAll(): Promise<void> {
    for (const entry of this.registry.list()) await this.#retire(entry);
  }

  /** Whether the interface has a device that leaves segmentation to us. */
  hasOffload(entry: RegisteredInterface): boolean {
    return this.#devices.hasOffload(entry);
  }

  /** The process that handed its device over; undefined when it was not, or has no number here. */
  processOf(entry: RegisteredInterface): number | undefined {
    return this.#devices.processOf(entry);
  }

  isUp(entry: RegisteredInterface): boolean {
    return this.#devices.isUp(entry) && !this.registry.isGone(entry);
  }

  /** Enters an interface into the registry, and returns what every worker must be told. */
  #register(definition: LabInterface, port: OpenPort | undefined, reader?: number): Command[] {
    const { name, mtu, queues = 1 } = definition;
    const limit = largestMtu(this.#arena.capacity);
    if (mtu > limit) {
      const why = `an MTU of ${mtu} does not fit, frames of this run have room for ${limit}`;
      throw new LabChangeError('EINVAL', `${name}: ${why}; take the lab down and up`);
    }
    const { workers } = this.#arena.capacity;
    if (queues > workers) {
      const why = `each of ${queues} queues is read by a worker of its own, and this run has ${workers}`;
      throw new LabChangeError('EINVAL', `${name}: ${why}; take the lab down, and up with more`);
    }
    const linkType = linkTypeOf(definition);
    const isSwitched = isSwitchPort(definition);
    const device = this.#lab.virtual && !isSwitched ? { fd: MEMORY_FD, linkType } : port;
    if (device) checkLinkType(name, linkType, device);
    const entry = this.registry.add(definition, linkType, reader);
    const ethernet = linkType === LINKTYPE_ETHERNET;
    const { index, readers } = entry;
    const added: Command = { do: 'port', index, mtu, ethernet, readers };
    if (isSwitched) this.#devices.setUp(entry, 1);
    return device ? [added, this.#devices.give(entry, device, 'lab')] : [added];
  }

  /** What enters a switch is carried by the worker that the switch belongs to. */
  #checkWorkers({ name, endpoints }: LabLink): void {
    const [first, second] = endpoints.map((end) => this.#entry(end));
    if (first!.readers[0] === second!.readers[0]) return;
    if (!isSwitchPort(first!.definition) && !isSwitchPort(second!.definition)) return;
    const why = `${first!.name} and ${second!.name} belong to different workers, and one is a switch's`;
    throw new LabChangeError('EINVAL', `link ${name}: ${why}; take the lab down and up`);
  }

  async #remove(entry: RegisteredInterface): Promise<void> {
    this.registry.forget(entry);
    await this.#retire(entry);
    await this.#devices.take(entry);
    await this.#crew.quiesce([{ do: 'remove-port', index: entry.index }]);
    this.registry.reclaim(entry);
  }

  /** Those that are there. */
  async #removeAll(interfaces: readonly { readonly name: string }[]): Promise<void> {
    for (const { name } of interfaces) {
      const entry = this.registry.get(name);
      if (entry !== undefined) await this.#remove(entry);
    }
  }

  #refuseLinked(interfaces: readonly { readonly name: string }[]): void {
    for (const { name } of interfaces) {
      const link = this.links.at(name);
      if (link !== undefined)
        throw new LabChangeError('EBUSY', `link ${link} leads to ${name}; remove that first`);
    }
  }

  async #removeLink(name: string): Promise<LinkStatus> {
    const removal = this.links.remove(name);
    if (!removal) throw new LabChangeError('ENXIO', `there is no link ${name}`);
    await this.#crew.settled((worker) => commandsOf(removal.commands, worker));
    for (const direction of removal.directions) this.onDirectionEnd(direction);
    return removal.released();
  }

  async #retire(entry: RegisteredInterface): Promise<void> {
    await this.registry.retire(entry);
    await this.#detachAll(entry.index);
  }

  #wiring(link: string): Told[] {
    return this.links.wiring(link, (name) => this.#entry(name).index);
  }

  #entry(name: string): RegisteredInterface {
    const entry = this.registry.get(name);
    if (!entry) throw new LabChangeError('ENXIO', `there is no interface ${name}`);
    return entry;
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      if (this.#stopped) throw new LabChangeError('ENETDOWN', `lab ${this.#lab.name} is going down`);
      return change();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** The device of an interface of a virtual lab is not a file. */
const MEMORY_FD = -1;
