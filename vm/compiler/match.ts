/**
 * Qualified values to predicates: what `tcp port`, `src net` or `ether host` means for each kind of value, and
 * which combinations mean nothing. Values that share their qualifiers are tested together, so that `port 22 or 80`
 * looks for the protocol and loads each port once.
 */

import { type AddressProtocol, addressIn, decnetAddressIs, type PortRange, portIn } from './address-match.ts';
import type { Ipv4Network, Ipv6Network } from './addresses.ts';
import { justifyNetwork, parseIpv4, parseIpv6, parseMac, prefixMask, prefixMasks } from './addresses.ts';
import type { Context } from './context.ts';
import { quote, suggestion } from './errors.ts';
import type { Protocol } from './keywords.ts';
import { etherAddressIs, linkProtocolIs } from './link-layer.ts';
import { ETHER_PROTOCOLS, IP_PROTOCOLS, ISO_PROTOCOLS, TRANSPORT_NUMBERS, type Transport } from './names.ts';
import { all, any, not, type Predicate } from './predicate.ts';
import { ipv4ProtocolIs, ipv6ProtocolIs, isisPduIs, isoProtocolIs } from './protocol.ts';
import { protocolChainHas } from './protocol-chain.ts';
import {
  knownServices,
  resolveEther,
  resolveEtherProtocol,
  resolveHost,
  resolveIpProtocol,
  resolveNetwork,
  resolvePort,
} from './resolver.ts';
import type { Condition, Qualifiers, Value } from './syntax-tree.ts';

export type Match = Condition & { readonly kind: 'match' };

/** Matches of equal key may be tested together. */
export function matchKey({ qualifiers }: Match): string {
  const { protocol, direction, type } = qualifiers;
  const kind = type === undefined || type === 'net' ? 'host' : type;
  return `${protocol} ${direction} ${kind}`;
}

/** Any of the matches, which have the same key. */
export function lowerMatches(context: Context, matches: readonly Match[]): Predicate {
  const whole = { start: matches[0]!.start, end: matches.at(-1)!.end };
  switch (matches[0]!.qualifiers.type) {
    case 'port':
    case 'portrange':
      return lowerPorts(context, matches, whole);
    case 'proto':
    case 'protochain':
      return lowerProtocols(context, matches, whole);
    case 'gateway':
      return any(...matches.map((match) => lowerGateway(context, match)));
    default:
      return lowerAddresses(context, matches, whole);
  }
}

type Whole = { readonly start: number; readonly end: number };

/** `'aarp host' does not apply to ...`. */
function misapplied(context: Context, qualifiers: Qualifiers, what: string, hint = ''): never {
  const { protocol, direction, type } = qualifiers;
  const words = [protocol === 'link' ? 'ether' : protocol, direction, type].filter(
    (word) => word !== undefined,
  );
  return context.fail(`'${words.join(' ')}' does not apply to ${what}${hint}`);
}

function describeValue(value: Value): string {
  switch (value.kind) {
    case 'number':
      return `the number ${value.text}`;
    case 'name':
      return `the name ${quote(value.text)}`;
    case 'ipv4':
      return `the IPv4 ${value.prefix === undefined && value.mask === undefined ? 'address' : 'network'} ${value.text}`;
    case 'ipv6':
      return `the IPv6 ${value.prefix === undefined ? 'address' : 'network'} ${value.text}`;
    case 'mac':
      return `the Ethernet address ${value.text}`;
  }
}

const ADDRESS_PROTOCOLS: ReadonlySet<Protocol> = new Set(['ip', 'arp', 'rarp'] as const);

function lowerAddresses(context: Context, matches: readonly Match[], whole: Whole): Predicate {
  const { protocol, direction } = matches[0]!.qualifiers;
  if (protocol === 'link') return any(...matches.map((match) => lowerEtherHost(context, match)));
  if (protocol === 'decnet') return any(...matches.map((match) => lowerDecnetHost(context, match)));
  const ipv4: Ipv4Network[] = [];
  const ipv6: Ipv6Network[] = [];
  for (const match of matches) {
    context.span = match.value;
    collectNetworks(context, match, ipv4, ipv6);
  }
  context.span = whole;
  return addressIn(context, { ipv4, ipv6 }, protocol as AddressProtocol | 'ip6' | undefined, direction);
}

