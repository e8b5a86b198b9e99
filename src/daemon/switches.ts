/**
 * The switches and hubs of a running lab: where their records are, what their worker must be told, and what it says.
 * Belongs to the control thread; counters and tables are the workers' (switch/counters.ts, switch/mac-table.ts).
 */
import type { Arena } from '../arena/arena.ts';
import type { LabSwitch } from '../lab/model.ts';
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
import type { AddressStatus, SwitchStatus } from './contract.ts';
import type { Told } from './links.ts';

type Entry = {
  readonly definition: LabSwitch;
  readonly index: number;
  readonly counters: Float64Array;
  readonly table: MacTable;
};

export class SwitchTable {
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #linkAt: (interfaceName: string) => string | undefined;
  readonly #uptimeNs: () => number;

  /**
   * @param linkAt names the link that leads to an interface
   * @param uptimeNs CLOCK_MONOTONIC, or the virtual time
   */
  constructor(
    arena: Arena,
    switches: readonly LabSwitch[],
    linkAt: (interfaceName: string) => string | undefined,
    uptimeNs: () => number,
  ) {
    this.#linkAt = linkAt;
    this.#uptimeNs = uptimeNs;
    this.#entries = new Map(
      switches.map((definition, index): [string, Entry] => {
        const table = new MacTable(arena.memory.buffer, arena.macTable(index), definition.settings.ageingNs);
        return [definition.name, { definition, index, counters: arena.switchCounters(index), table }];
      }),
    );
  }

  /** What the workers must be told once the interfaces are there. */
  wiring(find: (interfaceName: string) => { index: number; reader: number }): Told[] {
    return [...this.#entries.values()].map(({ definition, index }) => {
      const { settings, ports, mirror } = definition;
      const found = ports.map(({ name }) => find(name));
      return {
        worker: found[0]?.reader ?? 0,
        command: {
          do: 'switch',
          index,
          settings,
          ports: found.map((port) => port.index),
          mirror: find(mirror.name).index,
        },
      };
    });
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
    return entry.table.list(nowNs).map(({ mac, vlan, port, seenNs }) => ({
      mac,
      vlan,
      port: ports[port]!.name,
      ageNs: Math.max(0, nowNs - seenNs),
    }));
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
