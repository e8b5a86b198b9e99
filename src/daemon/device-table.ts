/**
 * The devices behind the interfaces of a running lab: which interface has one, where from, and whether it works.
 * Belongs to the control thread; that an interface is up stands in the arena, where workers say when a device has died.
 */
import type { Arena } from '../arena/arena.ts';
import { LINKTYPE_RAW } from '../device/link-type.ts';
import type { Command } from '../engine/commands.ts';
import { INTERFACE_UP } from '../engine/counters.ts';
import { LabChangeError } from './contract.ts';
import type { Crew } from './crew.ts';
import type { RegisteredInterface } from './registry.ts';

/** A kernel device that is open: its files, and the link type of its frames. */
export type OpenPort = {
  /** The file of its only queue, or its first. */
  readonly fd: number;
  /** The files of the other queues that the interface has, if there are any. */
  readonly moreQueues?: readonly number[];
  readonly linkType: number;
  /** Whether it was opened with IFF_VNET_HDR; it was not unless said. */
  readonly offload?: boolean;
  /** The process that made it and handed it over, if that has a number here. */
  readonly process?: number;
};

/** Where an interface has its device from; none when it has none. */
export type Origin = 'lab' | 'connected';

type Device = { readonly origin: Origin; readonly offload: boolean; readonly process: number | undefined };

export class DeviceTable {
  readonly #arena: Arena;
  readonly #crew: Crew;
  readonly #devices: Map<RegisteredInterface, Device> = new Map();

  constructor(arena: Arena, crew: Crew) {
    this.#arena = arena;
    this.#crew = crew;
  }

  has(entry: RegisteredInterface): boolean {
    return this.#devices.has(entry);
  }

  originOf(entry: RegisteredInterface): Origin | undefined {
    return this.#devices.get(entry)?.origin;
  }

  /** Whether the interface has a device that leaves segmentation to us. */
  hasOffload(entry: RegisteredInterface): boolean {
    return this.#devices.get(entry)?.offload === true;
  }

  /** The process that handed it over. */
  processOf(entry: RegisteredInterface): number | undefined {
    return this.#devices.get(entry)?.process;
  }

  isUp({ index }: RegisteredInterface): boolean {
    return this.#arena.f64[this.#arena.interfaceCounters(index) + INTERFACE_UP] !== 0;
  }

  setUp({ index }: RegisteredInterface, up: 0 | 1): void {
    this.#arena.f64[this.#arena.interfaceCounters(index) + INTERFACE_UP] = up;
  }

  /**
   * Puts a device behind an interface, and returns what every worker must be told. Up before the workers have it: one
   * of them may find at once that it is gone.
   */
  give(entry: RegisteredInterface, port: OpenPort, origin: Origin): Command {
    const { fd, moreQueues = [], offload = false, process } = port;
    this.#devices.set(entry, { origin, offload, process });
    this.setUp(entry, 1);
    const fds = [fd, ...moreQueues];
    return { do: 'device', index: entry.index, fds, offload, shared: origin === 'connected' };
  }

  /** Takes the device away, if there is one; no worker uses its files any more when this returns. */
  async take(entry: RegisteredInterface): Promise<void> {
    this.#devices.delete(entry);
    this.setUp(entry, 0);
    const none = { fds: [], offload: false, shared: false };
    await this.#crew.quiesce([{ do: 'device', index: entry.index, ...none }]);
  }
}

/** Throws LabChangeError EINVAL when a device has frames of another kind than its interface. */
export function checkLinkType(name: string, linkType: number, port: OpenPort): void {
  if (port.linkType === linkType) return;
  const kind = (type: number): string => (type === LINKTYPE_RAW ? 'a tun device' : 'a tap device');
  throw new LabChangeError('EINVAL', `${name} takes ${kind(linkType)}, this is ${kind(port.linkType)}`);
}
