/**
 * Switches and hubs of a lab file, as the rest of the program sees them: each port is an interface, `SWITCH:PORT`, that
 * the switch is behind. A port that names an interface is joined with it by a link, `SWITCH/INTERFACE`, which is a
 * link like any other.
 */
import { parseTime } from '../link/units.ts';
import { DEFAULT_VLAN, type PortVlans } from '../switch/settings.ts';
import type { LabInterface, LabSwitch } from './model.ts';
import { derivedMac } from './names.ts';
import type { LabInput } from './schema/lab.ts';
import type { LinkInput, SwitchPortInput } from './schema/links.ts';

/** The device name of the interface at which everything that passes a switch can be seen. */
export const MIRROR = 'mirror';
const DEFAULT_AGEING_NS = 300e9;

/** Ports as a file has them, the short form written out. */
type Port = Exclude<SwitchPortInput, string>;

/** A switch or a hub, as a file has it. */
export type SwitchEntry = {
  readonly section: 'switches' | 'hubs';
  readonly name: string;
  readonly ageing: string | undefined;
  readonly ports: readonly Port[];
};

/** All switches and hubs of a file that the schema accepts. */
export function switchEntries(input: LabInput): SwitchEntry[] {
  const long = (port: SwitchPortInput): Port => (typeof port === 'string' ? { interface: port } : port);
  return [
    ...Object.entries(input.switches ?? {}).map(
      ([name, { ageing, ports }]): SwitchEntry => ({
        section: 'switches',
        name,
        ageing,
        ports: ports.map(long),
      }),
    ),
    ...Object.entries(input.hubs ?? {}).map(
      ([name, { ports }]): SwitchEntry => ({
        section: 'hubs',
        name,
        ageing: undefined,
        ports: ports.map(long),
      }),
    ),
  ];
}

/** Name of the interface that a port is; ports without a name are numbered from 1. */
export function portName(switchName: string, port: { readonly name?: unknown }, index: number): string {
  return `${switchName}:${typeof port.name === 'string' ? port.name : index + 1}`;
}

/** The links of the ports that name an interface. */
export function portLinks(entries: readonly SwitchEntry[]): LinkInput[] {
  return entries.flatMap(({ name, ports }) =>
    ports.flatMap((port, i): LinkInput[] => {
      if (port.interface === undefined) return [];
      return [
        {
          name: `${name}/${port.interface}`,
          endpoints: [port.interface, portName(name, port, i)],
          impair: port.impair,
          forward: port.ingress,
          reverse: port.egress,
        },
      ];
    }),
  );
}

/** @param mtu of the ports: frames that any interface may send have to pass */
export function makeSwitches(lab: string, entries: readonly SwitchEntry[], mtu: number): LabSwitch[] {
  return entries.map(({ section, name, ageing, ports }): LabSwitch => {
    const kind = section === 'hubs' ? 'hub' : 'switch';
    const hasVlans = ports.some((port) => port.vlan !== undefined || port.trunk !== undefined);
    const labInterface = (interfaceName: string): LabInterface => ({
      name: interfaceName,
      node: name,
      device: interfaceName.slice(name.length + 1),
      kind,
      addresses: [],
      mac: derivedMac(lab, interfaceName),
      mtu,
    });
    return {
      name,
      ports: ports.map((port, i) => labInterface(portName(name, port, i))),
      mirror: labInterface(`${name}:${MIRROR}`),
      settings: {
        kind,
        ageingNs: ageing === undefined ? DEFAULT_AGEING_NS : parseTime(ageing),
        ports: ports.map((port) => ({
          vlans: hasVlans ? vlansOf(port) : null,
          mirrored: port.mirror ?? true,
        })),
      },
    };
  });
}

function vlansOf({ vlan, trunk, native }: Port): PortVlans {
  if (trunk === undefined) return { untagged: vlan ?? DEFAULT_VLAN, tagged: [] };
  return { untagged: native ?? null, tagged: trunk.filter((each) => each !== native) };
}