/** Adds what the value of one `host` or `net` stands for, checking that the qualifiers fit it. */
function collectNetworks(context: Context, match: Match, ipv4: Ipv4Network[], ipv6: Ipv6Network[]): void {
  const { qualifiers, value } = match;
  const { protocol } = qualifiers;
  if (value.kind === 'mac') misapplied(context, qualifiers, describeValue(value), ": use 'ether host'");
  const takesIpv4 = protocol === undefined || ADDRESS_PROTOCOLS.has(protocol);
  const takesIpv6 = protocol === undefined || protocol === 'ip6';
  if (!takesIpv4 && !takesIpv6) misapplied(context, qualifiers, describeValue(value));
  if (value.kind === 'name') {
    if (qualifiers.type === 'net') ipv4.push(networkByName(context, match, takesIpv4));
    else collectHost(context, match, value.name, takesIpv4, takesIpv6, ipv4, ipv6);
  } else if (value.kind === 'ipv6') {
    if (!takesIpv6) misapplied(context, qualifiers, describeValue(value), ": use 'ip6'");
    ipv6.push(ipv6Network(context, qualifiers, value));
  } else {
    if (!takesIpv4) misapplied(context, qualifiers, describeValue(value), ": use 'ip'");
    ipv4.push(ipv4Network(context, qualifiers, value));
  }
}

function networkByName(context: Context, { qualifiers, value }: Match, takesIpv4: boolean): Ipv4Network {
  if (!takesIpv4) misapplied(context, qualifiers, describeValue(value));
  const network = resolveNetwork(context.settings.resolver, value.text);
  return (
    network ?? context.fail(`unknown network ${quote(value.text)}: networks are resolved only by a resolver`)
  );
}

function collectHost(
  context: Context,
  match: Match,
  name: string,
  takesIpv4: boolean,
  takesIpv6: boolean,
  ipv4: Ipv4Network[],
  ipv6: Ipv6Network[],
): void {
  const found = resolveHost(context.settings.resolver, name);
  if (found.ipv4.length + found.ipv6.length === 0) {
    context.fail(`unknown host ${quote(name)}${hostHint(context, name)}`);
  }
  const before = ipv4.length + ipv6.length;
  if (takesIpv4) ipv4.push(...found.ipv4.map((value) => ({ value, mask: 0xffffffff })));
  if (takesIpv6) ipv6.push(...found.ipv6.map((words) => ({ words, masks: prefixMasks(128) })));
  if (ipv4.length + ipv6.length === before) {
    context.fail(`the host ${quote(name)} has no address for '${match.qualifiers.protocol}'`);
  }
}

function hostHint(context: Context, name: string): string {
  const dotless = /^[A-Za-z]+$/.test(name) ? suggestion(name, ['port', 'host', 'proto']) : '';
  if (dotless !== '') return dotless;
  return context.settings.resolver.host === undefined ? ': no resolver was given, so use an address' : '';
}

function ipv4Network(
  context: Context,
  qualifiers: Qualifiers,
  value: Value & { kind: 'number' | 'ipv4' },
): Ipv4Network {
  if (value.kind === 'number') {
    return qualifiers.type === 'net' ? justifyNetwork(value.value) : { value: value.value, mask: 0xffffffff };
  }
  const literal = parseIpv4(value.address);
  if (literal === undefined) return context.fail(`${quote(value.address)} is not an IPv4 address`);
  let mask: number | undefined;
  if (value.mask !== undefined) {
    const maskLiteral = parseIpv4(value.mask);
    if (maskLiteral === undefined) return context.fail(`${quote(value.mask)} is not an IPv4 netmask`);
    mask = maskLiteral.value;
  } else if (value.prefix !== undefined) {
    if (value.prefix > 32) context.fail(`the prefix length ${value.prefix} is greater than 32`);
    mask = prefixMask(value.prefix);
  }
  if (mask === undefined) return { value: literal.value, mask: prefixMask(literal.bits) };
  if (qualifiers.type !== 'net') misapplied(context, qualifiers, describeValue(value), ": use 'net'");
  if ((literal.value & ~mask) !== 0) {
    context.fail(`${quote(value.text)} has bits set beyond its mask: they can never match`);
  }
  return { value: literal.value, mask };
}

function ipv6Network(context: Context, qualifiers: Qualifiers, value: Value & { kind: 'ipv6' }): Ipv6Network {
  const words = parseIpv6(value.address);
  if (words === undefined) return context.fail(`${quote(value.address)} is not an IPv6 address`);
  const length = value.prefix ?? 128;
  if (length > 128) context.fail(`the prefix length ${length} is greater than 128`);
  if (length !== 128 && qualifiers.type !== 'net') {
    misapplied(context, qualifiers, describeValue(value), ": use 'net'");
  }
  const masks = prefixMasks(length);
  if (words.some((word, index) => (word & ~masks[index]!) !== 0)) {
    context.fail(`${quote(value.text)} has bits set beyond its prefix length: they can never match`);
  }
  return { words, masks };
}

