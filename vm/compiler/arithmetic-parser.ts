/**
 * Parses the arithmetic of `proto[expr:size]` comparisons: operators by precedence, loads, `len`, numbers.
 *
 * Precedence, loosest first: `|`, `^`, `&`, shifts, `+ -`, `* / %`, unary minus; all associate to the left. (In
 * libpcap's grammar `%` and `^` have no declared precedence; here they have that of C.)
 */

import { FilterSyntaxError, type Span } from './errors.ts';
import type { Token } from './scanner.ts';
import type { Arithmetic, ArithmeticOperator, Relation } from './syntax-tree.ts';
import type { TokenStream } from './token-stream.ts';

const PRECEDENCE: Readonly<Record<ArithmeticOperator, number>> = {
  ...{ '|': 1, '^': 2, '&': 3, '<<': 4, '>>': 4, '+': 5, '-': 5, '*': 6, '/': 6, '%': 6 },
};

/** Operators in one arithmetic expression; keeps every later walk of the tree within the stack. */
const MAX_OPERATORS = 256;

const RELATIONS: Readonly<Record<string, Relation>> = {
  ...{ '=': '=', '==': '=', '!=': '!=', '<': '<', '<=': '<=', '>': '>', '>=': '>=' },
};

/** The relation a token stands for, if it is one. */
export function relationOf(token: Token): Relation | undefined {
  return token.kind === 'punctuation' ? RELATIONS[token.punctuation] : undefined;
}

/** Parses an arithmetic expression whose first operand may have been read already. */
export function parseArithmeticFrom(stream: TokenStream, first?: Arithmetic): Arithmetic {
  const budget = { left: MAX_OPERATORS };
  return parseBinary(stream, first ?? parseUnary(stream), 1, budget);
}

function operatorOf(token: Token): ArithmeticOperator | undefined {
  if (token.kind !== 'punctuation' || !Object.hasOwn(PRECEDENCE, token.punctuation)) return undefined;
  return token.punctuation as ArithmeticOperator;
}

/** Precedence climbing: extends `left` by operators that bind at least as tightly as `minimum`. */
function parseBinary(
  stream: TokenStream,
  first: Arithmetic,
  minimum: number,
  budget: { left: number },
): Arithmetic {
  let left = first;
  for (;;) {
    const operator = operatorOf(stream.next);
    if (operator === undefined || PRECEDENCE[operator] < minimum) return left;
    const { start } = stream.advance();
    if (--budget.left < 0) {
      throw new FilterSyntaxError(start, `arithmetic has more than ${MAX_OPERATORS} operators`);
    }
    const right = parseBinary(stream, parseUnary(stream), PRECEDENCE[operator] + 1, budget);
    left = { kind: 'binary', operator, left, right, start: left.start, end: right.end };
  }
}

function parseUnary(stream: TokenStream): Arithmetic {
  const token = stream.next;
  if (stream.acceptPunctuation('-')) {
    const operand = stream.nest(() => parseUnary(stream));
    return { kind: 'negate', operand, start: token.start, end: operand.end };
  }
  if (stream.acceptPunctuation('(')) {
    const inner = stream.nest(() => parseArithmeticFrom(stream));
    stream.expectPunctuation(')', 'to close the parenthesis');
    return inner;
  }
  if (stream.acceptWord('len')) return { kind: 'length', ...spanOf(token) };
  if (token.kind === 'number') {
    stream.advance();
    return { kind: 'number', value: token.value, ...spanOf(token) };
  }
  if (token.kind === 'protocol') return parseLoad(stream, token);
  return stream.fail("a number, 'len' or packet data such as 'ip[0]'");
}

function spanOf({ start, end }: Span): Span {
  return { start, end };
}

/** `tcp[13]`, `ip[2:2]`. */
function parseLoad(stream: TokenStream, token: Token & { kind: 'protocol' }): Arithmetic {
  stream.advance();
  stream.expectPunctuation('[', `after '${token.text}'`);
  const index = stream.nest(() => parseArithmeticFrom(stream));
  let size = 1;
  if (stream.acceptPunctuation(':')) {
    const { start } = stream.next;
    size = stream.expectNumber('a size of 1, 2 or 4');
    if (size !== 1 && size !== 2 && size !== 4) {
      throw new FilterSyntaxError(start, `the size of the data is ${size}: it must be 1, 2 or 4`);
    }
  }
  stream.expectPunctuation(']', `to close '${token.text}['`);
  return { kind: 'load', protocol: token.protocol, index, size, ...stream.spanFrom(token.start) };
}
