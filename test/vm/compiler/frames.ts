/** Frames to run filters over: hand-made ones of many kinds, and any Ethernet frames rewrapped as another link type. */

import type { LinkTypeName } from '../../../vm/compiler/index.ts';
import { be, bytes, ethernet, icmp, ipv4, ipv6, ipv6Fragment, SYN, tcp, udp } from '../helpers/frames.ts';
import type { Frame } from '../helpers/vectors.ts';

const PADDING = '00'.repeat(64);

/** ARP or RARP between 198.18.0.1 and 198.18.0.2. */
const ARP = `0001080006040001${'02005e100001'}c6120001${'000000000000'}c6120002`;

/** Geneve (one option word) or VXLAN of VNI 5, around an Ethernet frame. */
const geneve = (protocol: number, payload: string): string =>
  `0100${be(protocol, 2)}0000050000000000${payload}`;
const vxlan = (payload: string): string => `0800000000000500${payload}`;
const innerEthernet = (type: number, payload: string): string =>
  `0200000000aa0200000000bb${be(type, 2)}${payload}`;

/** What IP packets carry in these frames. */
const TRANSPORTS: readonly (readonly [protocol: number, payload: string])[] = [
  ...([
    [6, tcp(80, 40000, SYN)],
    [6, tcp(22, 443)],
    [17, udp(53, 5353)],
    [17, udp(40000, 53)],
  ] as const),
  ...([
    [132, udp(80, 81)],
    [1, icmp(8)],
    [58, icmp(128)],
    [2, icmp(0x16)],
    [47, '0000'],
    [50, '00'.repeat(8)],
  ] as const),
  ...([
    [51, `0604${'00'.repeat(22)}${tcp(80, 1)}`],
    [89, '0201'],
    [112, '21'],
    [103, '20'],
  ] as const),
];

/** Network-layer packets by Ethernet type. */
const PACKETS: readonly (readonly [type: number, packet: string])[] = [
  ...TRANSPORTS.flatMap(([protocol, payload]) => [
    [0x0800, ipv4(protocol, payload)] as const,
    [0x0800, ipv4(protocol, payload, { optionBytes: 8 })] as const,
    [0x0800, ipv4(protocol, payload, { fragment: 0x2003 })] as const,
    [0x86dd, ipv6(protocol, payload)] as const,
    [0x86dd, ipv6(44, ipv6Fragment(protocol, payload))] as const,
    [0x86dd, ipv6(0, `${be(protocol, 1)}00${'00'.repeat(6)}${payload}`)] as const,
  ]),
  [0x0806, ARP],
  [0x8035, ARP],
  ...([0x809b, 0x80f3, 0x6003, 0x88cc, 0x8137, 0x8863] as const).map((type) => [type, PADDING] as const),
];

/** Encapsulations of packets, as Ethernet payloads. */
function encapsulate(type: number, packet: string): (readonly [type: number, payload: string])[] {
  const tagged = `0005${be(type, 2)}${packet}`;
  const pppType = type === 0x0800 ? 0x21 : type === 0x86dd ? 0x57 : 0xc021;
  return [
    [type, packet],
    [0x8100, tagged],
    [0x88a8, `00078100${tagged}`],
    [0x8847, `00005100${packet}`],
    [0x8847, `0000104000005100${packet}`],
    [0x8864, `110000070000${be(pppType, 2)}${packet}`],
    [0x0800, ipv4(17, udp(4000, 6081) + geneve(0x6558, innerEthernet(type, packet)))],
    [0x0800, ipv4(17, udp(4000, 6081) + geneve(type, packet), { optionBytes: 4 })],
    [0x86dd, ipv6(17, udp(4000, 6081) + geneve(type, packet))],
    [0x0800, ipv4(17, udp(4000, 4789) + vxlan(innerEthernet(type, packet)))],
    [0x86dd, ipv6(17, udp(4000, 4789) + vxlan(innerEthernet(type, packet)))],
  ];
}

/** 802.3 frames: OSI (IS-IS), spanning tree, SNAP, raw IPX. */
const LLC: readonly string[] = [
  ...[15, 18, 24, 27].map((type) => `fefe03831b0100${be(type, 1)}0100`),
  ...[
    'fefe0381',
    'fefe0382',
    '424203',
    'aaaa030000000800',
    'aaaa03080007809b',
    'aaaa0300000080f3',
    'ffff0022',
    'e0e003',
  ],
  ...['f0f003', 'f0f00100', 'f0f0000005', '0101af', '0101e3', '060603'],
];

function frame(data: Uint8Array): Frame {
  return { bytes: data, wireLength: data.length };
}

/** Complete Ethernet frames of every kind the language can tell apart, each at least 80 bytes long. */
export const ethernetFrames: readonly Frame[] = [
  ...PACKETS.flatMap(([type, packet]) => encapsulate(type, packet)).map(([type, payload], index) => {
    const destination = ['02005e100002', 'ffffffffffff', '01005e000001', '333300000001'][index % 4]!;
    return frame(ethernet(type, payload + PADDING, destination));
  }),
  ...LLC.map((llc) => frame(ethernet(100, llc + PADDING))),
  frame(bytes(`${'02'.repeat(12)}0800`)),
];

/** The frames as they would look on another link type; Ethernet headers are replaced, payloads kept. */
export function rewrap(frames: readonly Frame[], linkType: LinkTypeName): readonly Frame[] {
  if (linkType === 'EN10MB') return frames;
  return frames.map((original, index) => {
    const header = headerFor(linkType, original.bytes, index);
    const payload = original.bytes.subarray(14);
    const data = new Uint8Array(header.length + payload.length);
    data.set(header);
    data.set(payload, header.length);
    return { bytes: data, wireLength: original.wireLength - 14 + header.length };
  });
}

function headerFor(linkType: LinkTypeName, original: Uint8Array, index: number): Uint8Array {
  const type = original.length >= 14 ? original[12]! * 256 + original[13]! : 0;
  const family = type === 0x0800 ? 2 : type === 0x86dd ? [10, 24, 28, 30][index % 4]! : 7;
  switch (linkType) {
    case 'NULL':
      return Uint8Array.of(family, 0, 0, 0);
    case 'LOOP':
      return Uint8Array.of(0, 0, 0, family);
    case 'LINUX_SLL':
      return bytes(`${be(index % 5, 2)}00010006${'00'.repeat(8)}${be(cookedProtocol(type, original), 2)}`);
    case 'LINUX_SLL2': {
      const packetType = be(index % 5, 1);
      return bytes(
        `${be(cookedProtocol(type, original), 2)}0000${be(index % 3, 4)}0001${packetType}06${'00'.repeat(8)}`,
      );
    }
    default:
      return new Uint8Array(0);
  }
}

/** Linux cooked frames say 1 for raw 802.3 and 4 for 802.2 LLC. */
function cookedProtocol(type: number, original: Uint8Array): number {
  if (type > 1500) return type;
  return original[14] === 0xff && original[15] === 0xff ? 1 : 4;
}
