/** What each primitive accepts, over hand-made frames on every link type that has it. */

import { describe, expect, test } from 'vitest';
import { compileFilter, LINK_TYPES, type LinkTypeName, type Resolver } from '../../../vm/compiler/index.ts';
import { interpret } from '../../../vm/interpreter.ts';
import {
  ACK,
  be,
  bytes,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  ipv6Fragment,
  SYN,
  tcp,
  udp,
} from '../helpers/frames.ts';
import { rewrap } from './frames.ts';

const ARP = '0001080006040001020000000001c6120001000000000000c6120002';
const innerEthernet = (type: number, payload: string): string =>
  `0200000000aa0200000000bb${be(type, 2)}${payload}`;

/** Frames by name. IPv4 and ARP are between 198.18.0.1 and 198.18.0.2, IPv6 between fd00::1 and fd00::2. */
const FRAMES = {
  syn: ethernet(0x0800, ipv4(6, tcp(40000, 80, SYN))),
  options: ethernet(0x0800, ipv4(6, tcp(40000, 80, ACK), { optionBytes: 8 })),
  laterFragment: ethernet(0x0800, ipv4(6, tcp(40000, 80), { fragment: 0x0003 })),
  dns: ethernet(0x0800, ipv4(17, udp(53, 5353))),
  sctp: ethernet(0x0800, ipv4(132, udp(80, 2905))),
  ping: ethernet(0x0800, ipv4(1, icmp(8))),
  syn6: ethernet(0x86dd, ipv6(6, tcp(80, 40000, SYN))),
  fragment6: ethernet(0x86dd, ipv6(44, ipv6Fragment(17, udp(53, 53)))),
  hopByHop6: ethernet(0x86dd, ipv6(0, `0600000000000000${tcp(1, 2)}`)),
  ping6: ethernet(0x86dd, ipv6(58, icmp(128))),
  ah: ethernet(0x0800, ipv4(51, `0604${'00'.repeat(22)}${tcp(1, 2)}`)),
  arp: ethernet(0x0806, ARP),
  rarp: ethernet(0x8035, ARP),
  broadcast: ethernet(0x0806, ARP, 'ffffffffffff'),
  group: ethernet(0x0800, ipv4(2, icmp(0x16)), '01005e000001'),
  vlan5: ethernet(0x8100, `00050800${ipv4(6, tcp(40000, 80))}`),
  qinq: ethernet(0x88a8, `000781000005${'0800'}${ipv4(17, udp(53, 1))}`),
  mpls: ethernet(0x8847, `00005140${ipv4(6, tcp(40000, 80))}`),
  mplsStack: ethernet(0x8847, `0001004000005140${ipv6(17, udp(53, 1))}`),
  pppoe: ethernet(0x8864, `1100000700000021${ipv4(6, tcp(40000, 80))}`),
  pppoeDiscovery: ethernet(0x8863, '11090000000401010000'),
  geneve: ethernet(
    0x0800,
    ipv4(17, `${udp(4000, 6081)}0100655800000500ffffffff${innerEthernet(0x0800, ipv4(6, tcp(1, 80)))}`),
  ),
  geneveIp6: ethernet(0x86dd, ipv6(17, `${udp(4000, 6081)}000086dd00000900${ipv6(17, udp(53, 1))}`)),
  vxlan: ethernet(
    0x0800,
    ipv4(17, `${udp(4000, 4789)}0800000000000500${innerEthernet(0x86dd, ipv6(6, tcp(1, 80)))}`),
  ),
  isisHello: ethernet(100, 'fefe03831b0100110100'),
  spanningTree: ethernet(38, '424203000000000000'),
  xid: ethernet(3, 'f0f0af'),
  novell: ethernet(30, 'ffff001e00110000000000000000'),
  appletalk: ethernet(30, 'aaaa03080007809b00'),
} as const;
type FrameName = keyof typeof FRAMES;
const NAMES = Object.keys(FRAMES) as FrameName[];

function accepted(expression: string, resolver?: Resolver): FrameName[] {
  const program = compileFilter(expression, { resolver, netmask: '255.255.255.0' });
  return NAMES.filter((name) => interpret(program, FRAMES[name]) !== 0);
}

const IPV4_OUTSIDE = [
  'syn',
  'options',
  'laterFragment',
  'dns',
  'sctp',
  'ping',
  'ah',
  'group',
  'geneve',
  'vxlan',
] as const;

