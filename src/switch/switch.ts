/**
 * A learning switch with VLANs (IEEE 802.1Q: the relay of clause 8, learning per VLAN), or a hub: which ports a frame
 * goes to, and what becomes of its tag there. Pure: the time comes in with each frame, the memory from outside, and
 * nothing is allocated per frame. Who moves the frame is engine/bridge.ts.
 *
 * There is no spanning tree: switches must not form a loop. Its frames pass from node to node, as through a Linux
 * bridge with STP off; the other addresses that bridges keep to themselves are not passed on.
 */
import {
  FILTERED,
  FLOODED,
  FORWARDED,
  LEARNED,
  MOVED,
  NOT_LEARNED,
  SWITCH_FIELDS,
  VLAN_REFUSED,
} from './counters.ts';
import { ELSEWHERE, KNOWN, type MacTable, NO_ROOM, UNKNOWN } from './mac-table.ts';
import type { PortVlans, SwitchSettings } from './settings.ts';
import { isTagged, KEEP, POP, PUSH, RENUMBER, type TagChange, tagVlan } from './vlan.ts';

const ETHERNET_HEADER = 14;
/** 01-80-C2-00-00-00 to -0F: not relayed by bridges (IEEE 802.1Q, table 8-1), but for the first, spanning tree's. */
const RESERVED_HIGH = 0x0180;
const FIRST_RESERVED = 0xc200_0001;
const LAST_RESERVED = 0xc200_000f;

/** What a port is to a VLAN. */
const NO_MEMBER = 0;
const UNTAGGED = 1;
const TAGGED = 2;
const VLANS = 4096;

export class Switch {
  /** The ports that the frame goes to which was given last: as many as forward() returned. */
  readonly targets: Int32Array;
  /** Its VLAN; 0 on a switch without. */
  vlan = 0;
  #hasTag = false;
  readonly #isHub: boolean;
  readonly #table: MacTable;
  /** See counters.ts. */
  readonly #counters: Float64Array;
  /** Of each port: what it is to each VLAN. None on a switch without VLANs. */
  readonly #members: readonly Uint8Array[] | undefined;
  /** Of each port: the VLAN of frames without a tag; 0 when it takes none. */
  readonly #untagged: Int32Array;
  readonly #ports: number;

  constructor({ kind, ports }: SwitchSettings, table: MacTable, counters: Float64Array) {
    if (counters.length < SWITCH_FIELDS) throw new RangeError('the record of a switch is too short');
    this.targets = new Int32Array(ports.length);
    this.#isHub = kind === 'hub';
    this.#table = table;
    this.#counters = counters;
    const vlans = ports.flatMap((port) => port.vlans ?? []);
    this.#members = vlans.length === 0 ? undefined : vlans.map(membership);
    this.#untagged = Int32Array.from(ports, (port) => port.vlans?.untagged ?? 0);
    this.#ports = ports.length;
  }

  /**
   * Decides about a frame that came in at a port: returns to how many ports it goes, which are the first of `targets`.
   * The frame, or at least its header, stands in `bytes` from `at` on.
   */
  forward(port: number, bytes: Uint8Array, at: number, length: number, nowNs: number): number {
    const counters = this.#counters;
    if (length < ETHERNET_HEADER) return this.#none(FILTERED);
    if (this.#isHub) return this.#flood(port);
    const high = (bytes[at]! << 8) | bytes[at + 1]!;
    const low = word(bytes, at + 2);
    const isReserved = high === RESERVED_HIGH && low >= FIRST_RESERVED && low <= LAST_RESERVED;
    // No station is a group.
    if (isReserved || (bytes[at + 6]! & 1) !== 0) return this.#none(FILTERED);
    if (!this.#classify(port, bytes, at, length)) return this.#none(VLAN_REFUSED);
    this.#learn((bytes[at + 6]! << 8) | bytes[at + 7]!, word(bytes, at + 8), port, nowNs);
    if ((bytes[at]! & 1) !== 0) return this.#flood(port);
    const target = this.#table.find(this.vlan, high, low, nowNs);
    if (target === UNKNOWN) return this.#flood(port);
    if (target === port) return this.#none(FILTERED);
    counters[FORWARDED]!++;
    this.targets[0] = target;
    return 1;
  }

  /** A port has lost its carrier: what was learned there is somewhere else, or nowhere. */
  forget(port: number): void {
    this.#table.forget(port);
  }

  /** What becomes of that frame's tag where it leaves by a port. */
  tagChange(port: number, bytes: Uint8Array, at: number): TagChange {
    if (this.#members === undefined) return KEEP;
    const isTaggedThere = this.#members[port]![this.vlan] === TAGGED;
    if (!this.#hasTag) return isTaggedThere ? PUSH : KEEP;
    if (!isTaggedThere) return POP;
    return tagVlan(bytes, at) === this.vlan ? KEEP : RENUMBER;
  }

  /** Finds out the frame's VLAN. Returns whether the port takes it. */
  #classify(port: number, bytes: Uint8Array, at: number, length: number): boolean {
    this.vlan = 0;
    const members = this.#members;
    if (members === undefined) return true;
    this.#hasTag = isTagged(bytes, at, length);
    const named = this.#hasTag ? tagVlan(bytes, at) : 0;
    this.vlan = named === 0 ? this.#untagged[port]! : named;
    return members[port]![this.vlan] !== NO_MEMBER;
  }

  #learn(high: number, low: number, port: number, nowNs: number): void {
    const learned = this.#table.learn(this.vlan, high, low, port, nowNs);
    if (learned === KNOWN) return;
    this.#counters[learned === NO_ROOM ? NOT_LEARNED : learned === ELSEWHERE ? MOVED : LEARNED]!++;
  }

  #flood(port: number): number {
    const { targets } = this;
    const members = this.#members;
    let count = 0;
    for (let each = 0; each < this.#ports; each++) {
      if (each === port || (members !== undefined && members[each]![this.vlan] === NO_MEMBER)) continue;
      targets[count++] = each;
    }
    this.#counters[FLOODED]!++;
    return count;
  }

  #none(counter: number): number {
    this.#counters[counter]!++;
    return 0;
  }
}

/** The place of VLAN 0 stays empty: a frame without tag has no VLAN where a port takes none. */
function membership({ untagged, tagged }: PortVlans): Uint8Array {
  const members = new Uint8Array(VLANS);
  for (const vlan of tagged) members[vlan] = TAGGED;
  if (untagged !== null) members[untagged] = UNTAGGED;
  return members;
}

/** Four bytes as an unsigned number. */
function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
