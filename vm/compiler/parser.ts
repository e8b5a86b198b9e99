/**
 * The parser: tokens to a syntax tree, by the grammar of pcap-filter(7).
 *
 * `and` and `or` bind equally and associate to the left, `not` binds tighter. A value without qualifiers takes
 * those of the nearest value before it: `tcp port 22 or 80`, `host a and not b`, `port (22 or 80)`. Whether `(`
 * opens a condition, a list of values or arithmetic shows only further on, so one routine reads all three.
 */

import { parseArithmeticFrom, relationOf } from './arithmetic-parser.ts';
import { FilterSyntaxError } from './errors.ts';
import { parseNamedPrimitive } from './primitive-parser.ts';
import { scan, type Token } from './scanner.ts';
import {
  type AddressType,
  type Arithmetic,
  type Condition,
  type Direction,
  entersTunnel,
  type Qualifiers,
  type Value,
} from './syntax-tree.ts';
import { describe, TokenStream } from './token-stream.ts';
import { parseValue } from './value-parser.ts';

/**
 * What an operand turned out to be. `inheritable` is what a bare value after it takes its qualifiers from; `bare`
 * says that it is itself a value, or a list of values, without qualifiers of its own.
 */
type ConditionOperand = {
  readonly kind: 'condition';
  readonly condition: Condition;
  readonly inheritable: Qualifiers | undefined;
  readonly bare: boolean;
};
type Operand = ConditionOperand | { readonly kind: 'arithmetic'; readonly arithmetic: Arithmetic };

/** What surrounds an operand: qualifiers a bare value may take, and whether only bare values may stand here. */
type Surroundings = { readonly inherited: Qualifiers | undefined; readonly valuesOnly: boolean };

/**
 * Parses an expression. An expression of nothing but white space is undefined: it matches every packet.
 *
 * @throws FilterSyntaxError
 */
export function parse(text: string): Condition | undefined {
  const stream = new TokenStream(scan(text));
  if (stream.atEnd) return undefined;
  const operand = parseChain(stream, { inherited: undefined, valuesOnly: false });
  const { condition } = requireCondition(stream, operand, undefined);
  if (!stream.atEnd) stream.fail("'and', 'or' or the end of the expression");
  return condition;
}

/** Operands joined by `and` and `or`; a single operand may still be arithmetic. */
function parseChain(stream: TokenStream, surroundings: Surroundings): Operand {
  const start = stream.next.start;
  const first = parseOperand(stream, surroundings);
  if (!stream.isWord('and') && !stream.isWord('or')) return first;

  const leading = requireCondition(stream, first, surroundings.inherited);
  // In parentheses a list that starts with a bare value holds nothing else: `port (22 or 80)`.
  const valuesOnly = surroundings.valuesOnly || leading.bare;
  let { condition: left, inheritable } = leading;
  while (stream.isWord('and') || stream.isWord('or')) {
    const operator = stream.isWord('and') ? 'and' : 'or';
    const operands = [left];
    while (stream.acceptWord(operator)) {
      const operand = parseOperand(stream, { inherited: inheritable, valuesOnly });
      const right = requireCondition(stream, operand, inheritable);
      inheritable = right.inheritable;
      operands.push(right.condition);
    }
    const tunnels = operands.some(entersTunnel);
    left = { kind: 'chain', operator, operands, tunnels, ...stream.spanFrom(start) };
  }
  return { kind: 'condition', condition: left, inheritable, bare: leading.bare };
}

/** Turns a lone number into a value that inherits; any other arithmetic lacks its comparison. */
function requireCondition(
  stream: TokenStream,
  operand: Operand,
  inherited: Qualifiers | undefined,
): ConditionOperand {
  if (operand.kind === 'condition') return operand;
  const { arithmetic } = operand;
  if (arithmetic.kind !== 'number') return stream.fail("a comparison such as '=' or '>'");
  if (inherited === undefined) {
    throw new FilterSyntaxError(
      arithmetic.start,
      `${arithmetic.value} stands alone: say what it is, as in 'port ${arithmetic.value}', or compare it`,
    );
  }
  const value: Value = { ...arithmetic, kind: 'number', text: String(arithmetic.value) };
  return { kind: 'condition', condition: match(inherited, value), inheritable: inherited, bare: true };
}

function match(qualifiers: Qualifiers, value: Value): Condition {
  return { kind: 'match', qualifiers, value, start: Math.min(qualifiers.start, value.start), end: value.end };
}

/** One operand of a chain, with any `not` before it. */
function parseOperand(stream: TokenStream, surroundings: Surroundings): Operand {
  const start = stream.next.start;
  let negated = false;
  let seen = false;
  while (stream.acceptWord('not')) {
    negated = !negated;
    seen = true;
  }
  const operand = parseUnnegated(stream, surroundings);
  if (!seen) return operand;
  const required = requireCondition(stream, operand, surroundings.inherited);
  if (!negated) return required;
  return { ...required, condition: { kind: 'not', operand: required.condition, ...stream.spanFrom(start) } };
}

function parseUnnegated(stream: TokenStream, surroundings: Surroundings): Operand {
  const token = stream.next;
  if (surroundings.valuesOnly) return parseValueOperand(stream, surroundings.inherited!);
  if (stream.isPunctuation('(')) {
    const group = parseGroup(stream, surroundings);
    return group.kind === 'condition' ? group : parseComparison(stream, token.start, group.arithmetic);
  }
  switch (token.kind) {
    case 'number':
      return parseComparison(stream, token.start);
    case 'name':
    case 'ipv4':
    case 'ipv6':
    case 'mac':
      return parseBareValue(stream, surroundings.inherited);
    case 'protocol':
      if (isOpeningBracket(stream.afterNext)) return parseComparison(stream, token.start);
      return parseQualified(stream);
    case 'word':
      if (token.word === 'len') return parseComparison(stream, token.start);
      return parseQualified(stream);
    case 'punctuation':
      if (token.punctuation === '-') return parseComparison(stream, token.start);
      return stream.fail('a filter primitive');
    default:
      return stream.fail('a filter primitive');
  }
}

