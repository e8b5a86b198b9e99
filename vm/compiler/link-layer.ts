/**
 * Tests of the link layer: which protocol the payload is, on each encapsulation; Ethernet addresses, LLC.
 *
 * A protocol number above 1500 is an Ethernet type, one up to 1500 an LLC service access point, as the field
 * itself is read on Ethernet.
 */

import { BPF_JEQ, BPF_LD, BPF_LDX, BPF_MEM, BPF_X } from '../instruction.ts';
import { type Context, shift } from './context.ts';
import { bytesEqual, equals, equalsMasked, greater, load, networkHeader, statement, test } from './emit.ts';
import { all, any, FALSE, not, type Predicate, TRUE } from './predicate.ts';
import type { Direction } from './syntax-tree.ts';

export const ETHERTYPE_IP = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_RARP = 0x8035;
export const ETHERTYPE_IP6 = 0x86dd;
export const ETHERTYPE_DECNET = 0x6003;
export const ETHERTYPE_ATALK = 0x809b;
export const ETHERTYPE_AARP = 0x80f3;
export const ETHERTYPE_IPX = 0x8137;
export const SAP_ISO = 0xfe;
export const SAP_STP = 0x42;
export const SAP_IPX = 0xe0;
export const SAP_NETBEUI = 0xf0;
const SAP_IP = 0x06;

/** A length/type field above this is an Ethernet type. */
const LONGEST_802_3_LENGTH = 1500;

/** Protocol field of Linux cooked frames: raw 802.3 (no LLC header), and 802.2 LLC. */
const SLL_802_3 = 0x0001;
const SLL_802_2 = 0x0004;

/** Address families of BSD loopback headers; AF_INET6 is that of Linux. */
const AF_INET = 2;
const AF_INET6 = 10;

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  ...([
    [ETHERTYPE_IP, 'IPv4'],
    [ETHERTYPE_IP6, 'IPv6'],
    [ETHERTYPE_ARP, 'ARP'],
  ] as const),
  ...([
    [ETHERTYPE_RARP, 'RARP'],
    [SAP_ISO, 'OSI'],
    [SAP_STP, 'spanning tree'],
  ] as const),
  ...([
    [0x8100, '802.1Q'],
    [0x88a8, '802.1ad'],
    [0x9100, 'QinQ'],
    [0x8847, 'MPLS'],
  ] as const),
  ...([
    [0x8863, 'PPPoE discovery'],
    [0x8864, 'PPPoE session'],
    [ETHERTYPE_ATALK, 'AppleTalk'],
  ] as const),
]);

function protocolName(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? `protocol 0x${protocol.toString(16)}`;
}

/** The payload's protocol is `protocol`. */
export function linkProtocolIs(context: Context, protocol: number): Predicate {
  if (context.mplsDepth > 0) return mplsPayloadIs(context, protocol);
  const note = `is it ${protocolName(protocol)}?`;
  switch (context.encapsulation) {
    case 'ethernet':
      return ethernetProtocolIs(context, protocol, note);
    case 'sll':
    case 'sll2':
      return cookedProtocolIs(context, protocol, note);
    case 'raw':
      return ipVersionIs(context, protocol, note);
    case 'ipv4':
      return protocol === ETHERTYPE_IP ? TRUE : FALSE;
    case 'ipv6':
      return protocol === ETHERTYPE_IP6 ? TRUE : FALSE;
    case 'null':
    case 'loop':
      return addressFamilyIs(context, protocol, note);
    case 'ppp':
      return equals(context, loadProtocol(context), PPP_PROTOCOLS.get(protocol) ?? protocol, note);
  }
}

function loadProtocol(context: Context): ReturnType<typeof load> {
  const note = context.encapsulation === 'ethernet' ? 'EtherType or 802.3 length' : 'protocol of the payload';
  return load(context, context.linkProtocol, 2, note);
}

function loadLlc(context: Context, bytes: number, size: 1 | 2 | 4): ReturnType<typeof load> {
  return load(context, shift(context.payload, bytes), size, 'LLC header');
}

