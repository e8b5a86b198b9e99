/**
 * Probes: frames that nobody answers, with the number of the direction they are for and one of their own. One whose
 * numbers were hit by bit errors is not a probe any more.
 *
 *   Ethernet   of a type for local experiments (IEEE 802, 88-B5), to a locally administered address that no node has
 *   raw IP     IPv4 of a protocol for experiments (RFC 3692, 253), whose header checksum is wrong: every stack drops it
 */
export type ProbeKind = 'ethernet' | 'raw';

const ETHERTYPE = 0x88b5;
const ETHERNET_HEADER = 14;
const IPV4_HEADER = 20;
const IP_PROTOCOL = 253;
export const MIN_PROBE_BYTES = 60;

/** What chooses probes, as a pcap-filter(7) expression. */
export const PROBE_FILTERS: Readonly<Record<ProbeKind, string>> = {
  ethernet: `ether proto ${ETHERTYPE}`,
  raw: `ip proto ${IP_PROTOCOL}`,
};

/** @param path number of the direction */
export function probe(kind: ProbeKind, path: number, number: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes);
  const view = new DataView(frame.buffer);
  if (kind === 'ethernet') {
    frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    view.setUint16(12, ETHERTYPE);
  } else {
    frame.set([0x45, 0]);
    view.setUint16(2, bytes);
    frame.set([1, IP_PROTOCOL, 0, 0, 198, 19, 255, 253, 198, 19, 255, 254], 8);
  }
  const at = headerBytes(kind);
  view.setUint32(at, path);
  view.setUint32(at + 4, number);
  view.setUint32(at + 8, ~(path ^ number) >>> 0);
  return frame;
}

/** The number of a probe of a direction; undefined when the frame is none. */
export function probeNumber(kind: ProbeKind, path: number, frame: Uint8Array): number | undefined {
  return probePath(kind, frame) === path ? view(frame).getUint32(headerBytes(kind) + 4) : undefined;
}

/** The direction that a probe is for; undefined when the frame is none. */
export function probePath(kind: ProbeKind, frame: Uint8Array): number | undefined {
  if (frame.length < MIN_PROBE_BYTES) return undefined;
  const fields = view(frame);
  const isOfKind = kind === 'ethernet' ? fields.getUint16(12) === ETHERTYPE : frame[9] === IP_PROTOCOL;
  const at = headerBytes(kind);
  const path = fields.getUint32(at);
  const matches = fields.getUint32(at + 8) === ~(path ^ fields.getUint32(at + 4)) >>> 0;
  return isOfKind && matches ? path : undefined;
}

function headerBytes(kind: ProbeKind): number {
  return kind === 'ethernet' ? ETHERNET_HEADER : IPV4_HEADER;
}

function view(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
}
