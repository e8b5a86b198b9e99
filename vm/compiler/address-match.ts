/** Tests of addresses and ports: `host`, `net`, `port`, `portrange`, `gateway`, for several values at once. */

import type { Ipv4Network, Ipv6Network } from './addresses.ts';
import type { Context } from './context.ts';
import { between, equals, equalsMasked, load, loadTransport, networkHeader, oneOf } from './emit.ts';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_DECNET,
  ETHERTYPE_IP,
  ETHERTYPE_IP6,
  ETHERTYPE_RARP,
  eitherOf,
  linkProtocolIs,
} from './link-layer.ts';
import type { Transport } from './names.ts';
import { TRANSPORT_NUMBERS } from './names.ts';
import { all, any, type Predicate, type Statement, TRUE } from './predicate.ts';
import { ipProtocolName, ipv4ProtocolIs, isFirstIpv4Fragment } from './protocol.ts';
import type { Direction } from './syntax-tree.ts';

/** A set of networks, told apart by family. */
export type Networks = { readonly ipv4: readonly Ipv4Network[]; readonly ipv6: readonly Ipv6Network[] };

/** A protocol whose header names IPv4 addresses. */
export type AddressProtocol = 'ip' | 'arp' | 'rarp';
type AddressFields = {
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  readonly name: string;
};

/** Where each protocol that names IPv4 addresses keeps them, from its header. */
const IPV4_ADDRESS_FIELDS: Readonly<Record<AddressProtocol, AddressFields>> = {
  ip: { protocol: ETHERTYPE_IP, source: 12, destination: 16, name: 'IPv4' },
  arp: { protocol: ETHERTYPE_ARP, source: 14, destination: 24, name: 'ARP' },
  rarp: { protocol: ETHERTYPE_RARP, source: 14, destination: 24, name: 'RARP' },
};

/** Source or destination is in one of the networks. Without a protocol IPv4, ARP, RARP and IPv6 count. */
export function addressIn(
  context: Context,
  networks: Networks,
  protocol: AddressProtocol | 'ip6' | undefined,
  direction: Direction | undefined,
): Predicate {
  const tests: Predicate[] = [];
  if (networks.ipv4.length > 0 && protocol !== 'ip6') {
    // After MPLS labels only IP can be recognised.
    const defaults = context.mplsDepth > 0 ? (['ip'] as const) : (['ip', 'arp', 'rarp'] as const);
    for (const each of protocol === undefined ? defaults : [protocol]) {
      tests.push(ipv4AddressIn(context, networks.ipv4, each, direction));
    }
  }
  if (networks.ipv6.length > 0 && (protocol === undefined || protocol === 'ip6')) {
    tests.push(ipv6AddressIn(context, networks.ipv6, direction));
  }
  return any(...tests);
}

function ipv4AddressIn(
  context: Context,
  networks: readonly Ipv4Network[],
  protocol: AddressProtocol,
  direction: Direction | undefined,
): Predicate {
  const fields = IPV4_ADDRESS_FIELDS[protocol];
  const among = (offset: number, end: string): AnyOf<Ipv4Network> => {
    const field = load(context, networkHeader(context, offset), 4, `${fields.name} ${end} address`);
    const isIn = ({ value, mask }: Ipv4Network): Predicate =>
      equalsMasked(context, field, value, mask, `is the ${end} ${dotted(value)}${maskSuffix(mask)}?`);
    return (each) => any(...each.map(isIn));
  };
  const source = among(fields.source, 'source');
  const destination = among(fields.destination, 'destination');
  return all(linkProtocolIs(context, fields.protocol), eachWay(direction, networks, source, destination));
}

/** A test that a field has any of several values. */
type AnyOf<T> = (values: readonly T[]) => Predicate;

/** Without `src and dst`, all sources are tested before all destinations, so that each is loaded once. */
function eachWay<T>(
  direction: Direction | undefined,
  values: readonly T[],
  source: AnyOf<T>,
  destination: AnyOf<T>,
): Predicate {
  if (direction !== 'src and dst') return eitherOf(direction, source(values), destination(values));
  return any(...values.map((value) => all(source([value]), destination([value]))));
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((bits) => (value >>> bits) & 0xff).join('.');
}

function maskSuffix(mask: number): string {
  return mask === 0xffffffff ? '' : ` mask ${dotted(mask)}`;
}

function ipv6AddressIn(
  context: Context,
  networks: readonly Ipv6Network[],
  direction: Direction | undefined,
): Predicate {
  const among =
    (offset: number, end: string): AnyOf<Ipv6Network> =>
    (each) =>
      ipv6WordsIn(context, each, 0, offset, end);
  const matches = eachWay(direction, networks, among(8, 'source'), among(24, 'destination'));
  return all(linkProtocolIs(context, ETHERTYPE_IP6), matches);
}