function ethernetProtocolIs(context: Context, protocol: number, note: string): Predicate {
  if (protocol > LONGEST_802_3_LENGTH) {
    const ethernet2 = equals(context, loadProtocol(context), protocol, note);
    const snapOrganization = SNAP_ORGANIZATIONS.get(protocol);
    if (snapOrganization === undefined) return ethernet2;
    return any(ethernet2, all(isLlcLength(context), snapIs(context, snapOrganization, protocol, note)));
  }
  if (protocol === SAP_IPX) {
    const novell = equals(context, loadLlc(context, 0, 2), 0xffff, 'is it raw 802.3 IPX?');
    const snap = snapIs(context, 0, ETHERTYPE_IPX, note);
    return any(
      equals(context, loadProtocol(context), ETHERTYPE_IPX, note),
      all(isLlcLength(context), any(snap, sapIs(context, protocol, note), novell)),
    );
  }
  return all(isLlcLength(context), sapIs(context, protocol, note));
}

function cookedProtocolIs(context: Context, protocol: number, note: string): Predicate {
  const field = loadProtocol(context);
  const isLlc = equals(context, field, SLL_802_2, 'is it 802.2 LLC?');
  if (protocol > LONGEST_802_3_LENGTH) {
    const ethernet2 = equals(context, field, protocol, note);
    const snapOrganization = SNAP_ORGANIZATIONS.get(protocol);
    if (snapOrganization === undefined) return ethernet2;
    return any(ethernet2, all(isLlc, snapIs(context, snapOrganization, protocol, note)));
  }
  if (protocol === SAP_IPX) {
    return any(
      equals(context, field, ETHERTYPE_IPX, note),
      equals(context, field, SLL_802_3, 'is it raw 802.3?'),
      all(isLlc, any(snapIs(context, 0, ETHERTYPE_IPX, note), sapIs(context, protocol, note))),
    );
  }
  return all(isLlc, sapIs(context, protocol, note));
}

/** Ethernet types that also come in 802.2 SNAP frames, and the organization they come under. */
const SNAP_ORGANIZATIONS: ReadonlyMap<number, number> = new Map([
  [ETHERTYPE_ATALK, 0x080007],
  [ETHERTYPE_AARP, 0x000000],
]);

/** The whole SNAP header: DSAP and SSAP 0xaa, control 3, organization, protocol. */
function snapIs(context: Context, organization: number, protocol: number, note: string): Predicate {
  const header = new Uint8Array(8);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0xaaaa0300 + (organization >>> 16));
  view.setUint32(4, ((organization & 0xffff) << 16) | protocol);
  return bytesEqual(context, context.payload, header, note);
}

/** OSI, NetBEUI and IP-over-802.2 have the same source and destination; of others the destination counts. */
function sapIs(context: Context, sap: number, note: string): Predicate {
  if (sap === SAP_ISO || sap === SAP_NETBEUI || sap === SAP_IP) {
    return equals(context, loadLlc(context, 0, 2), (sap << 8) | sap, note);
  }
  return equals(context, loadLlc(context, 0, 1), sap, note);
}

function isLlcLength(context: Context): Predicate {
  return not(greater(context, loadProtocol(context), LONGEST_802_3_LENGTH, 'is it an EtherType?'));
}

function ipVersionIs(context: Context, protocol: number, note: string): Predicate {
  const version = protocol === ETHERTYPE_IP ? 0x40 : protocol === ETHERTYPE_IP6 ? 0x60 : undefined;
  if (version === undefined) return FALSE;
  return equalsMasked(context, load(context, context.linkHeader, 1, 'IP version'), version, 0xf0, note, 8);
}

/** DLT_NULL has the family in host byte order; captures of little-endian machines are what there is. */
function addressFamilyIs(context: Context, protocol: number, note: string): Predicate {
  const family = protocol === ETHERTYPE_IP ? AF_INET : protocol === ETHERTYPE_IP6 ? AF_INET6 : undefined;
  if (family === undefined) return FALSE;
  const value = context.encapsulation === 'null' ? family << 24 : family;
  return equals(context, load(context, context.linkHeader, 4, 'address family'), value, note);
}

