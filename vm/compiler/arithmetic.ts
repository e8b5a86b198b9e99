/**
 * Comparisons of arithmetic: `ip[2:2] - 4 > len / 2`. Constants are folded, constant offsets become absolute
 * loads, and scratch memory holds an intermediate result only when both operands need A or X.
 */

import {
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_DIV,
  BPF_IMM,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JSET,
  BPF_LD,
  BPF_LDX,
  BPF_LEN,
  BPF_LSH,
  BPF_MEM,
  BPF_MISC,
  BPF_MOD,
  BPF_MUL,
  BPF_NEG,
  BPF_OR,
  BPF_RSH,
  BPF_ST,
  BPF_SUB,
  BPF_TAX,
  BPF_X,
  BPF_XOR,
} from '../instruction.ts';
import { SKF_LL_OFF } from '../metadata.ts';
import { type Context, type Offset, shift } from './context.ts';
import {
  equals,
  indexTransport,
  load,
  loadIndexed,
  networkHeader,
  type Size,
  statement,
  test,
} from './emit.ts';
import { FilterSyntaxError } from './errors.ts';
import { fold, holds, isCommutative } from './fold-constants.ts';
import type { Protocol } from './keywords.ts';
import { ETHERTYPE_IP6, linkProtocolIs } from './link-layer.ts';
import { all, FALSE, not, type Predicate, type Statement, TRUE } from './predicate.ts';
import {
  IP_PROTOCOL_NUMBERS,
  ipv4ProtocolIs,
  isFirstIpv4Fragment,
  LINK_PROTOCOL_NUMBERS,
} from './protocol.ts';
import type { Arithmetic, ArithmeticOperator, Condition, Relation } from './syntax-tree.ts';

const OPERATIONS: Readonly<Record<ArithmeticOperator, number>> = {
  ...{ '+': BPF_ADD, '-': BPF_SUB, '*': BPF_MUL, '/': BPF_DIV, '%': BPF_MOD, '&': BPF_AND, '|': BPF_OR },
  ...{ '^': BPF_XOR, '<<': BPF_LSH, '>>': BPF_RSH },
};

/** From here on Linux takes absolute offsets to mean other things than packet data. */
const FIRST_SPECIAL_OFFSET = SKF_LL_OFF;

const IPV6_HEADER_LENGTH = 40;

/** A comparison, true only for packets of every protocol whose data it reads. */
export function lowerComparison(context: Context, condition: Condition & { kind: 'compare' }): Predicate {
  const left = fold(condition.left);
  const right = fold(condition.right);
  const protocols: Predicate[] = [];
  const collect = (node: Arithmetic): void => collectProtocols(context, node, protocols);
  collect(left);
  collect(right);
  return all(...protocols, compare(context, condition.relation, left, right));
}

