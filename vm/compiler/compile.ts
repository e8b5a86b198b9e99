/**
 * Compiles pcap-filter(7) expressions to classic BPF.
 *
 * The stages, each a file: scan, parse (syntax tree), lower (predicate: offsets and names resolved for one link
 * type), flow graph, optimize, linearize. All are bounded: by the length of the expression, the depth of its
 * nesting, the number of tests and the length of the program.
 */

import { BPF_MAXINSNS, type Dialect } from '../instruction.ts';
import { Program } from '../program.ts';
import { parseIpv4 } from './addresses.ts';
import { Context, type Settings } from './context.ts';
import { FilterSyntaxError, quote } from './errors.ts';
import { buildGraph } from './flow-graph.ts';
import { initializeRegisters } from './initialize-registers.ts';
import { type AnnotatedInstruction, linearize } from './linearize.ts';
import { LINK_TYPES, type LinkType, type LinkTypeName, linkTypeByName } from './link-type.ts';
import { lower } from './lower.ts';
import { optimize } from './optimizer/optimize.ts';
import { parse } from './parser.ts';
import { TRUE } from './predicate.ts';
import type { Resolver } from './resolver.ts';

/** Bytes to keep of an accepted packet unless told otherwise: all of it, as in tcpdump. */
export const DEFAULT_SNAP_LENGTH = 262144;

export type CompileOptions = {
  /** What the frames begin with; Ethernet (`EN10MB`) unless told. */
  readonly linkType?: LinkTypeName | undefined;
  /** Bytes of an accepted packet to keep, the value the program returns; 262,144 unless told. */
  readonly snapLength?: number | undefined;
  /** Netmask of the network, for `ip broadcast`: dotted, or an unsigned 32-bit number. */
  readonly netmask?: number | string | undefined;
  /** Whether to optimise; the program decides the same without. True unless told. */
  readonly optimize?: boolean | undefined;
  /** Whose rules the program must satisfy; `linux` also gives `inbound`, `outbound` and `ifindex`. */
  readonly dialect?: Dialect | undefined;
  /** Answers for names that are in no table of the compiler. */
  readonly resolver?: Resolver | undefined;
};

/**
 * Compiles an expression; one of nothing but white space accepts every packet.
 *
 * @throws FilterSyntaxError `{ position, message }` for an expression that is not one of pcap-filter(7), does not
 * apply to the link type, names something unknown, or is too large
 * @throws RangeError for options out of range
 */
export function compileFilter(expression: string, options: CompileOptions = {}): Program {
  const instructions = compileAnnotated(expression, options);
  return Program.from(instructions, { dialect: options.dialect });
}

/** The instructions of an expression with what each is for; see `compileFilter`. */
export function compileAnnotated(expression: string, options: CompileOptions): AnnotatedInstruction[] {
  if (typeof expression !== 'string') {
    throw new TypeError(`expression is ${typeof expression}: it must be a string`);
  }
  const settings = settingsOf(options);
  const snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH;
  if (!Number.isInteger(snapLength) || snapLength < 1 || snapLength > 0xffffffff) {
    throw new RangeError(`snapLength is ${snapLength}: it must be an integer from 1 to 4294967295`);
  }
  const condition = parse(expression);
  const predicate = condition === undefined ? TRUE : lower(new Context(settings), condition);
  let graph = initializeRegisters(buildGraph(predicate, snapLength));
  if (options.optimize ?? true) graph = optimize(graph);
  const instructions = linearize(graph);
  if (instructions.length > BPF_MAXINSNS) {
    throw new FilterSyntaxError(
      0,
      `the expression compiles to ${instructions.length} instructions, more than the ${BPF_MAXINSNS} a program may have`,
    );
  }
  return instructions;
}

function settingsOf(options: CompileOptions): Settings {
  return {
    linkType: linkTypeOf(options.linkType ?? 'EN10MB'),
    netmask: netmaskOf(options.netmask),
    dialect: options.dialect ?? 'bsd',
    resolver: options.resolver ?? {},
  };
}

function linkTypeOf(name: string): LinkType {
  const linkType = linkTypeByName(name);
  if (linkType !== undefined) return linkType;
  throw new RangeError(`unknown link type ${quote(name)}: use one of ${Object.keys(LINK_TYPES).join(', ')}`);
}

function netmaskOf(netmask: number | string | undefined): number | undefined {
  if (netmask === undefined) return undefined;
  const literal = typeof netmask === 'string' ? parseIpv4(netmask) : { value: netmask, bits: 32 };
  if (literal?.bits === 32 && literal.value >= 0 && literal.value <= 0xffffffff) return literal.value >>> 0;
  throw new RangeError(
    `netmask is ${quote(String(netmask))}: it must be a dotted IPv4 mask or a 32-bit number`,
  );
}
