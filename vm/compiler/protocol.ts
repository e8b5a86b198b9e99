/** Tests that a packet is of a protocol: `tcp`, `arp`, `ip proto 47`, `isis proto 18`, `l1`. */

import { BPF_ALU, BPF_AND, BPF_JSET } from '../instruction.ts';
import type { Context } from './context.ts';
import { shift } from './context.ts';
import { equals, load, networkHeader, oneOf, statement, test } from './emit.ts';
import type { Protocol } from './keywords.ts';
import {
  ETHERTYPE_AARP,
  ETHERTYPE_ARP,
  ETHERTYPE_ATALK,
  ETHERTYPE_DECNET,
  ETHERTYPE_IP,
  ETHERTYPE_IP6,
  ETHERTYPE_RARP,
  linkProtocolIs,
  SAP_IPX,
  SAP_ISO,
  SAP_NETBEUI,
  SAP_STP,
} from './link-layer.ts';
import { all, any, not, type Predicate } from './predicate.ts';

/** IP protocols that are words of the language. */
export const IP_PROTOCOL_NUMBERS: Readonly<Partial<Record<Protocol, number>>> = {
  ...{
    icmp: 1,
    igmp: 2,
    tcp: 6,
    igrp: 9,
    udp: 17,
    esp: 50,
    ah: 51,
    icmp6: 58,
    pim: 103,
    vrrp: 112,
    carp: 112,
  },
  ...{ sctp: 132 },
};

/** Link-layer protocols that are words of the language: Ethernet types and LLC SAPs. */
export const LINK_PROTOCOL_NUMBERS: Readonly<Partial<Record<Protocol, number>>> = {
  ...{ ip: ETHERTYPE_IP, ip6: ETHERTYPE_IP6, arp: ETHERTYPE_ARP, rarp: ETHERTYPE_RARP },
  ...{ atalk: ETHERTYPE_ATALK, aarp: ETHERTYPE_AARP, decnet: ETHERTYPE_DECNET },
  ...{ lat: 0x6004, sca: 0x6007, mopdl: 0x6001, moprc: 0x6002 },
  ...{ iso: SAP_ISO, stp: SAP_STP, ipx: SAP_IPX, netbeui: SAP_NETBEUI },
};

/** OSI network-layer protocols that are words of the language. */
const ISO_PROTOCOL_NUMBERS: Readonly<Partial<Record<Protocol, number>>> = {
  ...{ clnp: 0x81, esis: 0x82, isis: 0x83 },
};
const ISO_ISIS = 0x83;

/** IS-IS PDU types (ISO 10589) that each word stands for. */
const ISIS_PDU_TYPES: Readonly<Partial<Record<Protocol, readonly number[]>>> = {
  l1: [26, 24, 18, 15, 17],
  l2: [27, 25, 20, 16, 17],
  iih: [17, 16, 15],
  lsp: [20, 18],
  snp: [27, 26, 25, 24],
  csnp: [25, 24],
  psnp: [27, 26],
};

/** Protocols that only IPv4, or only IPv6, carries here; others are looked for in both. */
const IPV4_ONLY: ReadonlySet<Protocol> = new Set(['icmp', 'igmp', 'igrp', 'vrrp', 'carp'] as const);
const IPV6_ONLY: ReadonlySet<Protocol> = new Set(['icmp6'] as const);

const IPPROTO_FRAGMENT = 44;

/** The packet is of the protocol. */
export function protocolIs(context: Context, protocol: Protocol): Predicate {
  const ipProtocol = IP_PROTOCOL_NUMBERS[protocol];
  if (ipProtocol !== undefined) {
    if (IPV4_ONLY.has(protocol)) return ipv4ProtocolIs(context, [ipProtocol]);
    if (IPV6_ONLY.has(protocol)) return ipv6ProtocolIs(context, [ipProtocol]);
    return any(ipv4ProtocolIs(context, [ipProtocol]), ipv6ProtocolIs(context, [ipProtocol]));
  }
  const linkProtocol = LINK_PROTOCOL_NUMBERS[protocol];
  if (linkProtocol !== undefined) return linkProtocolIs(context, linkProtocol);
  const isoProtocol = ISO_PROTOCOL_NUMBERS[protocol];
  if (isoProtocol !== undefined) return isoProtocolIs(context, [isoProtocol]);
  const pduTypes = ISIS_PDU_TYPES[protocol];
  if (pduTypes !== undefined) return isisPduIs(context, pduTypes);
  return context.fail(
    `'${protocol}' is not a test by itself: say what of it, as in 'ether host' or 'ether[0]'`,
  );
}

/** IPv4 with one of these protocols. */
export function ipv4ProtocolIs(context: Context, numbers: readonly number[]): Predicate {
  const field = load(context, networkHeader(context, 9), 1, 'IPv4 protocol');
  const matches = oneOf(context, field, numbers, (number) => `is it ${ipProtocolName(number)}?`);
  return all(linkProtocolIs(context, ETHERTYPE_IP), matches);
}

/** IPv6 with one of these as next header, or as that of a fragment header that comes first. */
export function ipv6ProtocolIs(context: Context, numbers: readonly number[]): Predicate {
  const isProtocol = (number: number): string => `is it ${ipProtocolName(number)}?`;
  const next = load(context, networkHeader(context, 6), 1, 'IPv6 next header');
  const inFragment = load(context, networkHeader(context, 40), 1, 'next header of the fragment');
  return all(
    linkProtocolIs(context, ETHERTYPE_IP6),
    any(
      oneOf(context, next, numbers, isProtocol),
      all(
        equals(context, next, IPPROTO_FRAGMENT, 'is it a fragment?'),
        oneOf(context, inFragment, numbers, isProtocol),
      ),
    ),
  );
}

const IP_PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  ...{ 1: 'ICMP', 2: 'IGMP', 6: 'TCP', 17: 'UDP', 47: 'GRE', 50: 'ESP', 51: 'AH', 58: 'ICMPv6', 132: 'SCTP' },
  ...{ 9: 'IGRP', 103: 'PIM', 112: 'VRRP or CARP' },
};

/** An IP protocol as comments name it. */
export function ipProtocolName(number: number): string {
  return IP_PROTOCOL_NAMES[number] ?? `IP protocol ${number}`;
}

/** Not a later fragment of an IPv4 packet: the transport header is there. */
export function isFirstIpv4Fragment(context: Context): Predicate {
  const field = load(context, networkHeader(context, 6), 2, 'IPv4 flags and fragment offset');
  return not(test(context, field, BPF_JSET, 0x1fff, 'is it a later fragment?'));
}

/** OSI with one of these network-layer protocol identifiers. */
export function isoProtocolIs(context: Context, numbers: readonly number[]): Predicate {
  const field = load(context, shift(context.payload, context.llcLength), 1, 'OSI protocol');
  const matches = oneOf(context, field, numbers, (number) => `is it OSI protocol 0x${number.toString(16)}?`);
  return all(linkProtocolIs(context, SAP_ISO), matches);
}

/** IS-IS with one of these PDU types. */
export function isisPduIs(context: Context, types: readonly number[]): Predicate {
  const field = [
    ...load(context, shift(context.payload, context.llcLength + 4), 1, 'IS-IS PDU type'),
    statement(context, BPF_ALU | BPF_AND, 0x1f, 'the bits of the type'),
  ];
  const matches = oneOf(context, field, types, (type) => `is it PDU type ${type}?`);
  return all(isoProtocolIs(context, [ISO_ISIS]), matches);
}
