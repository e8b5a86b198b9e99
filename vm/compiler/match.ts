/**
 * Qualified values to predicates: what `tcp port`, `src net` or `ether host` means for each kind of value, and
 * which combinations mean nothing. Values that share their qualifiers are tested together, so that `port 22 or 80`
 * looks for the protocol and loads each port once.
 */

import { type AddressProtocol, addressIn, decnetAddressIs } from './address-match.ts';
import type { Ipv4Network, Ipv6Network } from './addresses.ts';
import { justifyNetwork, parseIpv4, parseIpv6, parseMac, prefixMask, prefixMasks } from './addresses.ts';
import type { Context } from './context.ts';
import { quote, type Span, suggestion } from './errors.ts';
import type { Protocol } from './keywords.ts';
import { etherAddressIs } from './link-layer.ts';
import { describeValue, type Match, misapplied } from './match-common.ts';
import { lowerPorts, lowerProtocols } from './match-number.ts';
import { all, any, not, type Predicate } from './predicate.ts';
import { resolveEther, resolveHost, resolveNetwork, whyUnknown } from './resolver.ts';
import type { Qualifiers, Value } from './syntax-tree.ts';

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

const ADDRESS_PROTOCOLS: ReadonlySet<Protocol> = new Set(['ip', 'arp', 'rarp'] as const);

function lowerAddresses(context: Context, matches: readonly Match[], whole: Span): Predicate {
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
    network ??
    context.fail(`unknown network ${quote(value.text)}: ${whyUnknown(context.settings.resolver, 'network')}`)
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
  return `: ${whyUnknown(context.settings.resolver, 'host')}`;
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
  context.argumentSpan = value;
  if (qualifiers.type === 'net' || (value.kind !== 'mac' && value.kind !== 'name')) {
    misapplied(context, qualifiers, describeValue(value));
  }
  requireEthernet(context, "'ether host'");
  const address =
    value.kind === 'mac' ? parseMac(value.text) : resolveEther(context.settings.resolver, value.text);
  if (address === undefined) {
    return context.failAtArgument(
      `unknown Ethernet host ${quote(value.text)}: ${whyUnknown(context.settings.resolver, 'ether')}`,
    );
  }
  return etherAddressIs(context, address, qualifiers.direction);
}

function lowerDecnetHost(context: Context, { qualifiers, value, start, end }: Match): Predicate {
  context.span = { start, end };
  context.argumentSpan = value;
  if (qualifiers.type === 'net' || value.kind !== 'ipv4' || value.text !== value.address) {
    misapplied(context, qualifiers, describeValue(value), ': use AREA.NODE');
  }
  const [area, node, ...rest] = value.text.split('.').map(Number);
  if (area! > 63 || node! > 1023 || rest.length > 0) {
    context.failAtArgument(`${quote(value.text)} is not a DECnet address: AREA is up to 63, NODE up to 1023`);
  }
  return decnetAddressIs(context, area! * 1024 + node!, qualifiers.direction);
}

/** Passed on by a router: its Ethernet address, but none of its IPv4 addresses. */
function lowerGateway(context: Context, { qualifiers, value, start, end }: Match): Predicate {
  context.span = { start, end };
  context.argumentSpan = value;
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
    return context.failAtArgument(
      `unknown Ethernet host ${quote(value.text)}: ${whyUnknown(context.settings.resolver, 'ether')}`,
    );
  }
  const ipv4 = resolveHost(resolver, value.text).ipv4.map((host) => ({ value: host, mask: 0xffffffff }));
  if (ipv4.length === 0)
    return context.failAtArgument(`the gateway ${quote(value.text)} has no IPv4 address`);
  const hosts = addressIn(context, { ipv4, ipv6: [] }, protocol as AddressProtocol | undefined, undefined);
  return all(etherAddressIs(context, address, undefined), not(hosts));
}