/** The words of an address from `index` on, those that networks share tested once. */
function ipv6WordsIn(
  context: Context,
  networks: readonly Ipv6Network[],
  index: number,
  offset: number,
  end: string,
): Predicate {
  if (index === 4) return TRUE;
  const groups = new Map<string, Ipv6Network[]>();
  for (const network of networks) {
    const key = `${network.words[index]}/${network.masks[index]}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [network]);
    else group.push(network);
  }
  const field = load(context, networkHeader(context, offset + 4 * index), 4, `IPv6 ${end} address`);
  const tests = [...groups.values()].map((group) => {
    const { words, masks } = group[0]!;
    const note = `is word ${index + 1} of the ${end} 0x${words[index]!.toString(16)}?`;
    const matches = equalsMasked(context, field, words[index]!, masks[index]!, note);
    return all(matches, ipv6WordsIn(context, group, index + 1, offset, end));
  });
  return any(...tests);
}

/** An inclusive range of ports. */
export type PortRange = { readonly low: number; readonly high: number };

/** Source or destination port is in one of the ranges, over one transport protocol or any that has ports. */
export function portIn(
  context: Context,
  ranges: readonly PortRange[],
  transport: Transport | undefined,
  direction: Direction | undefined,
): Predicate {
  const protocols =
    transport === undefined ? Object.values(TRANSPORT_NUMBERS) : [TRANSPORT_NUMBERS[transport]];
  return any(
    ipv4PortIn(context, ranges, protocols, direction),
    ipv6PortIn(context, ranges, protocols, direction),
  );
}

/** The IPv4 half of `portIn`. */
export function ipv4PortIn(
  context: Context,
  ranges: readonly PortRange[],
  protocols: readonly number[],
  direction: Direction | undefined,
): Predicate {
  const source = loadTransport(context, 0, 2, 'source port');
  const destination = loadTransport(context, 2, 2, 'destination port');
  return all(
    ipv4ProtocolIs(context, protocols),
    isFirstIpv4Fragment(context),
    portFieldIn(context, ranges, direction, source, destination),
  );
}

/** The IPv6 half of `portIn`; extension headers are not followed. */
export function ipv6PortIn(
  context: Context,
  ranges: readonly PortRange[],
  protocols: readonly number[],
  direction: Direction | undefined,
): Predicate {
  const next = load(context, networkHeader(context, 6), 1, 'IPv6 next header');
  const source = load(context, networkHeader(context, 40), 2, 'source port');
  const destination = load(context, networkHeader(context, 42), 2, 'destination port');
  return all(
    linkProtocolIs(context, ETHERTYPE_IP6),
    oneOf(context, next, protocols, (number) => `is it ${ipProtocolName(number)}?`),
    portFieldIn(context, ranges, direction, source, destination),
  );
}

function portFieldIn(
  context: Context,
  ranges: readonly PortRange[],
  direction: Direction | undefined,
  source: readonly Statement[],
  destination: readonly Statement[],
): Predicate {
  const within = (field: readonly Statement[], end: string): AnyOf<PortRange> => {
    const isIn = ({ low, high }: PortRange): Predicate =>
      between(context, field, low, high, `${end} port ${low === high ? low : `${low}-${high}`}`);
    return (each) => any(...each.map(isIn));
  };
  return eachWay(direction, ranges, within(source, 'source'), within(destination, 'destination'));
}

/** DECnet node addresses, in the packet formats that carry them: long and short headers, padded by a byte or not. */
export function decnetAddressIs(
  context: Context,
  address: number,
  direction: Direction | undefined,
): Predicate {
  const swapped = ((address & 0xff) << 8) | (address >>> 8);
  const at = (flagsAt: number, flags: number, mask: number, addressAt: number, end: string): Predicate => {
    const size = mask > 0xff ? 2 : 1;
    const field = load(context, networkHeader(context, flagsAt), size, 'DECnet flags');
    const node = load(context, networkHeader(context, addressAt), 2, `DECnet ${end}`);
    return all(
      equalsMasked(context, field, flags, mask, 'is it that packet format?', 8 * size),
      equals(context, node, swapped, `is the ${end} ${address >>> 10}.${address & 0x3ff}?`),
    );
  };
  const formats = (long: number, short: number, end: string): Predicate =>
    any(
      at(2, 0x8106, 0xff07, 3 + long, end),
      at(2, 0x06, 0x07, 2 + long, end),
      at(2, 0x8102, 0xff07, 3 + short, end),
      at(2, 0x02, 0x07, 2 + short, end),
    );
  const matches = eitherOf(direction, formats(15, 3, 'source'), formats(7, 1, 'destination'));
  return all(linkProtocolIs(context, ETHERTYPE_DECNET), matches);
}
