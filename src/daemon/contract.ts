/**
 * What the control plane may ask of a running emulator. control/, metrics/ and capture/ are written against these
 * types; daemon/emulator.ts implements them.
 */
import type { AttachOptions, DescriptorHandle } from '../bpf/types.ts';
import type { Histogram } from '../engine/histogram.ts';
import type { Lab } from '../lab/model.ts';
import type { OverloadCause } from '../link/overload.ts';
import type { DropReason, LinkSettings } from '../link/settings.ts';
import type { PortSettings } from '../switch/settings.ts';

export type Counters = { readonly frames: number; readonly bytes: number };

export type InterfaceStatus = {
  readonly name: string;
  readonly kind: string;
  /** Link type as in pcap: 1 is EN10MB, 101 is RAW. */
  readonly linkType: number;
  readonly mtu: number;
  /** Whether its device leaves segmentation and checksums to taplab. */
  readonly offload: boolean;
  /** The workers that read its device, one for each of its queues, and what they have read. */
  readonly readers: readonly { readonly worker: number; readonly receive: Counters }[];
  readonly mac: string;
  readonly addresses: readonly string[];
  /** False once the device is gone or has failed. */
  readonly up: boolean;
  /** The process that its node has joined from; null when it has not, or from where processes have no number here. */
  readonly process: number | null;
  /** What the node sent and taplab read. */
  readonly receive: Counters;
  /** What taplab wrote to the node. */
  readonly transmit: Counters;
  readonly descriptors: number;
  /** What runs the filters now: compiled together to WebAssembly, or the interpreter until that is ready. */
  readonly filterEngine: 'wasm' | 'interpreter';
};

export type DirectionStatus = {
  readonly from: string;
  readonly to: string;
  /** The workers that carry it: one, unless it starts from several queues. */
  readonly workers: readonly number[];
  readonly settings: LinkSettings;
  /** What the settings come to now, while a schedule or Markov states change them; null when nothing does. */
  readonly now: LinkSettings | null;
  /** Frames offered to the link, and frames that left it at the other end. */
  readonly offered: Counters;
  readonly delivered: Counters;
  /** Frames that were held back by delay or rate before they were delivered. */
  readonly delayed: number;
  /** Copies that the link made. */
  readonly duplicated: number;
  readonly drops: Readonly<Record<DropReason, number>>;
  readonly queueBytes: number;
  readonly queueFrames: number;
  /** Frames in the link now: in the queue or under way. */
  readonly inFlight: number;
  /** How long after the moment that delay and rate asked for frames were delivered. */
  readonly delayError: Histogram;
  /** Why the emulator itself is the bottleneck of the direction, while it is; empty otherwise. See link/overload.ts. */
  readonly overloaded: readonly OverloadCause[];
  /** In the order of the settings' rules. */
  readonly rules: readonly RuleStatus[];
};

export type RuleStatus = {
  readonly match: string;
  /** Frames that its filter matched. */
  readonly matched: Counters;
  /** How many of those it dropped itself. */
  readonly dropped: number;
};

export type LinkStatus = {
  readonly name: string;
  readonly endpoints: readonly [string, string];
  readonly forward: DirectionStatus;
  readonly reverse: DirectionStatus;
};

/** A data-plane thread. All counts are since the lab came up. */
export type WorkerStatus = {
  readonly index: number;
  /** False once it has ended; the lab is going down then. */
  readonly alive: boolean;
  /** Time not spent waiting for frames, deadlines and commands, up to the last time it began to wait. */
  readonly busyNs: number;
  /** Time in which it waited on the clock for links with high precision: not busy, but of a core. */
  readonly spinNs: number;
  /** How often it has waited. */
  readonly iterations: number;
  /** How late timers ran: the earliest one, each time any was due. */
  readonly loopLag: Histogram;
  /** Frame slots, and those that were in use when it last began to wait. */
  readonly slots: number;
  readonly slotsUsed: number;
  /** Frames shown to descriptors; how many of them were timed, one in 64, and what those took together. */
  readonly taps: number;
  readonly timedTaps: number;
  readonly timedTapsNs: number;
};

