/**
 * Tunnels over UDP: `geneve` and `vxlan`. Where the tunnelled packet begins depends on the length of the IPv4 header
 * and of options, so it is kept in scratch memory, and offsets inside have a variable part.
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
  equalsMasked,
  indexTransport,
  load,
  loadIndexed,
  loadTransport,
  networkHeader,
  statement,
  test,
} from './emit.ts';
import { TRANSPORT_NUMBERS } from './names.ts';
import { all, any, type Predicate, type Statement, TRUE } from './predicate.ts';

const GENEVE_PORT = 6081;
const VXLAN_PORT = 4789;
const UDP_HEADER_LENGTH = 8;
const VXLAN_HEADER_LENGTH = 8;
const GENEVE_HEADER_LENGTH = 8;
const IPV6_HEADER_LENGTH = 40;
const ETHERNET_HEADER_LENGTH = 14;
const ETHERTYPE_OFFSET = 12;
const ETHERTYPE_TRANSPARENT_ETHERNET = 0x6558;

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
  if (identifier > 0xffffff) context.failAtArgument(`the VNI ${identifier} is greater than ${0xffffff}`);
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