function isOpeningBracket(token: Token): boolean {
  return token.kind === 'punctuation' && token.punctuation === '[';
}

/** A parenthesised condition, list of values, or arithmetic. */
function parseGroup(stream: TokenStream, surroundings: Surroundings): Operand {
  stream.advance();
  const inner = stream.nest(() => parseChain(stream, surroundings));
  stream.expectPunctuation(')', 'to close the parenthesis');
  if (inner.kind === 'arithmetic') return inner;
  return { ...inner, inheritable: surroundings.inherited };
}

/** Arithmetic, and the comparison after it when there is one. `left` is what was read already. */
function parseComparison(stream: TokenStream, start: number, left?: Arithmetic): Operand {
  const arithmetic = parseArithmeticFrom(stream, left);
  const relation = relationOf(stream.next);
  if (relation === undefined) return { kind: 'arithmetic', arithmetic };
  stream.advance();
  const right = parseArithmeticFrom(stream);
  const span = stream.spanFrom(start);
  return {
    kind: 'condition',
    condition: { kind: 'compare', relation, left: arithmetic, right, ...span },
    inheritable: undefined,
    bare: false,
  };
}

/** Inside `port (...)`: a value, a negated value, or a further parenthesis of them. */
function parseValueOperand(stream: TokenStream, inherited: Qualifiers): Operand {
  if (stream.isPunctuation('(')) return parseGroup(stream, { inherited, valuesOnly: true });
  const value = parseValue(stream);
  return { kind: 'condition', condition: match(inherited, value), inheritable: inherited, bare: true };
}

function parseBareValue(stream: TokenStream, inherited: Qualifiers | undefined): Operand {
  if (inherited !== undefined) return parseValueOperand(stream, inherited);
  const token = stream.next;
  if (token.kind === 'name') return stream.fail('a filter primitive');
  const type = token.kind === 'mac' ? 'ether host' : 'host';
  throw new FilterSyntaxError(
    token.start,
    `${describe(token)} stands alone: say what it is, as in '${type} ${token.text.slice(0, 40)}'`,
  );
}

const ADDRESS_TYPES: ReadonlySet<string> = new Set(['host', 'net', 'port', 'portrange']);
const UNDIRECTED_TYPES: ReadonlySet<string> = new Set(['proto', 'protochain', 'gateway']);

/** What starts with a keyword: a protocol, qualifiers and a value, or one of the named primitives. */
function parseQualified(stream: TokenStream): Operand {
  const start = stream.next.start;
  const first = stream.next;
  const protocol = first.kind === 'protocol' ? first.protocol : undefined;
  if (protocol !== undefined) stream.advance();

  const direction = parseDirection(stream);
  const type = parseType(stream, direction);
  if (direction !== undefined || type !== undefined) {
    const qualifiers: Qualifiers = { protocol, direction, type, ...stream.spanFrom(start) };
    return parseValuesOf(stream, qualifiers);
  }
  const cast = stream.next;
  if (cast.kind === 'word' && (cast.word === 'broadcast' || cast.word === 'multicast')) {
    stream.advance();
    return plain({ kind: 'cast', name: cast.word, protocol, ...stream.spanFrom(start) });
  }
  if (protocol !== undefined) {
    if (stream.next.kind === 'foreign') stream.fail("'and', 'or', or a qualifier such as 'host' or 'port'");
    return plain({ kind: 'protocol', protocol, ...stream.spanFrom(start) });
  }
  return plain(parseNamedPrimitive(stream, start));
}

function plain(condition: Condition): Operand {
  return { kind: 'condition', condition, inheritable: undefined, bare: false };
}

/** The value, or parenthesised or negated values, after a head such as `tcp port`. */
function parseValuesOf(stream: TokenStream, qualifiers: Qualifiers): Operand {
  const { condition } = requireCondition(
    stream,
    parseOperand(stream, { inherited: qualifiers, valuesOnly: true }),
    qualifiers,
  );
  return { kind: 'condition', condition, inheritable: qualifiers, bare: false };
}

/** `src`, `dst`, or both joined by `or` or `and`. */
function parseDirection(stream: TokenStream): Direction | undefined {
  const first = stream.next;
  if (first.kind !== 'word' || (first.word !== 'src' && first.word !== 'dst')) return undefined;
  stream.advance();
  if (!stream.isWord('or') && !stream.isWord('and')) return first.word;
  const operator = stream.acceptWord('or') ? 'or' : 'and';
  if (operator === 'and') stream.advance();
  const other = first.word === 'src' ? 'dst' : 'src';
  if (!stream.acceptWord(other)) stream.fail(`'${other}' after '${first.word} ${operator}'`);
  return operator === 'or' ? 'src or dst' : 'src and dst';
}

function parseType(stream: TokenStream, direction: Direction | undefined): AddressType | undefined {
  const token = stream.next;
  if (token.kind !== 'word') return undefined;
  const undirected = UNDIRECTED_TYPES.has(token.word);
  if (!undirected && !ADDRESS_TYPES.has(token.word)) return undefined;
  if (undirected && direction !== undefined)
    stream.fail(`a value or 'host', 'net', 'port' after '${direction}'`);
  stream.advance();
  return token.word as AddressType;
}
