/** Values that are numbers or names of numbers: `port`, `portrange`, `proto`, `protochain`. */

import { type PortRange, portIn } from './address-match.ts';
import type { Context } from './context.ts';
import { quote, type Span, suggestion } from './errors.ts';
import type { Protocol } from './keywords.ts';
import { linkProtocolIs } from './link-layer.ts';
import { describeValue, type Match, misapplied } from './match-common.ts';
import { ETHER_PROTOCOLS, IP_PROTOCOLS, ISO_PROTOCOLS, TRANSPORT_NUMBERS, type Transport } from './names.ts';
import { any, type Predicate } from './predicate.ts';
import { ipv4ProtocolIs, ipv6ProtocolIs, isisPduIs, isoProtocolIs } from './protocol.ts';
import { protocolChainHas } from './protocol-chain.ts';
import { knownServices, resolveEtherProtocol, resolveIpProtocol, resolvePort } from './resolver.ts';

const TRANSPORTS = Object.keys(TRANSPORT_NUMBERS) as readonly Transport[];

/** Any of the ports; the matches have equal keys. */
export function lowerPorts(context: Context, matches: readonly Match[], whole: Span): Predicate {
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

/** `25-smtp` in two, at the first dash as in libpcap: a service whose name has a dash cannot begin a range. */
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

/** Any of the protocols; the matches have equal keys. */
export function lowerProtocols(context: Context, matches: readonly Match[], whole: Span): Predicate {
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
