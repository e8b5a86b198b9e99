/**
 * Encapsulations: `vlan`, `mpls`, `pppoed`, `pppoes`, `geneve`, `vxlan`. Each tests for itself and then moves the
 * context, so that all that follows in the expression is about what is inside.
 */

import {
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_IMM,
  BPF_JEQ,
  BPF_LD,
  BPF_LDX,
  BPF_LSH,
  BPF_MEM,
  BPF_MISC,
  BPF_ST,
  BPF_STX,
  BPF_TAX,
  BPF_TXA,
  BPF_X,
} from '../instruction.ts';
import { ipv4PortIn, ipv6PortIn, type PortRange } from './address-match.ts';
import { type Context, type Offset, shift } from './context.ts';
import {
  equals,
  equalsMasked,
  indexTransport,
  load,
  loadIndexed,
  loadTransport,
  networkHeader,
  statement,
  test,
} from './emit.ts';
import { linkProtocolIs } from './link-layer.ts';
import { TRANSPORT_NUMBERS } from './names.ts';
import { all, any, type Predicate, type Statement, TRUE } from './predicate.ts';

const ETHERTYPES_VLAN = [0x8100, 0x88a8, 0x9100] as const;
const ETHERTYPE_MPLS = 0x8847;
const PPP_MPLS = 0x0281;
const ETHERTYPE_PPPOE_DISCOVERY = 0x8863;
const ETHERTYPE_PPPOE_SESSION = 0x8864;
const ETHERTYPE_TRANSPARENT_ETHERNET = 0x6558;

const GENEVE_PORT = 6081;
const VXLAN_PORT = 4789;
const UDP_HEADER_LENGTH = 8;
const VXLAN_HEADER_LENGTH = 8;
const GENEVE_HEADER_LENGTH = 8;
const IPV6_HEADER_LENGTH = 40;
const ETHERNET_HEADER_LENGTH = 14;
const ETHERTYPE_OFFSET = 12;

/** Throws unless `value` fits its field. */
function limit(context: Context, what: string, value: number, maximum: number): void {
  if (value > maximum) context.fail(`${what} ${value} is greater than ${maximum}`);
}

