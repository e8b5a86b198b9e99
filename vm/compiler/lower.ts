/**
 * Lowers a syntax tree to a predicate: from left to right, as tunnels change what the rest is about.
 *
 * Within a run of `or`, values with the same qualifiers are gathered into one test of several values (and within a
 * run of `and`, negated ones). A packet too short to be tested is rejected wherever that shows, so order matters for
 * nothing else.
 */

import { BPF_ALU, BPF_JGE, BPF_JGT, BPF_JSET, BPF_LD, BPF_LEN, BPF_OR } from '../instruction.ts';
import { lowerComparison } from './arithmetic.ts';
import { arrange } from './arrange.ts';
import { type Context, shift } from './context.ts';
import { equals, equalsMasked, load, networkHeader, statement, test } from './emit.ts';
import {
  ETHERTYPE_IP,
  ETHERTYPE_IP6,
  etherAddressIs,
  hasLinkHeader,
  linkProtocolIs,
  llcIs,
} from './link-layer.ts';
import { lowerMatches, matchKey } from './match.ts';
import type { Match } from './match-common.ts';
import { interfaceIs, outboundIs } from './metadata-match.ts';
import { all, any, not, type Predicate } from './predicate.ts';
import { protocolIs } from './protocol.ts';
import { type Condition, entersTunnel, type PrimitiveName } from './syntax-tree.ts';
import { mplsIs, pppoeDiscoveryIs, pppoeSessionIs, vlanIs } from './tunnel.ts';
import { geneveIs, vxlanIs } from './udp-tunnel.ts';

type Chain = Condition & { readonly kind: 'chain' };

/** Lowers a condition. Its leftmost branch may be as long as the expression, so it is not walked by recursion. */
export function lower(context: Context, condition: Condition): Predicate {
  const chains: { readonly operator: 'and' | 'or'; readonly operands: readonly Condition[] }[] = [];
  let leftmost = condition;
  while (leftmost.kind === 'chain') {
    const operands = flatten(leftmost);
    chains.push({ operator: leftmost.operator, operands });
    leftmost = operands[0]!;
  }
  const innermost = chains.pop();
  if (innermost === undefined) return lowerSimple(context, leftmost);
  let predicate = lowerOperands(context, innermost.operator, innermost.operands);
  for (const { operator, operands } of chains.reverse()) {
    const rest = lowerOperands(context, operator, operands.slice(1));
    predicate = operator === 'and' ? all(predicate, rest) : any(predicate, rest);
  }
  return predicate;
}

/** The operands of a chain, with those of parenthesised chains of the same operator in place of them. */
function flatten({ operator, operands }: Chain): Condition[] {
  const flat: Condition[] = [];
  const pending = [...operands].reverse();
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.kind === 'chain' && next.operator === operator) {
      for (let index = next.operands.length - 1; index >= 0; index--) pending.push(next.operands[index]!);
    } else {
      flat.push(next);
    }
  }
  return flat;
}

/** The operands joined by `operator`; matches that can be tested together stand where the first of them is. */
function lowerOperands(context: Context, operator: 'and' | 'or', operands: readonly Condition[]): Predicate {
  const predicates: Predicate[] = [];
  let at = 0;
  while (at < operands.length) {
    let end = at;
    while (end < operands.length && !entersTunnel(operands[end]!)) end++;
    predicates.push(...arrange(lowerGathered(context, operator, operands.slice(at, end))));
    if (end < operands.length) predicates.push(lower(context, operands[end]!));
    at = end + 1;
  }
  return operator === 'and' ? all(...predicates) : any(...predicates);
}

function lowerGathered(
  context: Context,
  operator: 'and' | 'or',
  operands: readonly Condition[],
): Predicate[] {
  const groups = new Map<string, Match[]>();
  const slots: (Condition | Match[])[] = [];
  for (const operand of operands) {
    const match = gatherable(operator, operand);
    if (match === undefined) {
      slots.push(operand);
      continue;
    }
    const key = matchKey(match);
    const group = groups.get(key);
    if (group !== undefined) {
      group.push(match);
    } else {
      const fresh = [match];
      groups.set(key, fresh);
      slots.push(fresh);
    }
  }
  return slots.map((slot) => {
    if (!Array.isArray(slot)) return lower(context, slot as Condition);
    const matches = lowerMatches(context, slot);
    return operator === 'and' ? not(matches) : matches;
  });
}

/** `a or b`, and `not a and not b`, which is `not (a or b)`. */
function gatherable(operator: 'and' | 'or', operand: Condition): Match | undefined {
  if (operator === 'or') return operand.kind === 'match' ? operand : undefined;
  return operand.kind === 'not' && operand.operand.kind === 'match' ? operand.operand : undefined;
}

