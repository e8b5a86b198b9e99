/** Writes classic pcap, little-endian, time stamps in nanoseconds (magic a1b23c4d). */
import {
  MAX_CAPTURED_BYTES,
  PCAP_FILE_HEADER,
  PCAP_MAGIC_NS,
  PCAP_RECORD_HEADER,
  PCAP_VERSION_MAJOR,
  PCAP_VERSION_MINOR,
} from './pcap-format.ts';
import type { Packet } from './pcapng.ts';

/** The file header; the records of `pcapRecord` follow. */
export function pcapHeader(linkType: number): Buffer {
  const out = Buffer.alloc(PCAP_FILE_HEADER);
  out.writeUInt32LE(PCAP_MAGIC_NS, 0);
  out.writeUInt16LE(PCAP_VERSION_MAJOR, 4);
  out.writeUInt16LE(PCAP_VERSION_MINOR, 6);
  out.writeUInt32LE(MAX_CAPTURED_BYTES, 16);
  out.writeUInt32LE(linkType, 20);
  return out;
}

/** One packet; its direction, interface and comment have no place in this format. */
export function pcapRecord(packet: Packet): Buffer {
  const out = Buffer.allocUnsafe(PCAP_RECORD_HEADER + packet.bytes.byteLength);
  out.writeUInt32LE(packet.seconds, 0);
  out.writeUInt32LE(packet.nanoseconds, 4);
  out.writeUInt32LE(packet.bytes.byteLength, 8);
  out.writeUInt32LE(packet.wireLength, 12);
  out.set(packet.bytes, PCAP_RECORD_HEADER);
  return out;
}
