/**
 * The words of pcap-filter(7) that are not names: each maps to the token it scans as. Matching is exact: like
 * libpcap, `TCP` is a name, not the keyword.
 */

/** A canonical protocol word. */
export type Protocol =
  | ('link' | 'arp' | 'rarp' | 'ip' | 'ip6' | 'sctp' | 'tcp' | 'udp' | 'icmp' | 'icmp6' | 'igmp' | 'igrp')
  | ('pim' | 'vrrp' | 'carp' | 'radio' | 'ah' | 'esp' | 'atalk' | 'aarp' | 'decnet' | 'lat' | 'sca' | 'moprc')
  | ('mopdl' | 'iso' | 'esis' | 'isis' | 'l1' | 'l2' | 'iih' | 'lsp' | 'snp' | 'csnp' | 'psnp' | 'clnp')
  | ('stp' | 'ipx' | 'netbeui');

/** Protocols by every spelling. */
export const PROTOCOL_WORDS: Readonly<Record<string, Protocol>> = Object.assign(Object.create(null), {
  ...{ link: 'link', ether: 'link', ppp: 'link', slip: 'link', fddi: 'link', tr: 'link', wlan: 'link' },
  ...{ arp: 'arp', rarp: 'rarp', ip: 'ip', ip6: 'ip6', sctp: 'sctp', tcp: 'tcp', udp: 'udp', icmp: 'icmp' },
  ...{ icmp6: 'icmp6', igmp: 'igmp', igrp: 'igrp', pim: 'pim', vrrp: 'vrrp', carp: 'carp', radio: 'radio' },
  ...{ ah: 'ah', esp: 'esp', atalk: 'atalk', aarp: 'aarp', decnet: 'decnet', lat: 'lat', sca: 'sca' },
  ...{ moprc: 'moprc', mopdl: 'mopdl', iso: 'iso', esis: 'esis', 'es-is': 'esis', isis: 'isis' },
  ...{ 'is-is': 'isis', l1: 'l1', l2: 'l2', iih: 'iih', lsp: 'lsp', snp: 'snp', csnp: 'csnp', psnp: 'psnp' },
  ...{ clnp: 'clnp', stp: 'stp', ipx: 'ipx', netbeui: 'netbeui' },
} satisfies Record<string, Protocol>);

/** A canonical word that stands alone or starts a construct. */
export type Construct =
  | ('src' | 'dst' | 'host' | 'net' | 'port' | 'portrange' | 'proto' | 'protochain' | 'gateway' | 'mask')
  | ('and' | 'or' | 'not' | 'less' | 'greater' | 'byte' | 'len' | 'broadcast' | 'multicast' | 'inbound')
  | ('outbound' | 'ifindex' | 'vlan' | 'mpls' | 'pppoed' | 'pppoes' | 'geneve' | 'vxlan' | 'llc' | 'rnr');

/** Constructs by every spelling. */
export const CONSTRUCT_WORDS: Readonly<Record<string, Construct>> = Object.assign(Object.create(null), {
  ...{ src: 'src', dst: 'dst', host: 'host', net: 'net', port: 'port', portrange: 'portrange' },
  ...{ proto: 'proto', protochain: 'protochain', gateway: 'gateway', mask: 'mask' },
  ...{ and: 'and', or: 'or', not: 'not', less: 'less', greater: 'greater', byte: 'byte' },
  ...{ len: 'len', length: 'len' },
  ...{ broadcast: 'broadcast', multicast: 'multicast', inbound: 'inbound', outbound: 'outbound' },
  ...{ ifindex: 'ifindex', vlan: 'vlan', mpls: 'mpls', pppoed: 'pppoed', pppoes: 'pppoes' },
  ...{ geneve: 'geneve', vxlan: 'vxlan', llc: 'llc', rnr: 'rnr' },
} satisfies Record<string, Construct>);

