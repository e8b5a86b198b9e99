/**
 * `protochain`: an IP protocol anywhere in the chain of headers.
 *
 * libpcap follows the chain in a loop, which no kernel's validator accepts. Here the loop is unrolled: the program
 * only jumps forward, and follows at most `MAX_EXTENSION_HEADERS` headers, more than RFC 8200 lets a packet have.
 */

import {
  BPF_ADD,
  BPF_ALU,
  BPF_IMM,
  BPF_LD,
  BPF_LDX,
  BPF_LSH,
  BPF_MEM,
  BPF_ST,
  BPF_STX,
  BPF_X,
} from '../instruction.ts';
import type { Context } from './context.ts';
import { equals, indexTransport, load, loadIndexed, networkHeader, oneOf, statement } from './emit.ts';
import { ETHERTYPE_IP, ETHERTYPE_IP6, linkProtocolIs } from './link-layer.ts';
import { all, any, type Predicate, type Statement } from './predicate.ts';
import { ipProtocolName } from './protocol.ts';

/** Headers between the IP header and the one looked for; over IPv4 only AH can be one. */
export const MAX_EXTENSION_HEADERS = 8;
const MAX_IPV4_HEADERS = 2;

/** Hop-by-hop options, routing, fragment, destination options. */
const IPV6_EXTENSIONS = [0, 43, 44, 60] as const;
const AUTHENTICATION_HEADER = 51;

/** One of `numbers` is in the header chain of an IPv4 (`ip`), IPv6 (`ip6`) or any IP packet. */
export function protocolChainHas(
  context: Context,
  numbers: readonly number[],
  version: 'ip' | 'ip6' | undefined,
): Predicate {
  if (version === undefined) {
    return any(protocolChainHas(context, numbers, 'ip'), protocolChainHas(context, numbers, 'ip6'));
  }
  const chain = new HeaderChain(context, version === 'ip6');
  let found: Predicate = chain.isOneOf(numbers);
  const headers = version === 'ip6' ? MAX_EXTENSION_HEADERS : MAX_IPV4_HEADERS;
  for (let header = 0; header < headers; header++) {
    found = any(chain.isOneOf(numbers), all(chain.advance(), found));
  }
  return all(linkProtocolIs(context, version === 'ip' ? ETHERTYPE_IP : ETHERTYPE_IP6), chain.begin(), found);
}

/** Keeps the current header's protocol and place in scratch memory. */
class HeaderChain {
  readonly #context: Context;
  readonly #isIpv6: boolean;
  readonly #protocol: number;
  readonly #place: number;

  constructor(context: Context, isIpv6: boolean) {
    this.#context = context;
    this.#isIpv6 = isIpv6;
    this.#protocol = context.temporaryRegister(0);
    this.#place = context.temporaryRegister(1);
  }

  #statement(code: number, k: number, note: string): Statement {
    return statement(this.#context, code, k, note);
  }

  #current(): Statement[] {
    return [this.#statement(BPF_LD | BPF_MEM, this.#protocol, 'protocol of the header')];
  }

  /** Stands on the header after the IP header. */
  begin(): Predicate {
    const context = this.#context;
    const first = load(
      context,
      networkHeader(context, this.#isIpv6 ? 6 : 9),
      1,
      'protocol of the first header',
    );
    const { register } = context.payload;
    const keepPlace = this.#statement(BPF_ST, this.#place, 'where the header begins');
    const place = this.#isIpv6
      ? [
          register === undefined
            ? this.#statement(BPF_LD | BPF_IMM, 40, 'length of the IPv6 header')
            : this.#statement(BPF_LD | BPF_MEM, register, 'where the tunnelled packet begins'),
          ...(register === undefined ? [] : [this.#statement(BPF_ALU | BPF_ADD, 40, 'past the IPv6 header')]),
          keepPlace,
        ]
      : [...indexTransport(context), this.#statement(BPF_STX, this.#place, 'where the header begins')];
    const keep = this.#statement(BPF_ST, this.#protocol, 'keep it');
    return { kind: 'run', statements: [...first, keep, ...place] };
  }

  isOneOf(numbers: readonly number[]): Predicate {
    return oneOf(this.#context, this.#current(), numbers, (number) => `is it ${ipProtocolName(number)}?`);
  }

  /** Steps to the next header; false when this header has none that can be followed. */
  advance(): Predicate {
    const isAuthentication = equals(this.#context, this.#current(), AUTHENTICATION_HEADER, 'is it AH?');
    const authentication = all(isAuthentication, this.#step(2, 2));
    if (!this.#isIpv6) return authentication;
    const isExtension = oneOf(
      this.#context,
      this.#current(),
      IPV6_EXTENSIONS,
      (n) => `is it extension ${n}?`,
    );
    return any(all(isExtension, this.#step(1, 3)), authentication);
  }

  /** The length byte counts units of 2^`shift` bytes, without the first `extra` of them. */
  #step(extra: number, shift: number): Predicate {
    const { constant } = networkHeader(this.#context, 0);
    const statements = [
      this.#statement(BPF_LDX | BPF_MEM, this.#place, 'where the header begins'),
      loadIndexed(this.#context, constant, 1, 'protocol of the next header'),
      this.#statement(BPF_ST, this.#protocol, 'keep it'),
      loadIndexed(this.#context, constant + 1, 1, 'length of the header'),
      this.#statement(BPF_ALU | BPF_ADD, extra, 'units it does not count'),
      this.#statement(BPF_ALU | BPF_LSH, shift, 'in bytes'),
      this.#statement(BPF_ALU | BPF_ADD | BPF_X, 0, 'where the next header begins'),
      this.#statement(BPF_ST, this.#place, 'keep it'),
    ];
    return { kind: 'run', statements };
  }
}
