/**
 * Super-frames: frames of up to 64 KiB that stand for a row of segments, with a virtio_net_hdr that says how to cut
 * them. parseSuperFrame() checks one; writeHeaders() makes the headers of any run of its segments, one alone or many
 * that go on as a smaller super-frame. Payload is not touched: a run's payload is a range of the super-frame's.
 *
 * The fields follow tcp_gso_segment(), __udp_gso_segment() and inet_gso_segment() of Linux (net/ipv4/).
 */
import { addWords, fold, storeChecksum } from './checksum.ts';
import {
  clearVnetHeader,
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  NEEDS_CHECKSUM,
  readU16,
  VNET_CHECKSUM_OFFSET,
  VNET_CHECKSUM_START,
  VNET_FLAGS,
  VNET_GSO_SIZE,
  VNET_GSO_TYPE,
  VNET_HEADER_LENGTH,
  writeU16,
} from './virtio-net.ts';

/** Where things are in a super-frame; offsets are from the frame's first byte. Filled by parseSuperFrame(). */
export type SuperFrame = {
  /** Link, network and transport header together. */
  headerBytes: number;
  payloadBytes: number;
  /** Payload of each segment but the last, and how many there are. */
  segmentBytes: number;
  segments: number;
  network: number;
  transport: number;
  isIPv6: boolean;
  isTcp: boolean;
  /** gso_type with GSO_ECN. */
  gsoType: number;
};

export function createSuperFrame(): SuperFrame {
  return {
    headerBytes: 0,
    payloadBytes: 0,
    segmentBytes: 0,
    segments: 0,
    network: 0,
    transport: 0,
    isIPv6: false,
    isTcp: false,
    gsoType: GSO_NONE,
  };
}

/** Headers are no longer than this; Linux's own limit for what a device may ask for is similar. */
export const MAX_HEADER_BYTES = 512;
/**
 * Nor are there more segments: Linux sends none of less than 36 bytes (TCP_MIN_SND_MSS without time stamps), 64 KiB of
 * which are 1,821. A node that asks for segments of one byte would keep a worker from all others for a third of a second.
 */
export const MAX_SEGMENTS = 2048;

const ETHERNET = 14;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const TCP_CHECKSUM = 16;
const UDP_HEADER = 8;
const UDP_CHECKSUM = 6;
const TCP_FIN_PSH = 0x09;
const TCP_CWR = 0x80;

/** Whether the virtio_net_hdr at `header` says that its frame is to be cut. */
export function isSuperFrame(u8: Uint8Array, header: number): boolean {
  return u8[header + VNET_GSO_TYPE] !== GSO_NONE;
}

/**
 * Reads and checks a super-frame.
 *
 * @param header byte offset of its virtio_net_hdr @param frame of its first byte @param length of the frame in bytes
 * @param ethernet whether it starts with an Ethernet header, else with an IP header
 * @returns false when it is not what its header says; `into` is not to be used then
 */
export function parseSuperFrame(
  u8: Uint8Array,
  header: number,
  frame: number,
  length: number,
  ethernet: boolean,
  into: SuperFrame,
): boolean {
  const gsoType = u8[header + VNET_GSO_TYPE]!;
  const kind = gsoType & ~GSO_ECN;
  const segmentBytes = readU16(u8, header + VNET_GSO_SIZE);
  const transport = readU16(u8, header + VNET_CHECKSUM_START);
  const network = ethernet ? networkOffset(u8, frame, length) : 0;
  // Whoever leaves the cutting to others leaves the checksum as well: so the transport header is known.
  if ((u8[header + VNET_FLAGS]! & NEEDS_CHECKSUM) === 0 || segmentBytes === 0 || network < 0) return false;
  const isTcp = kind === GSO_TCPV4 || kind === GSO_TCPV6;
  if (!isTcp && kind !== GSO_UDP_L4) return false;
  const transportBytes = isTcp ? TCP_HEADER : UDP_HEADER;
  if (transport + transportBytes > length || network + IPV4_HEADER > length) return false;
  const isIPv6 = u8[frame + network]! >>> 4 === 6;
  if (!isNetworkHeader(u8, frame + network, transport - network, isIPv6, isTcp)) return false;
  if (isTcp && isIPv6 !== (kind === GSO_TCPV6)) return false;
  const headerBytes = transport + (isTcp ? (u8[frame + transport + 12]! >>> 4) * 4 : UDP_HEADER);
  if (headerBytes < transport + transportBytes || headerBytes >= length || headerBytes > MAX_HEADER_BYTES)
    return false;
  const payloadBytes = length - headerBytes;
  const segments = Math.ceil(payloadBytes / segmentBytes);
  if (segments > MAX_SEGMENTS) return false;
  into.headerBytes = headerBytes;
  into.payloadBytes = payloadBytes;
  into.segmentBytes = segmentBytes;
  into.segments = segments;
  into.network = network;
  into.transport = transport;
  into.isIPv6 = isIPv6;
  into.isTcp = isTcp;
  into.gsoType = gsoType;
  return true;
}