const rows: readonly (readonly [expression: string, accepts: readonly FrameName[]])[] = [
  ['ip', IPV4_OUTSIDE],
  ['ip6', ['syn6', 'fragment6', 'hopByHop6', 'ping6', 'geneveIp6']],
  ['tcp', ['syn', 'options', 'laterFragment', 'syn6']],
  ['udp', ['dns', 'fragment6', 'geneve', 'geneveIp6', 'vxlan']],
  ['sctp', ['sctp']],
  ['icmp or icmp6', ['ping', 'ping6']],
  ['igmp', ['group']],
  ['ah', ['ah']],
  ['ip proto 51', ['ah']],
  ['protochain 6', ['syn', 'options', 'laterFragment', 'syn6', 'hopByHop6', 'ah']],
  ['ip6 protochain \\udp', ['fragment6', 'geneveIp6']],
  ['arp', ['arp', 'broadcast']],
  ['rarp', ['rarp']],
  ['tcp port 80', ['syn', 'options', 'syn6']],
  ['tcp dst port 80', ['syn', 'options']],
  ['src port 80', ['sctp', 'syn6']],
  ['portrange 1-79', ['dns']],
  ['port 53 and not udp', []],
  ['src host 198.18.0.1 and arp', ['arp', 'broadcast']],
  ['dst net 198.18.0.2/31 and (arp or rarp)', ['arp', 'rarp', 'broadcast']],
  ['host fd00::2', ['syn6', 'fragment6', 'hopByHop6', 'ping6', 'geneveIp6']],
  ['src net fd00::2/127', []],
  ['dst net fd00::2/127 and tcp', ['syn6']],
  ['not ip and not ip6 and host 198.18.0.2', ['arp', 'rarp', 'broadcast']],
  ['src and dst net 198.18.0.0/16 and icmp', ['ping']],
  ['ether dst 02:00:5e:10:00:02 and arp', ['arp']],
  ['broadcast', ['broadcast']],
  ['multicast', ['broadcast', 'group']],
  ['ip broadcast', []],
  ['ip[0] & 0xf != 5', ['options']],
  ['tcp[tcpflags] = tcp-syn', ['syn']],
  ['tcp[13] & tcp-ack != 0', ['options']],
  ['icmp[icmptype] = icmp-echo', ['ping']],
  ['icmp6[icmp6type] = icmp6-echo', ['ping6']],
  ['ip[2:2] > 48 and ip[ip[0] & 0xf << 2 + 2:2] = 4789', []],
  ['udp[2:2] = ip[20 + 2:2] and udp[2:2] > 6000', ['geneve']],
  ['ip[(ip[0] & 0xf) * 4:2] = 53', ['dns']],
  ['vlan', ['vlan5', 'qinq']],
  ['vlan 5 and tcp', ['vlan5']],
  ['vlan 7 and vlan 5 and udp', ['qinq']],
  ['vlan and vlan', ['qinq']],
  ['mpls', ['mpls', 'mplsStack']],
  ['mpls 5 and tcp port 80', ['mpls']],
  ['mpls 16 and mpls 5 and ip6', ['mplsStack']],
  ['mpls and mpls', ['mplsStack']],
  ['pppoed', ['pppoeDiscovery']],
  ['pppoes', ['pppoe']],
  ['pppoes 7 and tcp port 80', ['pppoe']],
  ['pppoes 8', []],
  ['geneve', ['geneve', 'geneveIp6']],
  ['geneve 5 and tcp port 80', ['geneve']],
  ['geneve and ip6 and udp port 53', ['geneveIp6']],
  ['geneve and ether host 02:00:00:00:00:bb', ['geneve']],
  ['geneve and tcp[2:2] = 80', ['geneve']],
  ['vxlan 5', ['vxlan']],
  ['vxlan 6', []],
  ['vxlan and ip6 and tcp dst port 80', ['vxlan']],
  ['vxlan and ether src 02:00:00:00:00:bb', ['vxlan']],
  ['iso', ['isisHello']],
  ['l2', ['isisHello']],
  ['l1', ['isisHello']],
  ['iih', ['isisHello']],
  ['lsp', []],
  ['isis proto 17', ['isisHello']],
  ['stp', ['spanningTree']],
  ['netbeui', ['xid']],
  ['ipx', ['novell']],
  ['atalk', ['appletalk']],
  ['llc', ['isisHello', 'spanningTree', 'xid', 'appletalk']],
  ['llc xid', ['xid']],
  ['llc u and not llc xid', ['isisHello', 'spanningTree', 'appletalk']],
  ['less 17', ['xid']],
  ['greater 100 and ip6', ['geneveIp6']],
  ['byte 12 = 8 and byte 13 > 5', ['arp', 'broadcast']],
];

describe('on Ethernet', () => {
  test.each(rows)('%j', (expression, accepts) => {
    const order = (names: readonly FrameName[]): FrameName[] => NAMES.filter((name) => names.includes(name));
    expect(accepted(expression)).toEqual(order(accepts));
  });
});

