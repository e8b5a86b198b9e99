/**
 * Where things are in a frame, as far as links need to know it.
 */
import type { FrameTable } from './stage.ts';

/** Link types of pcap. */
const LINKTYPE_ETHERNET = 1;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;
const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;

/** Bytes in front of the network layer: the Ethernet header with its VLAN tags (IEEE 802.1Q, 802.1ad), or nothing. */
export function linkHeaderBytes(frames: FrameTable, frame: number, linkType: number): number {
  if (linkType !== LINKTYPE_ETHERNET) return 0;
  const { bytes } = frames;
  const start = frames.header(frame);
  const end = start + frames.length[frame]!;
  let at = start + ETHERNET_HEADER;
  while (at + VLAN_TAG <= end && isTag((bytes[at - 2]! << 8) | bytes[at - 1]!)) at += VLAN_TAG;
  return at - start;
}

/** Offset in `frames.bytes` of an IPv4 or IPv6 header that is there as a whole, or -1. */
export function ipHeader(frames: FrameTable, frame: number, linkType: number): number {
  const { bytes } = frames;
  const start = frames.header(frame);
  const header = linkHeaderBytes(frames, frame, linkType);
  const at = start + header;
  const left = frames.length[frame]! - header;
  if (left < IPV4_HEADER) return -1;
  const version = bytes[at]! >>> 4;
  if (linkType === LINKTYPE_ETHERNET) {
    const type = (bytes[at - 2]! << 8) | bytes[at - 1]!;
    if (type !== (version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)) return -1;
  }
  if (version === 4) return at;
  return version === 6 && left >= IPV6_HEADER ? at : -1;
}

function isTag(type: number): boolean {
  return type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ;
}