/** Behind the Ethernet header and up to two VLAN tags; -1 when the frame is too short. */
export function networkOffset(u8: Uint8Array, frame: number, length: number): number {
  let at = ETHERNET;
  for (let tags = 0; tags < 2 && at <= length; tags++, at += 4) {
    const type = (u8[frame + at - 2]! << 8) | u8[frame + at - 1]!;
    if (type !== ETHERTYPE_VLAN && type !== ETHERTYPE_QINQ) break;
  }
  return at < length ? at : -1;
}

/** Whether an IP header of `bytes` with its options or extension headers stands there, and leads to the transport. */
function isNetworkHeader(
  u8: Uint8Array,
  at: number,
  bytes: number,
  isIPv6: boolean,
  isTcp: boolean,
): boolean {
  if (isIPv6) return bytes >= IPV6_HEADER;
  const protocol = isTcp ? PROTOCOL_TCP : PROTOCOL_UDP;
  return (
    u8[at]! >>> 4 === 4 && bytes >= IPV4_HEADER && (u8[at]! & 0xf) * 4 === bytes && u8[at + 9] === protocol
  );
}

/** Bytes of payload in the `count` segments from `first` on. */
export function runBytes(shape: SuperFrame, first: number, count: number): number {
  return Math.min(count * shape.segmentBytes, shape.payloadBytes - first * shape.segmentBytes);
}

/** Where in the super-frame the payload of segment `first` starts. */
export function payloadOffset(shape: SuperFrame, first: number): number {
  return shape.headerBytes + first * shape.segmentBytes;
}

/**
 * Writes the headers for the `count` segments from `first` on: `headerBytes` bytes at `to`, from those of the
 * super-frame at `frame`. The transport checksum is left as in the super-frame, the sum of the pseudo header, for
 * writeVnetHeader() to say so or completeRun() to complete.
 */
export function writeHeaders(
  u8: Uint8Array,
  frame: number,
  shape: SuperFrame,
  first: number,
  count: number,
  to: number,
): void {
  writeRunHeaders(
    u8,
    frame,
    shape,
    first,
    runBytes(shape, first, count),
    endFlags(u8, frame, shape, first + count - 1),
    to,
  );
}

/**
 * The same for a run that may go on beyond its super-frame: `payloadBytes` long, with `flags` at its end, those that
 * endFlags() says of its last segment.
 */
export function writeRunHeaders(
  u8: Uint8Array,
  frame: number,
  shape: SuperFrame,
  first: number,
  payloadBytes: number,
  flags: number,
  to: number,
): void {
  const { network, transport, isIPv6, isTcp, headerBytes } = shape;
  u8.copyWithin(to, frame, frame + headerBytes);
  const transportBytes = headerBytes - transport + payloadBytes;
  const ip = to + network;
  if (isIPv6) {
    storeU16(u8, ip + 4, transport - network - IPV6_HEADER + transportBytes);
  } else {
    storeU16(u8, ip + 2, transport - network + transportBytes);
    storeU16(u8, ip + 4, ((u8[ip + 4]! << 8) | u8[ip + 5]!) + first);
    u8.fill(0, ip + 10, ip + 12);
    storeChecksum(u8, ip + 10, addWords(u8, ip, to + transport, 0));
  }
  const l4 = to + transport;
  if (isTcp) patchTcp(u8, l4, first * shape.segmentBytes, flags);
  else storeU16(u8, l4 + 4, transportBytes);
  storeU16(u8, l4 + checksumOffset(shape), fold(pseudoHeader(u8, ip, shape, transportBytes)));
}

