/** Link types of devices, as in pcap: https://www.tcpdump.org/linktypes.html */
import type { LabInterface } from '../lab/model.ts';

/** EN10MB: frames with an Ethernet header. What every device but tun carries. */
export const LINKTYPE_ETHERNET = 1;
/** RAW: packets that begin with an IPv4 or IPv6 header. What a tun device carries. */
export const LINKTYPE_RAW = 101;

/** Of the frames of an interface of a lab. */
export function linkTypeOf({ kind, raw }: Pick<LabInterface, 'kind' | 'raw'>): number {
  return kind === 'tun' || raw ? LINKTYPE_RAW : LINKTYPE_ETHERNET;
}
