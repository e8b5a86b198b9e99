/**
 * The link types the compiler serves: where each keeps its protocol field and its payload. Numbers are those of
 * pcap files (LINKTYPE_ values, https://www.tcpdump.org/linktypes.html).
 */

/** How a link type says which protocol its payload is. */
export type Encapsulation = 'ethernet' | 'raw' | 'ipv4' | 'ipv6' | 'null' | 'loop' | 'sll' | 'sll2' | 'ppp';

export type LinkTypeName =
  | ('EN10MB' | 'RAW' | 'IPV4' | 'IPV6' | 'NULL' | 'LOOP')
  | ('LINUX_SLL' | 'LINUX_SLL2');

/** One link type. Offsets are in bytes from the start of the frame. */
export type LinkType = {
  readonly name: LinkTypeName;
  /** LINKTYPE_ value, as in a pcap file's header. */
  readonly number: number;
  readonly description: string;
  readonly encapsulation: Encapsulation;
  /** Where the protocol field is; undefined when there is none. */
  readonly protocolOffset: number | undefined;
  readonly payloadOffset: number;
  /** Length of the LLC header before OSI protocols, counted from the payload. */
  readonly llcLength: number;
};

/** The link types served, by name. */
export const LINK_TYPES: Readonly<Record<LinkTypeName, LinkType>> = {
  EN10MB: linkType('EN10MB', 1, 'Ethernet', 'ethernet', 12, 14, 3),
  RAW: linkType('RAW', 101, 'raw IPv4 or IPv6', 'raw', undefined, 0, 0),
  IPV4: linkType('IPV4', 228, 'raw IPv4', 'ipv4', undefined, 0, 0),
  IPV6: linkType('IPV6', 229, 'raw IPv6', 'ipv6', undefined, 0, 0),
  NULL: linkType('NULL', 0, 'BSD loopback', 'null', 0, 4, 0),
  LOOP: linkType('LOOP', 108, 'OpenBSD loopback', 'loop', 0, 4, 0),
  LINUX_SLL: linkType('LINUX_SLL', 113, 'Linux cooked capture v1', 'sll', 14, 16, 0),
  LINUX_SLL2: linkType('LINUX_SLL2', 276, 'Linux cooked capture v2', 'sll2', 0, 20, 0),
};

function linkType(
  name: LinkTypeName,
  number: number,
  description: string,
  encapsulation: Encapsulation,
  protocolOffset: number | undefined,
  payloadOffset: number,
  llcLength: number,
): LinkType {
  return { name, number, description, encapsulation, protocolOffset, payloadOffset, llcLength };
}

/** The link type of a name such as `EN10MB`, `en10mb` or `DLT_EN10MB`; undefined when it is not served. */
export function linkTypeByName(name: string): LinkType | undefined {
  const bare = name.toUpperCase().replace(/^(?:DLT|LINKTYPE)_/, '');
  return Object.hasOwn(LINK_TYPES, bare) ? LINK_TYPES[bare as LinkTypeName] : undefined;
}

/** The link type of a LINKTYPE_ value, as a pcap file states it; undefined when it is not served. */
export function linkTypeByNumber(number: number): LinkType | undefined {
  return Object.values(LINK_TYPES).find((candidate) => candidate.number === number);
}