function lowerSimple(context: Context, condition: Condition): Predicate {
  const { start, end } = condition;
  context.span = { start, end };
  context.argumentSpan = 'argumentSpan' in condition ? condition.argumentSpan : undefined;
  switch (condition.kind) {
    case 'chain':
      return lower(context, condition);
    case 'not':
      return not(lower(context, condition.operand));
    case 'match':
      return lowerMatches(context, [condition]);
    case 'protocol':
      return protocolIs(context, condition.protocol);
    case 'compare':
      return lowerComparison(context, condition);
    case 'cast':
      return condition.name === 'broadcast'
        ? broadcastIs(context, condition)
        : multicastIs(context, condition);
    case 'primitive':
      return lowerPrimitive(context, condition.name, condition.argument);
    case 'byte':
      return lowerByte(context, condition);
    case 'llc':
      return llcIs(context, condition.type);
  }
}

type Cast = Condition & { readonly kind: 'cast' };

function broadcastIs(context: Context, { protocol }: Cast): Predicate {
  if (protocol === undefined || protocol === 'link') {
    requireEthernet(context, 'broadcast');
    return etherAddressIs(context, new Uint8Array(6).fill(0xff), 'dst');
  }
  if (protocol !== 'ip') return context.fail(`'${protocol} broadcast' does not exist: use 'ether' or 'ip'`);
  const { netmask } = context.settings;
  if (netmask === undefined)
    return context.fail("'ip broadcast' needs the netmask of the network, which was not given");
  const hostMask = ~netmask >>> 0;
  const destination = load(context, networkHeader(context, 16), 4, 'IPv4 destination address');
  return all(
    linkProtocolIs(context, ETHERTYPE_IP),
    any(
      equalsMasked(context, destination, 0, hostMask, 'are all bits of the host 0?'),
      equalsMasked(context, destination, hostMask, hostMask, 'are all bits of the host 1?'),
    ),
  );
}

function multicastIs(context: Context, { protocol }: Cast): Predicate {
  switch (protocol) {
    case undefined:
    case 'link': {
      requireEthernet(context, 'multicast');
      const first = load(context, context.linkHeader, 1, 'destination Ethernet address');
      return all(hasLinkHeader(context), test(context, first, BPF_JSET, 1, 'is it a group address?'));
    }
    case 'ip': {
      const first = load(context, networkHeader(context, 16), 1, 'IPv4 destination address');
      return all(
        linkProtocolIs(context, ETHERTYPE_IP),
        test(context, first, BPF_JGE, 224, 'is it class D or above?'),
      );
    }
    case 'ip6': {
      const first = load(context, networkHeader(context, 24), 1, 'IPv6 destination address');
      return all(linkProtocolIs(context, ETHERTYPE_IP6), equals(context, first, 255, 'is it ff00::/8?'));
    }
    default:
      return context.fail(`'${protocol} multicast' does not exist: use 'ether', 'ip' or 'ip6'`);
  }
}

function requireEthernet(context: Context, what: string): void {
  if (context.encapsulation !== 'ethernet') {
    context.fail(`'${what}' is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
}

function lowerPrimitive(context: Context, name: PrimitiveName, argument: number | undefined): Predicate {
  const length = statement(context, BPF_LD | BPF_LEN, 0, 'length of the packet');
  switch (name) {
    case 'less':
      return not(test(context, [length], BPF_JGT, argument!, `is it longer than ${argument}?`));
    case 'greater':
      return test(context, [length], BPF_JGE, argument!, `is it at least ${argument}?`);
    case 'inbound':
      return not(outboundIs(context, name));
    case 'outbound':
      return outboundIs(context, name);
    case 'ifindex':
      return interfaceIs(context, argument!);
    case 'vlan':
      return vlanIs(context, argument);
    case 'mpls':
      return mplsIs(context, argument);
    case 'pppoed':
      return pppoeDiscoveryIs(context);
    case 'pppoes':
      return pppoeSessionIs(context, argument);
    case 'geneve':
      return geneveIs(context, argument);
    case 'vxlan':
      return vxlanIs(context, argument);
  }
}

function lowerByte(context: Context, { index, operator, value }: Condition & { kind: 'byte' }): Predicate {
  if (value > 255) context.failAtArgument(`the value ${value} does not fit in a byte`);
  const byte = load(context, shift(context.linkHeader, index), 1, `byte ${index}`);
  switch (operator) {
    case '=':
      return equals(context, byte, value, `is it ${value}?`);
    case '>':
      return test(context, byte, BPF_JGT, value, `is it greater than ${value}?`);
    case '<':
      return not(test(context, byte, BPF_JGE, value, `is it at least ${value}?`));
    case '&':
      return test(context, byte, BPF_JSET, value, `any bit of ${value} set?`);
    case '|': {
      const bits = [...byte, statement(context, BPF_ALU | BPF_OR, value, `or ${value}`)];
      return not(equals(context, bits, 0, 'is nothing set?'));
    }
  }
}
