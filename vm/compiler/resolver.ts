/**
 * How the compiler learns what names mean: a resolver that the caller passes in, then the compiler's own tables.
 * The compiler itself looks nothing up on the network; without a resolver host names are errors.
 */

import { type Ipv4Network, justifyNetwork, parseIpv4, parseIpv6, parseMac, prefixMask } from './addresses.ts';
import {
  ETHER_PROTOCOLS,
  IP_PROTOCOLS,
  type ServicePorts,
  serviceTable,
  TRANSPORT_NUMBERS,
  type Transport,
} from './names.ts';

/** Answers are text as a filter would have it; undefined, or no such method, means the name is not known. */
export type Resolver = {
  /** IPv4 and IPv6 addresses of a host. */
  readonly host?: (name: string) => readonly string[] | undefined;
  /** The Ethernet address of a host, as in ethers(5). */
  readonly ether?: (name: string) => string | undefined;
  /** A network such as `10.20.0.0/16` or, with the mask of its bytes, `10.20`, as in networks(5). */
  readonly network?: (name: string) => string | undefined;
  /** The port of a service for each transport that has it, as in services(5). */
  readonly service?: (name: string) => ServicePorts | undefined;
  /** An IP protocol number, as in protocols(5). */
  readonly protocol?: (name: string) => number | undefined;
  /** Where names were looked for, as `/etc/hosts`: for the message when one is not known. */
  readonly searched?: {
    readonly host?: string | undefined;
    readonly ether?: string | undefined;
    readonly network?: string | undefined;
  };
};

/** Why a name is not known, for messages: where it was looked for, or that nobody looks names up. */
export function whyUnknown({ searched }: Resolver, kind: 'host' | 'ether' | 'network'): string {
  const places = searched?.[kind];
  return places === undefined
    ? 'names are not resolved; give an address'
    : `it is not in ${places}; give its address`;
}

export type HostAddresses = {
  readonly ipv4: readonly number[];
  readonly ipv6: readonly (readonly number[])[];
};

/** The addresses of a host name; answers that are no addresses are left out. */
export function resolveHost(resolver: Resolver, name: string): HostAddresses {
  const ipv4: number[] = [];
  const ipv6: (readonly number[])[] = [];
  for (const text of resolver.host?.(name) ?? []) {
    const four = parseIpv4(text);
    const six = parseIpv6(text);
    if (four?.bits === 32) ipv4.push(four.value);
    else if (six !== undefined) ipv6.push(six);
  }
  return { ipv4, ipv6 };
}

export function resolveEther(resolver: Resolver, name: string): Uint8Array | undefined {
  const text = resolver.ether?.(name);
  return text === undefined ? undefined : parseMac(text);
}

export function resolveNetwork(resolver: Resolver, name: string): Ipv4Network | undefined {
  const text = resolver.network?.(name);
  const [address, length] = text?.split('/') ?? [];
  const literal = address === undefined ? undefined : parseIpv4(address);
  if (literal === undefined) return undefined;
  if (length !== undefined) {
    const mask = prefixMask(Number(length));
    return { value: (literal.value & mask) >>> 0, mask };
  }
  if (literal.bits === 32) return { value: literal.value, mask: 0xffffffff };
  return justifyNetwork(literal.value / 2 ** (32 - literal.bits));
}

/** A port by service name, and the transport it is limited to: none when every transport that has it agrees. */
export function resolvePort(
  resolver: Resolver,
  name: string,
  wanted: Transport | undefined,
): { port: number; transport: Transport | undefined } | undefined {
  const ports = resolver.service?.(name) ?? serviceTable().get(name);
  if (ports === undefined) return undefined;
  if (wanted !== undefined) {
    const port = ports[wanted];
    return port === undefined ? undefined : { port, transport: wanted };
  }
  const transports = (Object.keys(TRANSPORT_NUMBERS) as Transport[]).filter((t) => ports[t] !== undefined);
  const [first] = transports;
  if (first === undefined) return undefined;
  return { port: ports[first]!, transport: transports.length === 1 ? first : undefined };
}

/** An IP protocol by name. */
export function resolveIpProtocol(resolver: Resolver, name: string): number | undefined {
  return resolver.protocol?.(name) ?? IP_PROTOCOLS[name.toLowerCase()];
}

/** An Ethernet type or LLC service access point by name. */
export function resolveEtherProtocol(name: string): number | undefined {
  return ETHER_PROTOCOLS[name.toLowerCase()];
}

/** Names near which a misspelt one may be. */
export function knownServices(): Iterable<string> {
  return serviceTable().keys();
}
