/**
 * The switches and hubs of a running lab: where their records are, what their worker must be told, and what it says.
 * Belongs to the control thread; counters and tables are the workers' (switch/counters.ts, switch/mac-table.ts).
 */
import type { Arena } from '../arena/arena.ts';
import type { Command } from '../engine/commands.ts';
import { interfacesOfSwitch, type LabInterface, type LabSwitch } from '../lab/model.ts';
import {
  CLOCK_START_NS,
  FILTERED,
  FLOODED,
  FORWARDED,
  LEARNED,
  MOVED,
  NOT_LEARNED,
  VLAN_REFUSED,
} from '../switch/counters.ts';
import { MAC_ENTRIES, MacTable } from '../switch/mac-table.ts';
import { type AddressStatus, LabChangeError, type SwitchStatus } from './contract.ts';
import type { Told } from './crew.ts';

type Entry = {
  readonly definition: LabSwitch;
  readonly index: number;
  readonly counters: Float64Array;
  readonly table: MacTable;
  /** What makes it what it is. */
  readonly told: Told;
};

export type SwitchChange = {
  readonly told: readonly Told[];
  readonly undo: readonly Told[];
  readonly inForce: () => void;
  readonly givenUp: () => void;
};

type Find = (interfaceName: string) => { readonly index: number; readonly readers: readonly number[] };

export class SwitchTable {
  readonly #arena: Arena;
  readonly #entries: Map<string, Entry> = new Map();
  /** Records that no switch has; the next to be used last. */
  readonly #free: number[];
  readonly #linkAt: (interfaceName: string) => string | undefined;
  readonly #uptimeNs: () => number;

  /**
   * @param linkAt names the link that leads to an interface
   * @param uptimeNs CLOCK_MONOTONIC, or the virtual time
   */
  constructor(arena: Arena, linkAt: (interfaceName: string) => string | undefined, uptimeNs: () => number) {
    this.#arena = arena;
    this.#linkAt = linkAt;
    this.#uptimeNs = uptimeNs;
    this.#free = Array.from({ length: arena.capacity.switches ?? 0 }, (_, i) => i).reverse();
  }

  /**
   * What workers must be told for a switch to be there, or to be another, whose interfaces are there: `told`, and then
   * `inForce` is to be called; or `undo`, and then `givenUp`. Throws LabChangeError: ENOSPC.
   */
  set(definition: LabSwitch, find: Find): SwitchChange {
    const { name, settings, ports, mirror } = definition;
    const before = this.#entries.get(name);
    const index = before?.index ?? this.#free.pop();
    if (index === undefined) {
      const room = this.#arena.capacity.switches;
      const message = `switch ${name}: this run has room for ${room} switches; take the lab down and up`;
      throw new LabChangeError('ENOSPC', message);
    }
    const found = ports.map((port) => find(port.name));
    const worker = found[0]?.readers[0] ?? before?.told.worker ?? 0;
    const command: Command = {
      do: 'switch',
      index,
      settings,
      ports: found.map((port) => port.index),
      mirror: find(mirror.name).index,
    };
    const told: Told = { worker, command };
    const counters = this.#arena.switchCounters(index);
    if (before === undefined) counters.fill(0);
    const table = new MacTable(this.#arena.memory.buffer, this.#arena.macTable(index), settings.ageingNs);
    return {
      told: before === undefined || before.told.worker === worker ? [told] : [removal(before), told],
      undo: before === undefined ? [removal({ told, index })] : [before.told],
      inForce: () => this.#entries.set(name, { definition, index, counters, table, told }),
      givenUp: () => {
        if (before === undefined) this.#free.push(index);
      },
    };
  }

  /** Takes a switch out of the table, and returns what its worker must be told, and what to call then. */
  remove(name: string): { told: Told; released: () => void } | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    return { told: removal(entry), released: () => this.#free.push(entry.index) };
  }

  /** The interfaces of a switch; none when it is not there. */
  interfacesOf(name: string): LabInterface[] {
    const entry = this.#entries.get(name);
    return entry === undefined ? [] : interfacesOfSwitch(entry.definition);
  }

  list(): SwitchStatus[] {
    return [...this.#entries.values()].map((entry) => this.#status(entry));
  }

  get(name: string): SwitchStatus | undefined {
    const entry = this.#entries.get(name);
    return entry && this.#status(entry);
  }

  /** What a switch has learned, by VLAN and address; undefined when there is none of that name. */
  addresses(name: string): AddressStatus[] | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    const nowNs = this.#nowNs(entry);
    const { ports } = entry.definition;
    return entry.table.list(nowNs).flatMap(({ mac, vlan, port, seenNs }) => {
      const at = ports[port];
      // The worker may be ahead, and know a port that is only being added.
      return at === undefined ? [] : [{ mac, vlan, port: at.name, ageNs: Math.max(0, nowNs - seenNs) }];
    });
  }

  #status(entry: Entry): SwitchStatus {
    const { definition, counters } = entry;
    const { name, settings, ports, mirror } = definition;
    return {
      name,
      kind: settings.kind,
      ageingNs: settings.ageingNs,
      mirror: mirror.name,
      ports: ports.map((port, i) => ({
        name: port.name,
        link: this.#linkAt(port.name) ?? null,
        ...settings.ports[i]!,
      })),
      addresses: entry.table.count(this.#nowNs(entry)),
      addressRoom: MAC_ENTRIES,
      forwarded: counters[FORWARDED]!,
      flooded: counters[FLOODED]!,
      filtered: counters[FILTERED]!,
      vlanRefused: counters[VLAN_REFUSED]!,
      learned: counters[LEARNED]!,
      moved: counters[MOVED]!,
      notLearned: counters[NOT_LEARNED]!,
    };
  }

  /** The time now on the clock of the switch's worker. */
  #nowNs({ counters }: Entry): number {
    return this.#uptimeNs() - counters[CLOCK_START_NS]!;
  }
}

function removal({ told, index }: Pick<Entry, 'told' | 'index'>): Told {
  return { worker: told.worker, command: { do: 'remove-switch', index } };
}
