/**
 * One line about a frame, in the style of tcpdump: who sends what to whom. Pure. A frame that is cut short or makes
 * no sense is described as far as it can be read; nothing throws.
 */
import { ipv4, ipv6, mac } from './addresses.ts';

const LINK_ETHERNET = 1;
const LINK_RAW = 101;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_QINQ = 0x88a8;
const ETHERTYPE_LLDP = 0x88cc;
/** Below this, the field holds a length (IEEE 802.3). */
const MIN_ETHERTYPE = 0x0600;

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  2: 'IGMP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  59: 'no next header',
  89: 'OSPF',
  112: 'VRRP',
  132: 'SCTP',
};
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
/** IPv6 extension headers whose second byte is their length, in units of 8 bytes after the first (RFC 8200). */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const IPV6_FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

/** What a frame of a link type (1 is EN10MB, 101 is RAW) holds. */
export function summarize(frame: Uint8Array, linkType: number): string {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  try {
    if (linkType === LINK_ETHERNET) return ethernet(bytes);
    if (linkType === LINK_RAW) return ip(bytes);
    return `link type ${linkType}`;
  } catch (error) {
    // Buffer's own bounds check: the frame ends where a field should be.
    if (error instanceof RangeError) return 'truncated';
    throw error;
  }
}

function ethernet(bytes: Buffer): string {
  let type = bytes.readUInt16BE(12);
  let at = 14;
  let tags = '';
  while (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) {
    tags += `vlan ${bytes.readUInt16BE(at) & 0x0fff}, `;
    type = bytes.readUInt16BE(at + 2);
    at += 4;
  }
  const payload = bytes.subarray(at);
  return tags + (etherPayload(type, payload) ?? `${mac(bytes, 6)} > ${mac(bytes, 0)}: ${typeName(type)}`);
}

function typeName(type: number): string {
  if (type < MIN_ETHERTYPE) return '802.3';
  return type === ETHERTYPE_LLDP ? 'LLDP' : `ethertype 0x${type.toString(16).padStart(4, '0')}`;
}

function etherPayload(type: number, payload: Buffer): string | undefined {
  if (type === ETHERTYPE_ARP) return arp(payload);
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return ip(payload);
  return undefined;
}

function arp(bytes: Buffer): string {
  const operation = bytes.readUInt16BE(6);
  if (bytes.readUInt16BE(2) !== ETHERTYPE_IPV4) return `ARP, operation ${operation}`;
  bytes.readUInt8(27);
  const [sender, target] = [ipv4(bytes, 14), ipv4(bytes, 24)];
  if (operation === 1) return `ARP who-has ${target} tell ${sender}`;
  if (operation === 2) return `ARP ${sender} is-at ${mac(bytes, 8)}`;
  return `ARP, operation ${operation}`;
}

function ip(bytes: Buffer): string {
  const version = bytes.readUInt8(0) >> 4;
  if (version === 4) return internet4(bytes);
  if (version === 6) return internet6(bytes);
  return `IP version ${version}`;
}

function internet4(bytes: Buffer): string {
  const headerLength = (bytes.readUInt8(0) & 0x0f) * 4;
  const total = bytes.readUInt16BE(2);
  const protocol = bytes.readUInt8(9);
  bytes.readUInt8(19);
  if (headerLength < 20) return `IP header of ${headerLength} bytes`;
  const [source, target] = [ipv4(bytes, 12), ipv4(bytes, 16)];
  const fragment = bytes.readUInt16BE(6);
  const offset = (fragment & 0x1fff) * 8;
  if (offset > 0) return `IP ${source} > ${target}: ${protocolName(protocol)} fragment at ${offset}`;
  const payload = bytes.subarray(headerLength);
  const more = fragment & 0x2000 ? ', more fragments' : '';
  return `IP ${transport(source, target, protocol, payload, total - headerLength)}${more}`;
}