const MIRRORED: Readonly<Record<Relation, Relation>> = {
  ...{ '=': '=', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' },
};

function compare(context: Context, relation: Relation, left: Arithmetic, right: Arithmetic): Predicate {
  if (left.kind === 'number' && right.kind === 'number') {
    return holds(relation, left.value, right.value) ? TRUE : FALSE;
  }
  if (left.kind === 'number') return compareWithConstant(context, MIRRORED[relation], right, left.value);
  if (right.kind === 'number') return compareWithConstant(context, relation, left, right.value);
  return related(context, relation, evaluatePair(context, left, right, 0, false), 0, BPF_X);
}

function related(
  context: Context,
  relation: Relation,
  statements: readonly Statement[],
  k: number,
  source: number,
): Predicate {
  const note = `${relation} ${source === BPF_X ? 'the right-hand side' : k}?`;
  switch (relation) {
    case '=':
      return test(context, statements, BPF_JEQ | source, k, note);
    case '!=':
      return not(test(context, statements, BPF_JEQ | source, k, note));
    case '>':
      return test(context, statements, BPF_JGT | source, k, note);
    case '<=':
      return not(test(context, statements, BPF_JGT | source, k, note));
    case '>=':
      return test(context, statements, BPF_JGE | source, k, note);
    case '<':
      return not(test(context, statements, BPF_JGE | source, k, note));
  }
}

/** Equality with a constant can absorb an addition, and a mask turns into a bit test. */
function compareWithConstant(context: Context, relation: Relation, node: Arithmetic, k: number): Predicate {
  const equality = relation === '=' || relation === '!=';
  if (equality && node.kind === 'binary' && node.right.kind === 'number') {
    const { operator, left } = node;
    const constant = node.right.value;
    if (operator === '+') return compareWithConstant(context, relation, left, (k - constant) >>> 0);
    if (operator === '-') return compareWithConstant(context, relation, left, (k + constant) >>> 0);
    const oneBit = constant !== 0 && (constant & (constant - 1)) === 0 && k === constant;
    if (operator === '&' && (k === 0 || oneBit)) {
      const set = (relation === '=') === oneBit;
      const statements = evaluate(context, left, 0);
      const bits = test(
        context,
        statements,
        BPF_JSET,
        constant,
        `any bit of 0x${constant.toString(16)} set?`,
      );
      return set ? bits : not(bits);
    }
  }
  return related(context, relation, evaluate(context, node, 0), k, 0);
}

/** Code that leaves a value in A; `depth` intermediate results are in scratch memory already. */
function evaluate(context: Context, node: Arithmetic, depth: number): Statement[] {
  switch (node.kind) {
    case 'number':
      return [statement(context, BPF_LD | BPF_IMM, node.value, String(node.value))];
    case 'length':
      return [statement(context, BPF_LD | BPF_LEN, 0, 'length of the packet')];
    case 'load':
      return evaluateLoad(context, node, depth);
    case 'negate':
      return [...evaluate(context, node.operand, depth), statement(context, BPF_ALU | BPF_NEG, 0, 'negated')];
    case 'binary': {
      const { operator, left, right } = node;
      const operation = BPF_ALU | OPERATIONS[operator];
      if (right.kind === 'number') {
        const note = `${operator} ${right.value}`;
        return [...evaluate(context, left, depth), statement(context, operation, right.value, note)];
      }
      const operands = evaluatePair(context, left, right, depth, isCommutative(operator));
      return [...operands, statement(context, operation | BPF_X, 0, operator)];
    }
  }
}

/** Code that leaves `left` in A and `right` in X, or the other way round when `swappable`. */
function evaluatePair(
  context: Context,
  left: Arithmetic,
  right: Arithmetic,
  depth: number,
  swappable: boolean,
): Statement[] {
  const toX = statement(context, BPF_MISC | BPF_TAX, 0, 'keep it in X');
  if (!overwritesX(context, left)) {
    return [...evaluate(context, right, depth), toX, ...evaluate(context, left, depth)];
  }
  if (swappable && !overwritesX(context, right)) {
    return [...evaluate(context, left, depth), toX, ...evaluate(context, right, depth)];
  }
  const register = context.temporaryRegister(depth);
  const keep = statement(context, BPF_ST, register, 'keep it');
  // The operand that needs more scratch memory comes first, while there is most.
  if (scratchNeeded(left) > scratchNeeded(right)) {
    const restore = statement(context, BPF_LD | BPF_MEM, register, 'what was kept');
    return [...evaluate(context, left, depth), keep, ...evaluate(context, right, depth + 1), toX, restore];
  }
  const restore = statement(context, BPF_LDX | BPF_MEM, register, 'what was kept');
  return [...evaluate(context, right, depth), keep, ...evaluate(context, left, depth + 1), restore];
}

/** Whether the code for a value overwrites X. */
function overwritesX(context: Context, node: Arithmetic): boolean {
  switch (node.kind) {
    case 'number':
    case 'length':
      return false;
    case 'load':
      if (TRANSPORT_LOADS.has(node.protocol)) return true;
      return node.index.kind !== 'number' || headerOf(context, node.protocol).register !== undefined;
    case 'negate':
      return overwritesX(context, node.operand);
    case 'binary':
      return node.right.kind !== 'number' || overwritesX(context, node.left);
  }
}

/** Words of scratch memory the code for a value needs at most. */
function scratchNeeded(node: Arithmetic): number {
  switch (node.kind) {
    case 'number':
    case 'length':
      return 0;
    case 'load':
      return scratchNeeded(node.index);
    case 'negate':
      return scratchNeeded(node.operand);
    case 'binary': {
      const [left, right] = [scratchNeeded(node.left), scratchNeeded(node.right)];
      return left === right ? left + 1 : Math.max(left, right);
    }
  }
}

const TRANSPORT_LOADS: ReadonlySet<Protocol> = new Set([
  ...(['sctp', 'tcp', 'udp', 'icmp', 'igmp', 'igrp', 'pim', 'vrrp', 'carp'] as const),
]);
const NETWORK_LOADS: ReadonlySet<Protocol> = new Set([
  ...(['ip', 'ip6', 'arp', 'rarp', 'atalk', 'decnet', 'sca', 'lat', 'moprc', 'mopdl'] as const),
]);

function evaluateLoad(context: Context, node: Arithmetic & { kind: 'load' }, depth: number): Statement[] {
  if (TRANSPORT_LOADS.has(node.protocol)) return evaluateTransportLoad(context, node, depth);
  const { index, protocol } = node;
  const size = node.size as Size;
  const header = headerOf(context, protocol);
  if (index.kind === 'number' && header.constant + index.value < FIRST_SPECIAL_OFFSET) {
    return load(context, shift(header, index.value), size, `${protocol}[${index.value}:${size}]`);
  }
  const base: Statement[] =
    header.register === undefined
      ? []
      : [
          statement(context, BPF_LDX | BPF_MEM, header.register, 'where the tunnelled packet begins'),
          statement(context, BPF_ALU | BPF_ADD | BPF_X, 0, 'from there'),
        ];
  return [
    ...evaluate(context, index, depth),
    ...base,
    statement(context, BPF_MISC | BPF_TAX, 0, 'as an index'),
    loadIndexed(context, header.constant, size, `${protocol}[...:${size}]`),
  ];
}

/** Where the data of a protocol that has no IPv4 header before it begins. */
function headerOf(context: Context, protocol: Protocol): Offset {
  if (protocol === 'link') return context.linkHeader;
  return networkHeader(context, protocol === 'icmp6' ? IPV6_HEADER_LENGTH : 0);
}

function evaluateTransportLoad(
  context: Context,
  { index, protocol, size }: Arithmetic & { kind: 'load' },
  depth: number,
): Statement[] {
  const header = networkHeader(context, 0);
  if (index.kind === 'number' && header.constant + index.value < FIRST_SPECIAL_OFFSET) {
    const note = `${protocol}[${index.value}:${size}]`;
    return [
      ...indexTransport(context),
      loadIndexed(context, header.constant + index.value, size as Size, note),
    ];
  }
  const toX = statement(context, BPF_MISC | BPF_TAX, 0, 'as an index');
  const add = statement(context, BPF_ALU | BPF_ADD | BPF_X, 0, 'from the transport header');
  const loaded = loadIndexed(context, header.constant, size as Size, `${protocol}[...:${size}]`);
  const indexed = evaluate(context, index, depth);
  if (header.register === undefined) return [...indexed, ...indexTransport(context), add, toX, loaded];
  const register = context.temporaryRegister(depth);
  const keep = statement(context, BPF_ST, register, 'keep the index');
  const restore = statement(context, BPF_LD | BPF_MEM, register, 'the index');
  return [...indexed, keep, ...indexTransport(context), restore, add, toX, loaded];
}

/** The protocols whose data the arithmetic reads, each once, inner ones first. */
function collectProtocols(context: Context, node: Arithmetic, into: Predicate[]): void {
  switch (node.kind) {
    case 'negate':
      collectProtocols(context, node.operand, into);
      break;
    case 'binary':
      collectProtocols(context, node.left, into);
      collectProtocols(context, node.right, into);
      break;
    case 'load':
      collectProtocols(context, node.index, into);
      into.push(carriesData(context, node));
      break;
    default:
      break;
  }
}

/** The packet is of the protocol whose data is read: for a transport protocol, its IPv4 first fragment. */
function carriesData(context: Context, { protocol, start }: Arithmetic & { kind: 'load' }): Predicate {
  if (protocol === 'link') return TRUE;
  if (protocol === 'icmp6') {
    const next = load(context, networkHeader(context, 6), 1, 'IPv6 next header');
    return all(linkProtocolIs(context, ETHERTYPE_IP6), equals(context, next, 58, 'is it ICMPv6?'));
  }
  if (TRANSPORT_LOADS.has(protocol)) {
    const number = IP_PROTOCOL_NUMBERS[protocol]!;
    return all(ipv4ProtocolIs(context, [number]), isFirstIpv4Fragment(context));
  }
  if (NETWORK_LOADS.has(protocol)) return linkProtocolIs(context, LINK_PROTOCOL_NUMBERS[protocol]!);
  throw new FilterSyntaxError(
    start,
    `the data of '${protocol}' cannot be read with an index: use an enclosing protocol`,
  );
}