describe('on every link type', () => {
  const frames = Object.values(FRAMES).map((data) => ({ bytes: data, wireLength: data.length }));
  const expressions = [
    'tcp port 80',
    'src host 198.18.0.1 and udp',
    'icmp6',
    'ip[0] & 0xf != 5',
    'ip6 proto 17',
    'sctp',
  ];

  test.each(Object.keys(LINK_TYPES) as LinkTypeName[])(
    '%s finds the same packets as Ethernet',
    (linkType) => {
      const wrapped = rewrap(frames, linkType);
      const version = (data: Uint8Array): number => data[12]! * 256 + data[13]!;
      for (const expression of expressions) {
        const onEthernet = compileFilter(expression);
        const here = compileFilter(expression, { linkType });
        for (const [index, { bytes: data }] of frames.entries()) {
          const expected = linkType === 'IPV4' ? 0x0800 : linkType === 'IPV6' ? 0x86dd : version(data);
          // Link types without a protocol field cannot tell what else is no IP; NULL and LOOP know Linux's AF_INET6.
          if (expected !== version(data) || ![0x0800, 0x86dd].includes(version(data))) continue;
          if ((linkType === 'NULL' || linkType === 'LOOP') && expected === 0x86dd && index % 4 !== 0)
            continue;
          const verdict = interpret(here, wrapped[index]!.bytes);
          expect([expression, NAMES[index], verdict]).toEqual([
            expression,
            NAMES[index],
            interpret(onEthernet, data),
          ]);
        }
      }
    },
  );

  test('cooked headers tell the direction and, in version 2, the interface', () => {
    const run = (expression: string, linkType: LinkTypeName): boolean[] => {
      const program = compileFilter(expression, { linkType });
      return rewrap(frames.slice(0, 5), linkType).map(({ bytes: data }) => interpret(program, data) !== 0);
    };
    expect(run('outbound', 'LINUX_SLL')).toEqual([false, false, false, false, true]);
    expect(run('inbound', 'LINUX_SLL2')).toEqual([true, true, true, true, false]);
    expect(run('ifindex 2', 'LINUX_SLL2')).toEqual([false, false, true, false, false]);
  });
});

describe('the linux dialect reads metadata', () => {
  const verdict = (
    expression: string,
    data: Uint8Array,
    metadata: Parameters<typeof interpret>[3],
  ): boolean => interpret(compileFilter(expression, { dialect: 'linux' }), data, data.length, metadata) !== 0;

  test.each([
    ['outbound', { packetType: 4 }, true],
    ['outbound', { packetType: 0 }, false],
    ['inbound', { packetType: 0 }, true],
    ['ifindex 3', { interfaceIndex: 3 }, true],
    ['ifindex 3 and tcp', { interfaceIndex: 2 }, false],
  ])('%s with %j: %s', (expression, metadata, expected) => {
    expect(verdict(expression, FRAMES.syn, metadata)).toBe(expected);
  });

  test('a VLAN tag may have been taken off the frame, or still be in it', () => {
    const takenOff = { vlanTagPresent: true, vlanTag: 0x2005, vlanProtocol: 0x8100 };
    for (const [expression, inFrame, inMetadata, untagged] of [
      ['vlan', true, true, false],
      ['vlan 5 and tcp port 80', true, true, false],
      ['vlan 6', false, false, false],
      ['not vlan', false, false, true],
      ['vlan 5 or udp', true, true, false],
    ] as const) {
      expect([expression, verdict(expression, FRAMES.vlan5, {})]).toEqual([expression, inFrame]);
      expect([expression, verdict(expression, FRAMES.syn, takenOff)]).toEqual([expression, inMetadata]);
      expect([expression, verdict(expression, FRAMES.syn, {})]).toEqual([expression, untagged]);
    }
  });
});

describe('names', () => {
  const resolver: Resolver = {
    host: (name) =>
      name === 'lab' ? ['198.18.0.1', 'fd00::1', 'nonsense'] : name === 'four' ? ['198.18.0.2'] : undefined,
    ether: (name) => (name === 'four' ? '02:00:5e:10:00:01' : undefined),
    network: (name) => (name === 'bench' ? '198.18.0.0/15' : name === 'short' ? '198.18' : undefined),
    service: (name) => (name === 'web' ? { tcp: 80 } : undefined),
    protocol: (name) => (name === 'six' ? 6 : undefined),
  };

  test.each([
    ['src host lab and tcp', 'src host 198.18.0.1 and tcp or src host fd00::1 and tcp'],
    ['ip host lab', 'ip host 198.18.0.1'],
    ['ip6 host lab', 'ip6 host fd00::1'],
    ['net bench', 'net 198.18.0.0/15'],
    ['net short', 'net 198.18'],
    ['ether src four', 'ether src 02:00:5e:10:00:01'],
    ['port web', 'tcp port 80'],
    ['ip proto six', 'ip proto 6'],
    ['gateway four', 'ether host 02:00:5e:10:00:01 and not host 198.18.0.2'],
  ])('%j is %j', (expression, same) => {
    expect(accepted(expression, resolver)).toEqual(accepted(same));
  });

  test.each([
    ['host nobody', /unknown host 'nobody'/],
    ['ip6 host four', /the host 'four' has no address for 'ip6'/],
    ['gateway lab', /unknown Ethernet host 'lab'/],
    ['geneve and gateway four', /'gateway' cannot be used inside geneve or vxlan/],
    ['net nowhere', /unknown network 'nowhere'/],
  ])('%j is refused', (expression, message) => {
    expect(() => compileFilter(expression, { resolver })).toThrow(message);
  });
});

test('frames are what they are meant to be', () => {
  expect(FRAMES.syn.length).toBe(54);
  expect(bytes('0102')).toEqual(Uint8Array.of(1, 2));
});
