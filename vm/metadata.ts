/**
 * What the `linux` dialect can load that is not in the packet: the ancillary loads (SKF_AD_*) and the headers'
 * places (SKF_NET_OFF, SKF_LL_OFF), after linux/filter.h and net/core/filter.c.
 *
 * The engines read metadata as METADATA_WORDS packed int32 words: word n is what `ld [SKF_AD_OFF + 4 * n]` loads.
 * The two netlink loads do not exist here; the first of their places holds the network header's offset.
 */

/** Where ancillary loads begin in the space of absolute offsets. */
export const SKF_AD_OFF: number = 0xfffff000;
/** Offsets from here on count from the network header. */
export const SKF_NET_OFF: number = 0xfff00000;
/** Offsets from here to SKF_NET_OFF count from the link header, the packet's first byte. */
export const SKF_LL_OFF: number = 0xffe00000;

/** Facts about a frame beside its bytes; what is not given is 0. */
export type FrameMetadata = {
  /** EtherType of the payload: `proto`. */
  readonly protocol?: number | undefined;
  /** 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 sent by this host: `type`. */
  readonly packetType?: number | undefined;
  /** Index of the interface, from 1: `ifidx`. With 0 (no interface) loads of it and of hardwareType reject. */
  readonly interfaceIndex?: number | undefined;
  /** Packet mark: `mark`. */
  readonly mark?: number | undefined;
  /** Queue the frame came in by: `queue`. */
  readonly queue?: number | undefined;
  /** ARPHRD_ value of the interface: `hatype`. */
  readonly hardwareType?: number | undefined;
  /** Flow hash: `rxhash`. */
  readonly receiveHash?: number | undefined;
  /** Number of the CPU: `cpu`. */
  readonly cpu?: number | undefined;
  /** VLAN tag control information that was taken off the frame: `vlan_tci`. */
  readonly vlanTag?: number | undefined;
  /** Whether a VLAN tag was taken off: `vlan_avail`, 0 or 1. */
  readonly vlanTagPresent?: boolean | undefined;
  /** EtherType of the tag that was taken off: `vlan_tpid`. */
  readonly vlanProtocol?: number | undefined;
  /** Offset of the transport payload: `poff`. */
  readonly payloadOffset?: number | undefined;
  /** State of the generator behind `rand`; every load draws the next number from it. */
  readonly randomState?: number | undefined;
  /** Offset of the network header, to which SKF_NET_OFF refers; 14 on Ethernet. */
  readonly networkOffset?: number | undefined;
};

/** Words of packed metadata. */
export const METADATA_WORDS = 16;

/** Indices into packed metadata. Each times four is the load's offset from SKF_AD_OFF. */
export const META_PROTOCOL = 0;
export const META_PACKET_TYPE = 1;
export const META_INTERFACE_INDEX = 2;
export const META_NETWORK_OFFSET = 3;
export const META_MARK = 5;
export const META_QUEUE = 6;
export const META_HARDWARE_TYPE = 7;
export const META_RECEIVE_HASH = 8;
export const META_CPU = 9;
/** Not a word of metadata: `ld xor_x` computes A ^= X. */
export const META_XOR_X = 10;
export const META_VLAN_TAG = 11;
export const META_VLAN_TAG_PRESENT = 12;
export const META_PAYLOAD_OFFSET = 13;
export const META_RANDOM_STATE = 14;
export const META_VLAN_PROTOCOL = 15;

/** Indices that an ancillary load may name. */
const LOADABLE = 0b1111_1111_1110_0111;

/** Whether `offset` (unsigned, from SKF_AD_OFF up) is that of an ancillary load. */
export function isAncillaryOffset(offset: number): boolean {
  const index = (offset - SKF_AD_OFF) / 4;
  return index < METADATA_WORDS && Number.isInteger(index) && ((LOADABLE >> index) & 1) === 1;
}

/** Packs metadata into `words` from index `start`. */
export function packMetadata(metadata: FrameMetadata, words: Int32Array, start = 0): void {
  words.fill(0, start, start + METADATA_WORDS);
  words[start + META_PROTOCOL] = metadata.protocol ?? 0;
  words[start + META_PACKET_TYPE] = metadata.packetType ?? 0;
  words[start + META_INTERFACE_INDEX] = metadata.interfaceIndex ?? 0;
  words[start + META_NETWORK_OFFSET] = metadata.networkOffset ?? 0;
  words[start + META_MARK] = metadata.mark ?? 0;
  words[start + META_QUEUE] = metadata.queue ?? 0;
  words[start + META_HARDWARE_TYPE] = metadata.hardwareType ?? 0;
  words[start + META_RECEIVE_HASH] = metadata.receiveHash ?? 0;
  words[start + META_CPU] = metadata.cpu ?? 0;
  words[start + META_VLAN_TAG] = metadata.vlanTag ?? 0;
  words[start + META_VLAN_TAG_PRESENT] = metadata.vlanTagPresent === true ? 1 : 0;
  words[start + META_PAYLOAD_OFFSET] = metadata.payloadOffset ?? 0;
  words[start + META_RANDOM_STATE] = metadata.randomState ?? 0;
  words[start + META_VLAN_PROTOCOL] = metadata.vlanProtocol ?? 0;
}

/** The constant by which the state behind `rand` advances: mulberry32, as the wasm engine computes it too. */
export const RANDOM_INCREMENT = 0x6d2b79f5;

/** Draws the next number of `rand` and advances the state in `words`. */
export function drawRandom(words: Int32Array, start: number): number {
  const state = (words[start + META_RANDOM_STATE]! + RANDOM_INCREMENT) | 0;
  words[start + META_RANDOM_STATE] = state;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return mixed ^ (mixed >>> 14);
}

/** What a load that must reject yields instead of a value or an address; no value or address is negative. */
export const REJECTED = -1;

/**
 * The value of the ancillary load at `k` (an int32 from SKF_AD_OFF up) as an unsigned number, or REJECTED.
 * `a` and `x` are the registers, for `xor_x`.
 */
export function loadAncillary(k: number, a: number, x: number, words: Int32Array): number {
  const index = (k - (SKF_AD_OFF | 0)) >> 2;
  switch (index) {
    case META_XOR_X:
      return (a ^ x) >>> 0;
    case META_RANDOM_STATE:
      return drawRandom(words, 0) >>> 0;
    case META_INTERFACE_INDEX:
    case META_HARDWARE_TYPE:
      return words[META_INTERFACE_INDEX] === 0 ? REJECTED : words[index]! >>> 0;
    default:
      return words[index]! >>> 0;
  }
}

/**
 * Where a load of `size` bytes at the int32 address `at` reads, relative to the packet, or REJECTED:
 * `bpf_internal_load_pointer_neg_helper()` of kernel/bpf/core.c.
 */
export function resolveAddress(at: number, size: number, words: Int32Array, bufferLength: number): number {
  let resolved = at;
  if (at < 0) {
    if (at >= (SKF_NET_OFF | 0)) resolved = words[META_NETWORK_OFFSET]! + (at - (SKF_NET_OFF | 0));
    else if (at >= (SKF_LL_OFF | 0)) resolved = at - (SKF_LL_OFF | 0);
    else return REJECTED;
  }
  return resolved >= 0 && resolved + size <= bufferLength ? resolved : REJECTED;
}
