/**
 * Names a filter may use for numbers, from the project's own tables: services, IP protocols, Ethernet types and
 * LLC service access points. A resolver passed to the compiler is asked first, see `compile.ts`.
 */

import { SERVICE_TABLE } from './service-table.ts';

/** Transport protocols a port belongs to, by IP protocol number. */
export const TRANSPORT_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;
export type Transport = keyof typeof TRANSPORT_NUMBERS;

/** The ports a service name stands for, one for each transport that has it. */
export type ServicePorts = Readonly<Partial<Record<Transport, number>>>;

/** IP protocol numbers by name (IANA protocol-numbers). */
export const IP_PROTOCOLS: Readonly<Record<string, number>> = Object.assign(Object.create(null), {
  ...{
    ip: 0,
    hopopt: 0,
    icmp: 1,
    igmp: 2,
    ggp: 3,
    ipencap: 4,
    st: 5,
    tcp: 6,
    egp: 8,
    igp: 9,
    pup: 12,
    udp: 17,
  },
  ...{
    hmp: 20,
    'xns-idp': 22,
    rdp: 27,
    'iso-tp4': 29,
    dccp: 33,
    xtp: 36,
    ddp: 37,
    'idpr-cmtp': 38,
    ipv6: 41,
  },
  ...{ 'ipv6-route': 43, 'ipv6-frag': 44, idrp: 45, rsvp: 46, gre: 47, esp: 50, ah: 51, skip: 57 },
  ...{
    'ipv6-icmp': 58,
    icmp6: 58,
    'ipv6-nonxt': 59,
    'ipv6-opts': 60,
    rspf: 73,
    vmtp: 81,
    eigrp: 88,
    ospf: 89,
  },
  ...{
    'ax.25': 93,
    ipip: 94,
    etherip: 97,
    encap: 98,
    pim: 103,
    ipcomp: 108,
    vrrp: 112,
    carp: 112,
    l2tp: 115,
  },
  ...{ isis: 124, sctp: 132, fc: 133, 'mobility-header': 135, udplite: 136, 'mpls-in-ip': 137, manet: 138 },
  ...{ hip: 139, shim6: 140, wesp: 141, rohc: 142, ethernet: 143 },
});

/** Ethernet types (above 1500) and LLC service access points (below) by name, for `ether proto`. */
export const ETHER_PROTOCOLS: Readonly<Record<string, number>> = Object.assign(Object.create(null), {
  ...{ ip: 0x0800, ip6: 0x86dd, arp: 0x0806, rarp: 0x8035, aarp: 0x80f3, atalk: 0x809b, decnet: 0x6003 },
  ...{ lat: 0x6004, sca: 0x6007, mopdl: 0x6001, moprc: 0x6002, pup: 0x0200, xns: 0x0600, sprite: 0x0500 },
  ...{ lldp: 0x88cc, loopback: 0x9000, slow: 0x8809, '802.1q': 0x8100 },
  ...{ iso: 0xfe, stp: 0x42, ipx: 0xe0, netbeui: 0xf0 },
});

/** OSI network-layer protocol identifiers, for `iso proto`. */
export const ISO_PROTOCOLS: Readonly<Record<string, number>> = Object.assign(Object.create(null), {
  clnp: 0x81,
  esis: 0x82,
  isis: 0x83,
});

let services: Map<string, ServicePorts> | undefined;

/** The service table, read from its text on first use. */
export function serviceTable(): ReadonlyMap<string, ServicePorts> {
  if (services !== undefined) return services;
  services = new Map();
  for (const entry of SERVICE_TABLE.split(';')) {
    const [name, ...ports] = entry.trim().split(' ');
    if (name === undefined || name === '') continue;
    const parsed = ports.map((port) => port.split('/')).map(([port, transport]) => [transport, Number(port)]);
    services.set(name, Object.fromEntries(parsed));
  }
  return services;
}