/** IEEE 802.1Q, 802.1ad or QinQ, with a VLAN identifier when given. */
export function vlanIs(context: Context, identifier: number | undefined): Predicate {
  if (context.mplsDepth > 0) context.fail("'vlan' cannot be recognised after 'mpls'");
  if (context.encapsulation !== 'ethernet') {
    context.fail(`'vlan' is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
  const tagged = any(...ETHERTYPES_VLAN.map((type) => linkProtocolIs(context, type)));
  let matches = TRUE;
  if (identifier !== undefined) {
    limit(context, 'the VLAN identifier', identifier, 0x0fff);
    const tag = load(context, context.payload, 2, 'VLAN tag');
    matches = equalsMasked(context, tag, identifier, 0x0fff, `is it VLAN ${identifier}?`, 16);
  }
  context.linkProtocol = shift(context.linkProtocol, 4);
  context.payload = shift(context.payload, 4);
  context.vlanDepth++;
  return all(tagged, matches);
}

/** An MPLS label stack entry, with a label when given. */
export function mplsIs(context: Context, label: number | undefined): Predicate {
  const { encapsulation } = context;
  if (context.mplsDepth === 0 && encapsulation !== 'ethernet' && encapsulation !== 'ppp') {
    context.fail(`'mpls' is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
  const previous = load(context, networkHeader(context, -2), 1, 'previous MPLS label');
  const isMpls =
    context.mplsDepth > 0
      ? equalsMasked(context, previous, 0, 0x01, 'is it the bottom of the stack?', 8)
      : linkProtocolIs(context, encapsulation === 'ppp' ? PPP_MPLS : ETHERTYPE_MPLS);
  let matches = TRUE;
  if (label !== undefined) {
    limit(context, 'the MPLS label', label, 0xfffff);
    const entry = load(context, networkHeader(context, 0), 4, 'MPLS label');
    matches = equalsMasked(context, entry, label * 0x1000, 0xfffff000, `is it label ${label}?`);
  }
  context.networkOffset += 4;
  context.llcLength += 4;
  context.mplsDepth++;
  return all(isMpls, matches);
}

export function pppoeDiscoveryIs(context: Context): Predicate {
  return linkProtocolIs(context, ETHERTYPE_PPPOE_DISCOVERY);
}

/** A PPPoE session frame, of one session when given; what follows is about the PPP frame in it. */
export function pppoeSessionIs(context: Context, session: number | undefined): Predicate {
  const isSession = linkProtocolIs(context, ETHERTYPE_PPPOE_SESSION);
  let matches = TRUE;
  if (session !== undefined) {
    limit(context, 'the PPPoE session', session, 0xffff);
    const field = load(context, networkHeader(context, 2), 2, 'PPPoE session');
    matches = equals(context, field, session, `is it session ${session}?`);
  }
  const ppp = networkHeader(context, 6);
  context.encapsulation = 'ppp';
  context.linkHeader = ppp;
  context.linkProtocol = ppp;
  context.payload = shift(ppp, 2);
  context.networkOffset = 0;
  context.llcLength = 0;
  return all(isSession, matches);
}

/** The tunnel's header, over IPv4 and over IPv6: the same tests at other places, and code that finds its end. */
function overUdp(
  context: Context,
  port: number,
  matches: (field: (bytes: number, size: 1 | 4, note: string) => Statement[]) => Predicate,
  locate4: readonly Statement[],
  locate6: readonly Statement[],
): Predicate {
  const ports: readonly PortRange[] = [{ low: port, high: port }];
  const udp = [TRANSPORT_NUMBERS.udp];
  const inIpv4 = (bytes: number, size: 1 | 4, note: string): Statement[] =>
    loadTransport(context, UDP_HEADER_LENGTH + bytes, size, note);
  const inIpv6 = (bytes: number, size: 1 | 4, note: string): Statement[] =>
    load(context, networkHeader(context, IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH + bytes), size, note);
  return any(
    all(ipv4PortIn(context, ports, udp, 'dst'), matches(inIpv4), { kind: 'run', statements: locate4 }),
    all(ipv6PortIn(context, ports, udp, 'dst'), matches(inIpv6), { kind: 'run', statements: locate6 }),
  );
}

/** Puts 40, the length of the IPv6 header, plus the variable part of the payload's offset into X. */
function indexIpv6Transport(context: Context): Statement[] {
  const note = 'length of the IPv6 header';
  const { register } = context.payload;
  if (register === undefined) return [statement(context, BPF_LDX | BPF_IMM, IPV6_HEADER_LENGTH, note)];
  return [
    statement(context, BPF_LD | BPF_MEM, register, 'where the tunnelled packet begins'),
    statement(context, BPF_ALU | BPF_ADD, IPV6_HEADER_LENGTH, note),
    statement(context, BPF_MISC | BPF_TAX, 0, 'where the transport header begins'),
  ];
}

function networkIdentifierIs(
  context: Context,
  identifier: number | undefined,
  field: (bytes: number, size: 1 | 4, note: string) => Statement[],
): Predicate {
  if (identifier === undefined) return TRUE;
  limit(context, 'the VNI', identifier, 0xffffff);
  const loaded = field(4, 4, 'virtual network identifier');
  return equalsMasked(context, loaded, identifier * 0x100, 0xffffff00, `is it VNI ${identifier}?`);
}

function enterEthernet(context: Context, linkHeader: Offset, linkProtocol: Offset, payload: Offset): void {
  context.encapsulation = 'ethernet';
  context.linkHeader = linkHeader;
  context.linkProtocol = linkProtocol;
  context.payload = payload;
  context.networkOffset = 0;
  context.llcLength = 3;
  context.mplsDepth = 0;
  context.vlanDepth = 0;
  context.tunnelled = true;
}

/** VXLAN (RFC 7348): UDP port 4789, the flag for a valid VNI set; always Ethernet inside. */
export function vxlanIs(context: Context, identifier: number | undefined): Predicate {
  const register = context.allocateRegister();
  const inner: Offset = {
    constant: networkHeader(context, UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH).constant,
    register,
  };
  const keep = statement(context, BPF_STX, register, 'where the VXLAN header begins');
  const isVxlan = overUdp(
    context,
    VXLAN_PORT,
    (field) =>
      all(
        equalsMasked(context, field(0, 1, 'VXLAN flags'), 0x08, 0x08, 'does it have a VNI?', 8),
        networkIdentifierIs(context, identifier, field),
      ),
    [...indexTransport(context), keep],
    [...indexIpv6Transport(context), keep],
  );
  enterEthernet(context, inner, shift(inner, ETHERTYPE_OFFSET), shift(inner, ETHERNET_HEADER_LENGTH));
  context.linkHeaderOptional = false;
  return isVxlan;
}

/** Geneve (RFC 8926), version 0: UDP port 6081; inside is Ethernet, or another protocol directly. */
export function geneveIs(context: Context, identifier: number | undefined): Predicate {
  const link = context.allocateRegister();
  const protocol = context.allocateRegister();
  const payload = context.allocateRegister();
  const header = networkHeader(context, UDP_HEADER_LENGTH).constant;
  const keep = [
    statement(context, BPF_MISC | BPF_TXA, 0, 'length of the IP header'),
    statement(context, BPF_ALU | BPF_ADD, header, 'where the Geneve header begins'),
    statement(context, BPF_ST, payload, 'keep it'),
  ];
  const isGeneve = overUdp(
    context,
    GENEVE_PORT,
    (field) =>
      all(
        equalsMasked(context, field(0, 1, 'Geneve version'), 0, 0xc0, 'is it another version than 0?', 8),
        networkIdentifierIs(context, identifier, field),
      ),
    [...indexTransport(context), ...keep],
    [...indexIpv6Transport(context), ...keep],
  );
  const find = findGenevePayload(context, link, protocol, payload);
  const at = (register: number): Offset => ({ constant: 0, register });
  enterEthernet(context, at(link), at(protocol), at(payload));
  context.llcLength = 0;
  context.linkHeaderOptional = true;
  return all(isGeneve, find);
}

/** M[payload] holds where the Geneve header begins; leaves where its payload's parts are. */
function findGenevePayload(context: Context, link: number, protocol: number, payload: number): Predicate {
  const skipHeader: Statement[] = [
    statement(context, BPF_LDX | BPF_MEM, payload, 'where the Geneve header begins'),
    statement(context, BPF_MISC | BPF_TXA, 0, 'where the Geneve header begins'),
    statement(context, BPF_ALU | BPF_ADD, 2, 'its protocol field'),
    statement(context, BPF_ST, protocol, 'names the payload'),
    loadIndexed(context, 0, 1, 'Geneve options length'),
    statement(context, BPF_ALU | BPF_AND, 0x3f, 'in words'),
    statement(context, BPF_ALU | BPF_LSH, 2, 'in bytes'),
    statement(context, BPF_ALU | BPF_ADD, GENEVE_HEADER_LENGTH, 'and the fixed header'),
    statement(context, BPF_ALU | BPF_ADD | BPF_X, 0, 'where the Geneve payload begins'),
    statement(context, BPF_ST, link, 'keep it'),
    statement(context, BPF_ST, payload, 'keep it'),
  ];
  const isEthernet = test(
    context,
    load(context, { constant: 0, register: protocol }, 2, 'Geneve protocol'),
    BPF_JEQ,
    ETHERTYPE_TRANSPARENT_ETHERNET,
    'is it Ethernet?',
  );
  const skipEthernet: Statement[] = [
    statement(context, BPF_LD | BPF_MEM, link, 'where the tunnelled frame begins'),
    statement(context, BPF_ALU | BPF_ADD, ETHERTYPE_OFFSET, 'its EtherType'),
    statement(context, BPF_ST, protocol, 'names the payload'),
    statement(context, BPF_ALU | BPF_ADD, ETHERNET_HEADER_LENGTH - ETHERTYPE_OFFSET, 'and past it'),
    statement(context, BPF_ST, payload, 'where the network header begins'),
  ];
  return all(
    { kind: 'run', statements: skipHeader },
    { kind: 'when', condition: isEthernet, action: { kind: 'run', statements: skipEthernet } },
  );
}
