/** Parses the primitives that are a word and perhaps a number: `vlan 5`, `less 64`, `byte 9 = 6`, `llc xid`. */

import type { Span } from './errors.ts';
import type { Condition, PrimitiveName } from './syntax-tree.ts';
import type { TokenStream } from './token-stream.ts';

/** Primitives that must have a number after them, and those that may. */
const WITH_NUMBER: ReadonlySet<string> = new Set(['less', 'greater', 'ifindex']);
const WITH_OPTIONAL_NUMBER: ReadonlySet<string> = new Set(['vlan', 'mpls', 'pppoes', 'geneve', 'vxlan']);
const WITHOUT_NUMBER: ReadonlySet<string> = new Set(['inbound', 'outbound', 'pppoed']);

/** One primitive, whose text began at `start`. */
export function parseNamedPrimitive(stream: TokenStream, start: number): Condition {
  const token = stream.next;
  if (token.kind !== 'word') return stream.fail('a filter primitive');
  const { word } = token;
  if (word === 'byte') return parseByteTest(stream, start);
  if (word === 'llc') return parseLlc(stream, start);
  const name = word as PrimitiveName;
  const argumentStart = stream.afterNext.start;
  let argument: number | undefined;
  if (WITH_NUMBER.has(word)) {
    stream.advance();
    argument = stream.expectNumber(`a number after '${word}'`);
  } else if (WITH_OPTIONAL_NUMBER.has(word)) {
    stream.advance();
    argument = parseOptionalNumber(stream);
  } else if (WITHOUT_NUMBER.has(word)) {
    stream.advance();
  } else {
    return stream.fail('a filter primitive');
  }
  const argumentSpan = argument === undefined ? undefined : stream.spanFrom(argumentStart);
  return { kind: 'primitive', name, argument, argumentSpan, ...stream.spanFrom(start) };
}

/** `5` or `(5)`, when that is what follows. */
function parseOptionalNumber(stream: TokenStream): number | undefined {
  if (stream.next.kind === 'number') return stream.expectNumber('a number');
  if (!stream.isPunctuation('(')) return undefined;
  stream.advance();
  const value = stream.nest(() => parseOptionalNumber(stream) ?? stream.fail('a number'));
  stream.expectPunctuation(')', 'to close the parenthesis');
  return value;
}

const BYTE_OPERATORS = { '=': '=', '==': '=', '<': '<', '>': '>', '&': '&', '|': '|' } as const;

/** `byte 9 = 6`. */
function parseByteTest(stream: TokenStream, start: number): Condition {
  stream.advance();
  const index = stream.expectNumber("a byte offset after 'byte'");
  const token = stream.next;
  const spelling = token.kind === 'punctuation' ? token.punctuation : '';
  if (!Object.hasOwn(BYTE_OPERATORS, spelling)) return stream.fail("one of '=', '<', '>', '&', '|'");
  stream.advance();
  const operator = BYTE_OPERATORS[spelling as keyof typeof BYTE_OPERATORS];
  const valueStart = stream.next.start;
  const value = stream.expectNumber('a number to compare the byte with');
  const argumentSpan = stream.spanFrom(valueStart);
  return { kind: 'byte', index, operator, value, argumentSpan, ...stream.spanFrom(start) };
}

/** `llc`, or `llc` and a frame type. */
function parseLlc(stream: TokenStream, start: number): Condition {
  stream.advance();
  const token = stream.next;
  let type: string | undefined;
  let argumentSpan: Span | undefined;
  if (token.kind === 'name' || stream.isWord('rnr')) {
    stream.advance();
    type = token.text.toLowerCase();
    argumentSpan = stream.spanFrom(token.start);
  }
  return { kind: 'llc', type, argumentSpan, ...stream.spanFrom(start) };
}
