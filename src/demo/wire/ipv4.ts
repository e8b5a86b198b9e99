/** IPv4 packets (RFC 791), without options and fragments when emitted. */
import type { Ipv4Address } from './address.ts';
import { checksum, sum } from './checksum.ts';

const VERSION_LENGTH = 0;
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const FLAGS_FRAGMENT = 6;
const TIME_TO_LIVE = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;
export const IPV4_HEADER = 20;

const DONT_FRAGMENT = 0x4000;
/** More fragments, or an offset: not a whole packet. */
const FRAGMENT = 0x3fff;
const DEFAULT_TIME_TO_LIVE = 64;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;

export type Ipv4Packet = {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  readonly protocol: number;
  readonly identification: number;
  readonly payload: Uint8Array;
};

/** Undefined when lengths, version or checksum are wrong, or it is a fragment. Padding behind the packet is cut. */
export function parseIpv4Packet(bytes: Uint8Array): Ipv4Packet | undefined {
  if (bytes.length < IPV4_HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const headerLength = (view.getUint8(VERSION_LENGTH) & 0x0f) * 4;
  const totalLength = view.getUint16(TOTAL_LENGTH);
  const isIpv4 = view.getUint8(VERSION_LENGTH) >>> 4 === 4;
  if (!isIpv4 || headerLength < IPV4_HEADER || totalLength < headerLength || totalLength > bytes.length) {
    return undefined;
  }
  if (checksum(sum(bytes.subarray(0, headerLength))) !== 0) return undefined;
  if ((view.getUint16(FLAGS_FRAGMENT) & FRAGMENT) !== 0) return undefined;
  return {
    source: view.getUint32(SOURCE),
    destination: view.getUint32(DESTINATION),
    protocol: view.getUint8(PROTOCOL),
    identification: view.getUint16(IDENTIFICATION),
    payload: bytes.subarray(headerLength, totalLength),
  };
}

export function emitIpv4Packet(packet: Ipv4Packet): Uint8Array {
  const bytes = new Uint8Array(IPV4_HEADER + packet.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(VERSION_LENGTH, (4 << 4) | (IPV4_HEADER / 4));
  view.setUint16(TOTAL_LENGTH, bytes.length);
  view.setUint16(IDENTIFICATION, packet.identification);
  view.setUint16(FLAGS_FRAGMENT, DONT_FRAGMENT);
  view.setUint8(TIME_TO_LIVE, DEFAULT_TIME_TO_LIVE);
  view.setUint8(PROTOCOL, packet.protocol);
  view.setUint32(SOURCE, packet.source);
  view.setUint32(DESTINATION, packet.destination);
  view.setUint16(CHECKSUM, checksum(sum(bytes.subarray(0, IPV4_HEADER))));
  bytes.set(packet.payload, IPV4_HEADER);
  return bytes;
}
