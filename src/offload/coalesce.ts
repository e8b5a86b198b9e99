/**
 * Which segments may be joined to a super-frame although they did not come as one: as generic receive offload decides
 * it (tcp_gro_receive() and inet_gro_receive() of Linux, net/ipv4/). Cut again, the result is the same frames, so
 * only such segments are joined as follow each other in sequence and IP identification and differ in nothing else but
 * lengths, checksums, and FIN and PSH at the end.
 */
import { addWords, fold } from './checksum.ts';
import { networkOffset, pseudoHeader, runBytes, type SuperFrame } from './super-frame.ts';
import { GSO_ECN, GSO_TCPV4, GSO_TCPV6 } from './virtio-net.ts';

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const PROTOCOL_TCP = 6;
/** Flags of TCP: those that may stand at the end of a run, at its beginning, and nowhere. */
const FIN_PSH = 0x09;
const CWR = 0x80;
const ACK = 0x10;
const SYN_RST_URG = 0x26;
/** More fragments, or not the first one. */
const FRAGMENT = 0x3fff;

/** Reads a frame that is one TCP segment with a payload, as a super-frame of one. Returns false when it is none. */
export function parseSegment(
  u8: Uint8Array,
  frame: number,
  length: number,
  ethernet: boolean,
  into: SuperFrame,
): boolean {
  const network = ethernet ? networkOffset(u8, frame, length) : 0;
  if (network < 0 || network + IPV4_HEADER + TCP_HEADER >= length) return false;
  const ip = frame + network;
  const isIPv6 = u8[ip]! >>> 4 === 6;
  if (u8[ip + (isIPv6 ? 6 : 9)] !== PROTOCOL_TCP) return false;
  if (ethernet && readU16(u8, ip - 2) !== (isIPv6 ? 0x86dd : 0x0800)) return false;
  const networkBytes = isIPv6 ? IPV6_HEADER : (u8[ip]! & 0xf) * 4;
  const transport = network + networkBytes;
  if (transport + TCP_HEADER >= length || (!isIPv6 && (u8[ip]! >>> 4 !== 4 || networkBytes < IPV4_HEADER)))
    return false;
  const packetBytes = isIPv6 ? IPV6_HEADER + readU16(u8, ip + 4) : readU16(u8, ip + 2);
  const headerBytes = transport + (u8[frame + transport + 12]! >>> 4) * 4;
  if (network + packetBytes !== length || headerBytes < transport + TCP_HEADER || headerBytes >= length)
    return false;
  into.headerBytes = headerBytes;
  into.payloadBytes = length - headerBytes;
  into.segmentBytes = into.payloadBytes;
  into.segments = 1;
  into.network = network;
  into.transport = transport;
  into.isIPv6 = isIPv6;
  into.isTcp = true;
  const ecn = (u8[frame + transport + 13]! & CWR) === 0 ? 0 : GSO_ECN;
  into.gsoType = (isIPv6 ? GSO_TCPV6 : GSO_TCPV4) | ecn;
  return true;
}

/** Whether others may follow segments of such headers at all. */
export function mayGoOn(
  u8: Uint8Array,
  frame: number,
  { isTcp, isIPv6, network, transport }: SuperFrame,
): boolean {
  if (!isTcp || (u8[frame + transport + 13]! & (ACK | SYN_RST_URG)) !== ACK) return false;
  return isIPv6 || (readU16(u8, frame + network + 6) & FRAGMENT) === 0;
}

/**
 * Whether segment `index` of the super-frame at `next` is the one after `count` segments of `bytes` payload, which
 * start with segment `first` of the super-frame at `frame`.
 */
export function goesOn(
  u8: Uint8Array,
  frame: number,
  shape: SuperFrame,
  first: number,
  count: number,
  bytes: number,
  next: number,
  nextShape: SuperFrame,
  index: number,
): boolean {
  const { headerBytes, network, transport, isIPv6, segmentBytes } = shape;
  if (nextShape.headerBytes !== headerBytes || nextShape.transport !== transport) return false;
  if (!nextShape.isTcp || nextShape.network !== network || nextShape.isIPv6 !== isIPv6) return false;
  if (runBytes(nextShape, index, 1) > segmentBytes) return false;
  const sequence = readU32(u8, frame + transport + 4) + first * segmentBytes + bytes;
  const nextSequence = readU32(u8, next + transport + 4) + index * nextShape.segmentBytes;
  if (sequence >>> 0 !== nextSequence >>> 0) return false;
  if (!isIPv6) {
    const distance = readU16(u8, next + network + 4) + index - readU16(u8, frame + network + 4) - first;
    if ((distance & 0xffff) !== (count & 0xffff)) return false;
  }
  const flags = transport + 13;
  const nextFlags = u8[next + flags]!;
  if (((u8[frame + flags]! ^ nextFlags) & ~(FIN_PSH | CWR)) !== 0) return false;
  if ((nextFlags & CWR) !== 0 && index === 0) return false;
  // Nothing else may differ. Of the network header lengths, identification and checksum were seen to.
  const changing = isIPv6 ? 4 : 2;
  if (!isSame(u8, frame, next, 0, network + changing)) return false;
  if (!isSame(u8, frame, next, network + 6, network + (isIPv6 ? IPV6_HEADER : 10))) return false;
  if (!isSame(u8, frame, next, network + (isIPv6 ? IPV6_HEADER : 12), transport + 4)) return false;
  if (!isSame(u8, frame, next, transport + 8, flags)) return false;
  if (!isSame(u8, frame, next, transport + 14, transport + 16)) return false;
  return isSame(u8, frame, next, transport + 18, headerBytes);
}

/** Whether the checksums of a segment hold: the IPv4 header's, and TCP's unless that is yet to be completed. */
export function isSound(u8: Uint8Array, frame: number, shape: SuperFrame, isPartial: boolean): boolean {
  const { network, transport, isIPv6, headerBytes, payloadBytes } = shape;
  const ip = frame + network;
  if (!isIPv6 && fold(addWords(u8, ip, frame + transport, 0)) !== 0xffff) return false;
  if (isPartial) return true;
  const bytes = headerBytes - transport + payloadBytes;
  const sum = pseudoHeader(u8, ip, shape, bytes);
  return fold(addWords(u8, frame + transport, frame + transport + bytes, sum)) === 0xffff;
}

function isSame(u8: Uint8Array, a: number, b: number, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (u8[a + i] !== u8[b + i]) return false;
  return true;
}

function readU16(u8: Uint8Array, at: number): number {
  return (u8[at]! << 8) | u8[at + 1]!;
}

function readU32(u8: Uint8Array, at: number): number {
  return readU16(u8, at) * 0x10000 + readU16(u8, at + 2);
}