/** PPP protocol numbers of what Ethernet types and SAPs stand for. */
const PPP_PROTOCOLS: ReadonlyMap<number, number> = new Map([
  ...([
    [ETHERTYPE_IP, 0x0021],
    [ETHERTYPE_IP6, 0x0057],
    [ETHERTYPE_DECNET, 0x0027],
  ] as const),
  ...([
    [ETHERTYPE_ATALK, 0x0029],
    [0x0600, 0x0025],
    [SAP_ISO, 0x0023],
    [SAP_STP, 0x0031],
  ] as const),
  ...([[SAP_IPX, 0x002b]] as const),
]);

/** After MPLS labels nothing names the payload: take the bottom-of-stack bit and the IP version. */
function mplsPayloadIs(context: Context, protocol: number): Predicate {
  const version = protocol === ETHERTYPE_IP ? 0x40 : protocol === ETHERTYPE_IP6 ? 0x60 : undefined;
  if (version === undefined) return context.fail('after mpls only IPv4 and IPv6 can be told apart');
  const label = load(context, networkHeader(context, -2), 1, 'last MPLS label');
  const header = load(context, networkHeader(context, 0), 1, 'IP version');
  return all(
    equalsMasked(context, label, 0x01, 0x01, 'is it the bottom of the stack?', 8),
    equalsMasked(context, header, version, 0xf0, `is it ${protocolName(protocol)}?`, 8),
  );
}

/** Ethernet source or destination address. */
export function etherAddressIs(
  context: Context,
  address: Uint8Array,
  direction: Direction | undefined,
): Predicate {
  const source = bytesEqual(context, shift(context.linkHeader, 6), address, 'source Ethernet address');
  const destination = bytesEqual(context, context.linkHeader, address, 'destination Ethernet address');
  return all(hasLinkHeader(context), eitherOf(direction, source, destination));
}

/** Combines a source and a destination test as the direction says; no direction means either. */
export function eitherOf(
  direction: Direction | undefined,
  source: Predicate,
  destination: Predicate,
): Predicate {
  switch (direction) {
    case 'src':
      return source;
    case 'dst':
      return destination;
    case 'src and dst':
      return all(source, destination);
    default:
      return any(source, destination);
  }
}

/** Inside geneve: the tunnelled packet begins with an Ethernet header. */
export function hasLinkHeader(context: Context): Predicate {
  const { linkHeader, payload } = context;
  if (!context.linkHeaderOptional || linkHeader.register === undefined || payload.register === undefined) {
    return TRUE;
  }
  const note = 'does the tunnelled packet begin at its network header?';
  const statements = [
    statement(context, BPF_LDX | BPF_MEM, payload.register, 'where the network header begins'),
    statement(context, BPF_LD | BPF_MEM, linkHeader.register, 'where the tunnelled packet begins'),
  ];
  return not(test(context, statements, BPF_JEQ | BPF_X, 0, note));
}

/** LLC frame types: bits of the control byte that tell, and their value. */
const LLC_TYPES: Readonly<Record<string, readonly [mask: number, value: number]>> = {
  ...{ i: [0x01, 0x00], s: [0x03, 0x01], u: [0x03, 0x03] },
  ...{ rr: [0x0f, 0x01], rnr: [0x0f, 0x05], rej: [0x0f, 0x09] },
  ...{ ui: [0xef, 0x03], ua: [0xef, 0x63], disc: [0xef, 0x43], dm: [0xef, 0x0f], sabme: [0xef, 0x6f] },
  ...{ test: [0xef, 0xe3], xid: [0xef, 0xaf], frmr: [0xef, 0x87] },
};

/** An 802.2 LLC frame, of one type when given. */
export function llcIs(context: Context, type: string | undefined): Predicate {
  if (context.encapsulation !== 'ethernet') {
    return context.fail(`'llc' is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
  const novell = equals(context, loadLlc(context, 0, 2), 0xffff, 'is it raw 802.3 IPX?');
  const isLlc = all(isLlcLength(context), not(novell));
  if (type === undefined) return isLlc;
  const bits = Object.hasOwn(LLC_TYPES, type) ? LLC_TYPES[type] : undefined;
  if (bits === undefined) {
    return context.failAtArgument(
      `unknown LLC type '${type.slice(0, 40)}': use one of ${Object.keys(LLC_TYPES).join(', ')}`,
    );
  }
  const control = load(context, shift(context.payload, 2), 1, 'LLC control');
  return all(isLlc, equalsMasked(context, control, bits[1], bits[0], `is it LLC ${type}?`, 8));
}