function requireEthernet(context: Context, what: string): void {
  if (context.encapsulation !== 'ethernet') {
    context.fail(`${what} is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
}

function lowerEtherHost(context: Context, { qualifiers, value, start, end }: Match): Predicate {
  context.span = { start, end };
  if (qualifiers.type === 'net' || (value.kind !== 'mac' && value.kind !== 'name')) {
    misapplied(context, qualifiers, describeValue(value));
  }
  requireEthernet(context, "'ether host'");
  const address =
    value.kind === 'mac' ? parseMac(value.text) : resolveEther(context.settings.resolver, value.text);
  if (address === undefined) {
    return context.fail(
      `unknown Ethernet host ${quote(value.text)}: such names are resolved only by a resolver`,
    );
  }
  return etherAddressIs(context, address, qualifiers.direction);
}

function lowerDecnetHost(context: Context, { qualifiers, value, start, end }: Match): Predicate {
  context.span = { start, end };
  if (qualifiers.type === 'net' || value.kind !== 'ipv4' || value.text !== value.address) {
    misapplied(context, qualifiers, describeValue(value), ': use AREA.NODE');
  }
  const [area, node, ...rest] = value.text.split('.').map(Number);
  if (area! > 63 || node! > 1023 || rest.length > 0) {
    context.fail(`${quote(value.text)} is not a DECnet address: AREA is up to 63, NODE up to 1023`);
  }
  return decnetAddressIs(context, area! * 1024 + node!, qualifiers.direction);
}

const TRANSPORTS = Object.keys(TRANSPORT_NUMBERS) as readonly Transport[];

function lowerPorts(context: Context, matches: readonly Match[], whole: Whole): Predicate {
  const { protocol, direction } = matches[0]!.qualifiers;
  const ranges = new Map<Transport | undefined, PortRange[]>();
  for (const match of matches) {
    context.span = match.value;
    const { range, transport } = portRange(context, match);
    const known = ranges.get(transport);
    if (known === undefined) ranges.set(transport, [range]);
    else if (!known.some(({ low, high }) => low === range.low && high === range.high)) known.push(range);
  }
  context.span = whole;
  const wanted = protocol as Transport | undefined;
  return any(
    ...[...ranges].map(([transport, each]) => portIn(context, each, wanted ?? transport, direction)),
  );
}

/** The ports of one `port` or `portrange`, and the transport that a service name limits them to. */
function portRange(
  context: Context,
  { qualifiers, value }: Match,
): { range: PortRange; transport?: Transport } {
  const { protocol, type } = qualifiers;
  const wanted = TRANSPORTS.find((transport) => transport === protocol);
  if (protocol !== undefined && wanted === undefined) {
    misapplied(context, qualifiers, 'anything: only tcp, udp and sctp have ports');
  }
  if (value.kind === 'number') return { range: singlePort(checkPort(context, value.value)) };
  if (value.kind !== 'name') return misapplied(context, qualifiers, describeValue(value));
  const ends = type === 'portrange' ? splitRange(value.name) : undefined;
  if (ends === undefined) {
    const { port, transport } = portByName(context, value.name, wanted);
    return { range: singlePort(port), ...(transport !== undefined && { transport }) };
  }
  const [first, last] = ends.map((end) => portByName(context, end, wanted));
  const transport = first!.transport === last!.transport ? first!.transport : undefined;
  const range = { low: Math.min(first!.port, last!.port), high: Math.max(first!.port, last!.port) };
  return { range, ...(transport !== undefined && { transport }) };
}

function singlePort(port: number): PortRange {
  return { low: port, high: port };
}

function checkPort(context: Context, port: number): number {
  return port <= 65535 ? port : context.fail(`the port ${port} is greater than 65535`);
}

/** `25-smtp` in two; service names may themselves have dashes, then the ends cannot be told apart. */
function splitRange(text: string): readonly [string, string] | undefined {
  const dash = text.indexOf('-');
  return dash < 0 ? undefined : [text.slice(0, dash), text.slice(dash + 1)];
}

function portByName(
  context: Context,
  name: string,
  wanted: Transport | undefined,
): { port: number; transport: Transport | undefined } {
  if (/^\d{1,10}$/.test(name)) return { port: checkPort(context, Number(name)), transport: wanted };
  const { resolver } = context.settings;
  const found = resolvePort(resolver, name, wanted);
  if (found !== undefined) return found;
  if (wanted !== undefined && resolvePort(resolver, name, undefined) !== undefined) {
    context.fail(`the service ${quote(name)} has no ${wanted} port`);
  }
  return context.fail(`unknown service ${quote(name)}${suggestion(name, knownServices())}`);
}

function lowerProtocols(context: Context, matches: readonly Match[], whole: Whole): Predicate {
  const { protocol, type } = matches[0]!.qualifiers;
  const numbers: number[] = [];
  for (const match of matches) {
    context.span = match.value;
    numbers.push(protocolNumber(context, match));
  }
  context.span = whole;
  const unique = [...new Set(numbers)];
  if (type === 'protochain') return protocolChainHas(context, unique, protocol as 'ip' | 'ip6' | undefined);
  switch (protocol) {
    case 'link':
      return any(...unique.map((number) => linkProtocolIs(context, number)));
    case 'ip':
      return ipv4ProtocolIs(context, unique);
    case 'ip6':
      return ipv6ProtocolIs(context, unique);
    case 'iso':
      return isoProtocolIs(context, unique);
    case 'isis':
      return isisPduIs(context, unique);
    default:
      return any(ipv4ProtocolIs(context, unique), ipv6ProtocolIs(context, unique));
  }
}

const WITH_PROTO: ReadonlySet<Protocol | undefined> = new Set([
  undefined,
  'link',
  'ip',
  'ip6',
  'iso',
  'isis',
] as const);
const WITH_PROTOCHAIN: ReadonlySet<Protocol | undefined> = new Set([undefined, 'ip', 'ip6'] as const);

function protocolNumber(context: Context, { qualifiers, value }: Match): number {
  const { protocol, type } = qualifiers;
  if (value.kind !== 'number' && value.kind !== 'name') misapplied(context, qualifiers, describeValue(value));
  if (!(type === 'proto' ? WITH_PROTO : WITH_PROTOCHAIN).has(protocol)) {
    misapplied(context, qualifiers, `anything: '${protocol}' carries no numbered protocols`);
  }
  if (value.kind === 'number') {
    const maximum = protocol === 'link' ? 0xffff : 0xff;
    if (value.value > maximum) context.fail(`the protocol number ${value.value} is greater than ${maximum}`);
    return value.value;
  }
  const { text } = value;
  if (protocol === 'link')
    return resolveEtherProtocol(text) ?? unknown(context, text, Object.keys(ETHER_PROTOCOLS));
  if (protocol === 'iso') return ISO_PROTOCOLS[text] ?? unknown(context, text, Object.keys(ISO_PROTOCOLS));
  if (protocol === 'isis') return context.fail("'isis proto' takes the number of a PDU type");
  const number = resolveIpProtocol(context.settings.resolver, text);
  return number ?? unknown(context, text, Object.keys(IP_PROTOCOLS));
}

function unknown(context: Context, name: string, known: readonly string[]): never {
  return context.fail(`unknown protocol ${quote(name)}${suggestion(name, known)}`);
}

/** Passed on by a router: its Ethernet address, but none of its IPv4 addresses. */
function lowerGateway(context: Context, { qualifiers, value, start, end }: Match): Predicate {
  context.span = { start, end };
  const { protocol } = qualifiers;
  if (value.kind !== 'name')
    misapplied(context, qualifiers, describeValue(value), ': a gateway is given by name');
  if (protocol !== undefined && !ADDRESS_PROTOCOLS.has(protocol)) {
    misapplied(context, qualifiers, 'anything: only ip, arp and rarp have gateways');
  }
  requireEthernet(context, "'gateway'");
  if (context.tunnelled) context.fail("'gateway' cannot be used inside geneve or vxlan");
  const { resolver } = context.settings;
  const address = resolveEther(resolver, value.text);
  if (address === undefined) {
    return context.fail(
      `unknown Ethernet host ${quote(value.text)}: such names are resolved only by a resolver`,
    );
  }
  const ipv4 = resolveHost(resolver, value.text).ipv4.map((host) => ({ value: host, mask: 0xffffffff }));
  if (ipv4.length === 0) return context.fail(`the gateway ${quote(value.text)} has no IPv4 address`);
  const hosts = addressIn(context, { ipv4, ipv6: [] }, protocol as AddressProtocol | undefined, undefined);
  return all(etherAddressIs(context, address, undefined), not(hosts));
}
