/**
 * A lab as the rest of the program sees it: validated, with every default filled in and every unit converted.
 * lab/parse.ts makes it from a lab file; nothing else does.
 */
import type { LinkSettings } from '../link/settings.ts';
import type { SwitchSettings } from '../switch/settings.ts';

/** Where an interface's frames come from. `tap`, `tun` and `tuntap2` are kernel devices; `memory` and `pcap` need no privilege. */
export type DeviceKind = 'tap' | 'tun' | 'tuntap2' | 'memory' | 'pcap';

/** What is behind an interface: a device, or a switch or hub whose port it is. */
export type InterfaceKind = DeviceKind | 'switch' | 'hub';

export type LabInterface = {
  /** `node:interface`, the name by which everything refers to it. */
  readonly name: string;
  readonly node: string;
  /** The device's name inside the node, at most 15 bytes. */
  readonly device: string;
  readonly kind: InterfaceKind;
  /** Addresses with prefix length, IPv4 or IPv6. */
  readonly addresses: readonly string[];
  /** Hardware address; derived from lab and interface name when the file gives none, so that it is the same in every run. */
  readonly mac: string;
  /** Bytes, without the Ethernet header. */
  readonly mtu: number;
  /** Of tap and tun, unless false: super-frames of up to 64 KiB and checksums left to be computed are taken as they are. */
  readonly offload?: boolean;
  /** Of tap and tun, 1 unless said: files of the device, each read by a worker of its own. Both ends of a link have as many. */
  readonly queues?: number;
  /** Of memory in place of a tun device: its frames are IP packets without a link header. */
  readonly raw?: true;
  /** For `pcap`: the capture whose frames enter here, and the one that receives what leaves. Absolute paths. */
  readonly readFile?: string;
  readonly writeFile?: string;
};

export type LabRoute = { readonly to: string; readonly via: string };

export type LabNode = {
  readonly name: string;
  readonly interfaces: readonly LabInterface[];
  readonly routes: readonly LabRoute[];
  /** Settings under /proc/sys/net inside the node, name to value. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** True when the node brings its own devices (`taplab join`): nothing is made for it, and it comes and goes. */
  readonly join?: boolean;
};

export type LabLink = {
  readonly name: string;
  /** Names of the two interfaces; `forward` is from the first to the second. */
  readonly endpoints: readonly [string, string];
  readonly forward: LinkSettings;
  readonly reverse: LinkSettings;
};

export type LabSwitch = {
  readonly name: string;
  /** The interfaces that its ports are, in the order of the settings' ports. Links lead to them as to any other. */
  readonly ports: readonly LabInterface[];
  /** The interface whose descriptors see what passes the ports; it has no link. */
  readonly mirror: LabInterface;
  readonly settings: SwitchSettings;
};

/** A change of links at a time after the lab is up. */
export type TimelineStep = {
  readonly atNs: number;
  readonly links: readonly string[];
  readonly forward: Partial<LinkSettings>;
  readonly reverse: Partial<LinkSettings>;
};

export type LabDescriptor = {
  readonly interface: string;
  /** A FILTER as on the command line: expression, `@name`, or program text; empty accepts everything. */
  readonly filter: string;
  readonly direction: 'in' | 'out' | 'inout';
  /** Absolute path of the pcapng file to write, if any. */
  readonly write?: string;
};

export type Lab = {
  readonly name: string;
  /** Every random decision follows from it. */
  readonly seed: number;
  /** Data-plane threads. */
  readonly workers: number;
  readonly nodes: readonly LabNode[];
  readonly links: readonly LabLink[];
  /** None when absent. */
  readonly switches?: readonly LabSwitch[];
  readonly descriptors: readonly LabDescriptor[];
  /** In any order. */
  readonly timeline?: readonly TimelineStep[];
  /** True when every device is `memory` or `pcap`: the lab runs on a virtual clock, with no privilege. */
  readonly virtual: boolean;
};

/** The nodes that get a namespace: not those of a virtual lab, nor those that bring their own devices. */
export function nodesToMake({ virtual, nodes }: Lab): LabNode[] {
  return virtual ? [] : nodes.filter(({ join }) => join !== true);
}

/** Whether there is a switch or hub behind an interface, and no device. */
export function isSwitchPort({ kind }: LabInterface): boolean {
  return kind === 'switch' || kind === 'hub';
}

/** The interfaces that a switch is made of. */
export function interfacesOfSwitch({ ports, mirror }: LabSwitch): LabInterface[] {
  return [...ports, mirror];
}
