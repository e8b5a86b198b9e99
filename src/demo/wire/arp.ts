/** ARP for IPv4 over Ethernet (RFC 826). */
import type { Ipv4Address, MacAddress } from './address.ts';
import { ETHERTYPE_IPV4, readMac, writeMac } from './ethernet.ts';

const HARDWARE_TYPE = 0;
const PROTOCOL_TYPE = 2;
const HARDWARE_LENGTH = 4;
const PROTOCOL_LENGTH = 5;
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER_ADDRESS = 14;
const TARGET_MAC = 18;
const TARGET_ADDRESS = 24;
const LENGTH = 28;

const HARDWARE_ETHERNET = 1;

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

export type ArpPacket = {
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderAddress: Ipv4Address;
  /** 0 in a request. */
  readonly targetMac: MacAddress;
  readonly targetAddress: Ipv4Address;
};

/** Undefined when it is too short, or not for IPv4 over Ethernet. */
export function parseArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const kind = [view.getUint16(HARDWARE_TYPE), view.getUint16(PROTOCOL_TYPE), bytes[4], bytes[5]];
  if (kind.join() !== [HARDWARE_ETHERNET, ETHERTYPE_IPV4, 6, 4].join()) return undefined;
  return {
    operation: view.getUint16(OPERATION),
    senderMac: readMac(view, SENDER_MAC),
    senderAddress: view.getUint32(SENDER_ADDRESS),
    targetMac: readMac(view, TARGET_MAC),
    targetAddress: view.getUint32(TARGET_ADDRESS),
  };
}

export function emitArp(packet: ArpPacket): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(HARDWARE_TYPE, HARDWARE_ETHERNET);
  view.setUint16(PROTOCOL_TYPE, ETHERTYPE_IPV4);
  view.setUint8(HARDWARE_LENGTH, 6);
  view.setUint8(PROTOCOL_LENGTH, 4);
  view.setUint16(OPERATION, packet.operation);
  writeMac(view, SENDER_MAC, packet.senderMac);
  view.setUint32(SENDER_ADDRESS, packet.senderAddress);
  writeMac(view, TARGET_MAC, packet.targetMac);
  view.setUint32(TARGET_ADDRESS, packet.targetAddress);
  return bytes;
}