/** Words of pcap-filter(7) that only apply to link types this compiler does not serve, and where they apply. */
export const FOREIGN_WORDS: Readonly<Record<string, string>> = Object.assign(
  Object.create(null),
  foreign('802.11', 'type subtype dir direction ra ta addr1 addr2 addr3 addr4'),
  foreign('802.11', 'address1 address2 address3 address4'),
  foreign('ATM', 'lane metac bcc oam oamf4 oamf4ec oamf4sc sc ilmic vpi vci connectmsg metaconnect'),
  foreign('SS7', 'fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls hsio hopc hdpc hsls'),
  foreign('PF log', 'on ifname rset ruleset rulenum srnr subrulenum reason action'),
  foreign('batman-adv', 'batadv'),
);

function foreign(where: string, words: string): Record<string, string> {
  return Object.fromEntries(words.split(' ').map((word) => [word, where]));
}

/** Named constants usable wherever a number is. */
export const NAMED_NUMBERS: Readonly<Record<string, number>> = Object.assign(Object.create(null), {
  ...{ icmptype: 0, icmpcode: 1, icmp6type: 0, icmp6code: 1, tcpflags: 13 },
  ...{ 'icmp-echoreply': 0, 'icmp-unreach': 3, 'icmp-sourcequench': 4, 'icmp-redirect': 5, 'icmp-echo': 8 },
  ...{ 'icmp-routeradvert': 9, 'icmp-routersolicit': 10, 'icmp-timxceed': 11, 'icmp-paramprob': 12 },
  ...{ 'icmp-tstamp': 13, 'icmp-tstampreply': 14, 'icmp-ireq': 15, 'icmp-ireqreply': 16 },
  ...{ 'icmp-maskreq': 17, 'icmp-maskreply': 18 },
  ...{ 'icmp6-destinationunreach': 1, 'icmp6-packettoobig': 2, 'icmp6-timeexceeded': 3 },
  ...{ 'icmp6-parameterproblem': 4, 'icmp6-echo': 128, 'icmp6-echoreply': 129 },
  ...{ 'icmp6-multicastlistenerquery': 130, 'icmp6-multicastlistenerreportv1': 131 },
  ...{ 'icmp6-multicastlistenerdone': 132, 'icmp6-routersolicit': 133, 'icmp6-routeradvert': 134 },
  ...{ 'icmp6-neighborsolicit': 135, 'icmp6-neighboradvert': 136, 'icmp6-redirect': 137 },
  ...{ 'icmp6-routerrenum': 138, 'icmp6-nodeinformationquery': 139, 'icmp6-nodeinformationresponse': 140 },
  ...{ 'icmp6-ineighbordiscoverysolicit': 141, 'icmp6-ineighbordiscoveryadvert': 142 },
  ...{ 'icmp6-multicastlistenerreportv2': 143, 'icmp6-homeagentdiscoveryrequest': 144 },
  ...{ 'icmp6-homeagentdiscoveryreply': 145, 'icmp6-mobileprefixsolicit': 146 },
  ...{ 'icmp6-mobileprefixadvert': 147, 'icmp6-certpathsolicit': 148, 'icmp6-certpathadvert': 149 },
  ...{ 'icmp6-multicastrouteradvert': 151, 'icmp6-multicastroutersolicit': 152 },
  ...{ 'icmp6-multicastrouterterm': 153 },
  ...{
    'tcp-fin': 0x01,
    'tcp-syn': 0x02,
    'tcp-rst': 0x04,
    'tcp-push': 0x08,
    'tcp-ack': 0x10,
    'tcp-urg': 0x20,
  },
  ...{ 'tcp-ece': 0x40, 'tcp-cwr': 0x80 },
});

/** Every word an expression may be built of, for suggestions. */
export function allWords(): string[] {
  return [PROTOCOL_WORDS, CONSTRUCT_WORDS, NAMED_NUMBERS].flatMap((table) => Object.keys(table));
}