function internet6(bytes: Buffer): string {
  const end = 40 + bytes.readUInt16BE(4);
  let protocol = bytes.readUInt8(6);
  bytes.readUInt8(39);
  const [source, target] = [ipv6(bytes, 8), ipv6(bytes, 24)];
  let at = 40;
  while (protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION_OPTIONS) {
    protocol = bytes.readUInt8(at);
    at += (bytes.readUInt8(at + 1) + 1) * 8;
  }
  if (protocol === IPV6_FRAGMENT) {
    const offset = bytes.readUInt16BE(at + 2) & 0xfff8;
    return `IP6 ${source} > ${target}: ${protocolName(bytes.readUInt8(at))} fragment at ${offset}`;
  }
  return `IP6 ${transport(source, target, protocol, bytes.subarray(at), end - at)}`;
}

function protocolName(protocol: number): string {
  if (protocol === TCP) return 'tcp';
  if (protocol === UDP) return 'udp';
  return PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
}

/** `length` is that of the IP payload by its header: the frame may be padded, or cut. */
function transport(source: string, target: string, protocol: number, bytes: Buffer, length: number): string {
  const hosts = `${source} > ${target}`;
  try {
    switch (protocol) {
      case TCP:
        return `${ports(source, target, bytes)}: ${tcp(bytes, length)}`;
      case UDP:
        return `${ports(source, target, bytes)}: udp ${Math.max(0, bytes.readUInt16BE(4) - 8)}`;
      case ICMP:
        return `${hosts}: ${icmp(bytes)}`;
      case ICMPV6:
        return `${hosts}: ${icmp6(bytes)}`;
      default:
        return `${hosts}: ${protocolName(protocol)} ${Math.max(0, length)}`;
    }
  } catch (error) {
    if (error instanceof RangeError) return `${hosts}: ${protocolName(protocol)}, truncated`;
    throw error;
  }
}

function ports(source: string, target: string, bytes: Buffer): string {
  return `${source}.${bytes.readUInt16BE(0)} > ${target}.${bytes.readUInt16BE(2)}`;
}

/** Flags in tcpdump's letters, from the lowest bit on. */
const TCP_FLAGS = 'FSRP.UEW';

function tcp(bytes: Buffer, length: number): string {
  const flags = bytes.readUInt8(13);
  const letters = [...TCP_FLAGS].filter((_, bit) => flags & (1 << bit)).join('') || 'none';
  const data = Math.max(0, length - (bytes.readUInt8(12) >> 4) * 4);
  const ack = flags & 0x10 ? ` ack ${bytes.readUInt32BE(8)}` : '';
  return `tcp [${letters}] seq ${bytes.readUInt32BE(4)}${ack} win ${bytes.readUInt16BE(14)} length ${data}`;
}

const ICMP_TYPES: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'unreachable',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
  12: 'parameter problem',
};

function icmp(bytes: Buffer): string {
  const type = bytes.readUInt8(0);
  const name = ICMP_TYPES[type] ?? `type ${type}`;
  if (type === 0 || type === 8) return `icmp ${name} ${echo(bytes)}`;
  return `icmp ${name}, code ${bytes.readUInt8(1)}`;
}

const ICMP6_TYPES: Readonly<Record<number, string>> = {
  1: 'unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbor solicitation',
  136: 'neighbor advertisement',
  143: 'multicast listener report',
};

function icmp6(bytes: Buffer): string {
  const type = bytes.readUInt8(0);
  const name = ICMP6_TYPES[type] ?? `type ${type}`;
  if (type === 128 || type === 129) return `icmp6 ${name} ${echo(bytes)}`;
  if ((type === 135 || type === 136) && bytes.length >= 24) return `icmp6 ${name} ${ipv6(bytes, 8)}`;
  return `icmp6 ${name}`;
}

function echo(bytes: Buffer): string {
  return `id ${bytes.readUInt16BE(4)} seq ${bytes.readUInt16BE(6)}`;
}