export type SwitchStatus = {
  readonly name: string;
  readonly kind: 'switch' | 'hub';
  /** How long after the last frame from it an address is forgotten. */
  readonly ageingNs: number;
  /** The interface whose descriptors see what passes the mirrored ports. */
  readonly mirror: string;
  readonly ports: readonly SwitchPortStatus[];
  /** Addresses that are known now, and how many can be. */
  readonly addresses: number;
  readonly addressRoom: number;
  /** Frames, each counted in one of these four: sent to one port, to all of its VLAN, to none, refused for its VLAN. */
  readonly forwarded: number;
  readonly flooded: number;
  readonly filtered: number;
  readonly vlanRefused: number;
  /** Addresses: learned, known at another port until then, not learned for want of room. */
  readonly learned: number;
  readonly moved: number;
  readonly notLearned: number;
};

export type SwitchPortStatus = PortSettings & {
  /** The interface that the port is. */
  readonly name: string;
  /** The link that leads to it. */
  readonly link: string | null;
};

/** An address that a switch has learned. */
export type AddressStatus = {
  readonly mac: string;
  /** 0 on a switch without VLANs. */
  readonly vlan: number;
  /** The interface that the port is. */
  readonly port: string;
  /** How long ago its last frame came. */
  readonly ageNs: number;
};

/** A change of a link: what is given replaces, what is not stays. */
export type LinkChange = {
  readonly forward?: Partial<LinkSettings>;
  readonly reverse?: Partial<LinkSettings>;
};

export type NamedLinkChange = LinkChange & { readonly name: string };
export type ChangedLink = { readonly before: LinkStatus; readonly after: LinkStatus };

export interface EmulatorControl {
  readonly lab: Lab;
  readonly startedAt: Date;
  interfaces(): InterfaceStatus[];
  /** Undefined when there is none of that name. */
  interface(name: string): InterfaceStatus | undefined;
  workers(): WorkerStatus[];
  links(): LinkStatus[];
  link(name: string): LinkStatus | undefined;
  /**
   * Changes links, all or none. Takes effect between two frames, for frames that arrive later, in each worker for all
   * links at one moment; returns once every worker has it. The results are in the order of the changes. Throws
   * LabChangeError: ENXIO no such link, EINVAL, ENOSPC too many at once.
   */
  setLinks(changes: readonly NamedLinkChange[]): Promise<ChangedLink[]>;
  /**
   * Has a worker carry both directions of a link from now on; frames under way keep their deadlines and order. Throws
   * LabChangeError: ENXIO no such link, EINVAL no such worker or a link that cannot go there, EBUSY while it still goes, and
   * while decisions are recorded.
   */
  moveLink(name: string, worker: number): Promise<LinkStatus>;
  /** Switches and hubs. */
  switches(): SwitchStatus[];
  switch(name: string): SwitchStatus | undefined;
  /** What a switch has learned; undefined when there is none of that name. */
  switchAddresses(name: string): AddressStatus[] | undefined;
  /** O(1) in the number of interfaces. Throws BpfError (ENXIO no such interface, ENOBUFS, EINVAL). */
  attach(interfaceName: string, options: AttachOptions): Promise<DescriptorHandle>;
  descriptor(id: number): DescriptorHandle | undefined;
  descriptors(): DescriptorHandle[];
}

/** A change of a running lab that cannot be made; nothing has changed then. */
export class LabChangeError extends Error {
  readonly code: 'EEXIST' | 'ENXIO' | 'EBUSY' | 'EINVAL' | 'ENOSPC' | 'ENETDOWN';

  constructor(code: LabChangeError['code'], message: string) {
    super(message);
    this.name = 'LabChangeError';
    this.code = code;
  }
}

export type {
  AttachOptions,
  DescriptorHandle,
  DescriptorStatus,
  HeldBatch,
  NamedProgram,
  Owner,
  ReadOptions,
} from '../bpf/types.ts';
export {
  BpfError,
  CONTROL_OWNER,
  DEFAULT_BUFFER_BYTES,
  DEFAULT_READ_TIMEOUT_MS,
  MAX_BUFFER_BYTES,
  MIN_BUFFER_BYTES,
} from '../bpf/types.ts';
export type { Histogram } from '../engine/histogram.ts';