/** Which of FIN and PSH a segment has: they are the last one's. */
export function endFlags(u8: Uint8Array, frame: number, shape: SuperFrame, index: number): number {
  if (!shape.isTcp || index < shape.segments - 1) return 0;
  return u8[frame + shape.transport + 13]! & TCP_FIN_PSH;
}

/** Sequence number and flags: FIN and PSH are those of the end, CWR the first segment's (RFC 3168). */
function patchTcp(u8: Uint8Array, tcp: number, skippedBytes: number, flags: number): void {
  const sequence =
    ((u8[tcp + 4]! << 24) | (u8[tcp + 5]! << 16) | (u8[tcp + 6]! << 8) | u8[tcp + 7]!) + skippedBytes;
  storeU16(u8, tcp + 4, Math.floor(sequence / 0x10000));
  storeU16(u8, tcp + 6, sequence);
  u8[tcp + 13] = (u8[tcp + 13]! & ~TCP_FIN_PSH) | flags;
  if (skippedBytes > 0) u8[tcp + 13]! &= ~TCP_CWR;
}

/** Sum of addresses, protocol and length, as TCP and UDP include it in their checksums. */
export function pseudoHeader(
  u8: Uint8Array,
  ip: number,
  { isIPv6, isTcp }: SuperFrame,
  bytes: number,
): number {
  const sum = (isTcp ? PROTOCOL_TCP : PROTOCOL_UDP) + bytes;
  return isIPv6 ? addWords(u8, ip + 8, ip + 40, sum) : addWords(u8, ip + 12, ip + 20, sum);
}

function checksumOffset({ isTcp }: SuperFrame): number {
  return isTcp ? TCP_CHECKSUM : UDP_CHECKSUM;
}

/** The virtio_net_hdr of a run whose headers writeHeaders() made: a super-frame if there are several segments. */
export function writeVnetHeader(u8: Uint8Array, shape: SuperFrame, count: number, to: number): void {
  clearVnetHeader(u8, to);
  u8[to + VNET_FLAGS] = NEEDS_CHECKSUM;
  writeU16(u8, to + VNET_HEADER_LENGTH, shape.headerBytes);
  writeU16(u8, to + VNET_CHECKSUM_START, shape.transport);
  writeU16(u8, to + VNET_CHECKSUM_OFFSET, checksumOffset(shape));
  if (count === 1) return;
  u8[to + VNET_GSO_TYPE] = shape.gsoType;
  writeU16(u8, to + VNET_GSO_SIZE, shape.segmentBytes);
}

/**
 * Cuts one segment out, complete: headers, payload and checksums at `to`. Returns its length.
 * What a descriptor sees of a super-frame, and what goes to a device that takes none.
 */
export function cutSegment(
  u8: Uint8Array,
  frame: number,
  shape: SuperFrame,
  index: number,
  to: number,
): number {
  writeHeaders(u8, frame, shape, index, 1, to);
  const bytes = runBytes(shape, index, 1);
  const payload = frame + payloadOffset(shape, index);
  const { headerBytes, transport, isTcp } = shape;
  u8.copyWithin(to + headerBytes, payload, payload + bytes);
  const field = to + transport + checksumOffset(shape);
  storeChecksum(u8, field, addWords(u8, to + transport, to + headerBytes + bytes, 0));
  // A UDP checksum of zero would mean that there is none (RFC 768).
  if (!isTcp && u8[field] === 0 && u8[field + 1] === 0) u8.fill(0xff, field, field + 2);
  return headerBytes + bytes;
}

function storeU16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 8;
  u8[at + 1] = value;
}
