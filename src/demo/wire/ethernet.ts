/** Ethernet II frames. */
import type { MacAddress } from './address.ts';

const DESTINATION = 0;
const SOURCE = 6;
const TYPE = 12;
export const ETHERNET_HEADER = 14;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;

export type EthernetFrame = {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly type: number;
  readonly payload: Uint8Array;
};

/** Undefined when the bytes are too short for a header. The payload is a view and includes padding. */
export function parseEthernet(bytes: Uint8Array): EthernetFrame | undefined {
  if (bytes.length < ETHERNET_HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    destination: readMac(view, DESTINATION),
    source: readMac(view, SOURCE),
    type: view.getUint16(TYPE),
    payload: bytes.subarray(ETHERNET_HEADER),
  };
}

export function emitEthernet(frame: EthernetFrame): Uint8Array {
  const bytes = new Uint8Array(ETHERNET_HEADER + frame.payload.length);
  const view = new DataView(bytes.buffer);
  writeMac(view, DESTINATION, frame.destination);
  writeMac(view, SOURCE, frame.source);
  view.setUint16(TYPE, frame.type);
  bytes.set(frame.payload, ETHERNET_HEADER);
  return bytes;
}

export function readMac(view: DataView, at: number): MacAddress {
  return view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2);
}

export function writeMac(view: DataView, at: number, address: MacAddress): void {
  view.setUint16(at, Math.floor(address / 0x1_0000_0000));
  view.setUint32(at + 2, address % 0x1_0000_0000);
}
