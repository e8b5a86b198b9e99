/**
 * The scanner: text of a pcap-filter(7) expression to tokens, each with its place in the text.
 *
 * As in libpcap's scanner the longest match wins: `25-smtp` is one name (a port range), `tcp-syn` one constant,
 * `1.2.3.4` one address, `2001:db8::1` one address, `ip[2:2]` seven tokens.
 */

import { parseIpv6, parseMac } from './addresses.ts';
import { FilterSyntaxError, quote, type Span } from './errors.ts';
import {
  CONSTRUCT_WORDS,
  type Construct,
  FOREIGN_WORDS,
  NAMED_NUMBERS,
  PROTOCOL_WORDS,
  type Protocol,
} from './keywords.ts';

/** Punctuation and operators; `&&`, `||` and `!` scan as the words they stand for. */
export type Punctuation =
  | ('<<' | '>>' | '<=' | '>=' | '!=' | '==' | '=' | '<' | '>' | '(' | ')' | '[' | ']' | ':')
  | ('+' | '-' | '*' | '/' | '%' | '&' | '|' | '^');

/** Longer spellings first. */
const PUNCTUATION = '<< >> <= >= != == = < > ( ) [ ] : + - * / % & | ^'.split(' ') as readonly Punctuation[];

/** One token. `text` is as written; a `name` written with a leading backslash has it removed in `name`. */
export type Token = Span & { readonly text: string } & (
    | { readonly kind: 'protocol'; readonly protocol: Protocol }
    | { readonly kind: 'word'; readonly word: Construct }
    | { readonly kind: 'foreign'; readonly where: string }
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'ipv4' | 'ipv6' | 'mac' }
    | { readonly kind: 'punctuation'; readonly punctuation: Punctuation }
    | { readonly kind: 'end' }
  );

/** Longest expression, in UTF-16 code units: far more than fits in the longest program. */
export const MAX_EXPRESSION_LENGTH = 0x20000;

const SPACE = /[ \r\n\t]*/y;
const WORD = /[A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?/y;
const ESCAPED = /\\[^ !()\n\t]+/y;
const COLON_ADDRESS = /[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*/y;
const NUMBER = /^(?:\d+|0[xX][0-9A-Fa-f]+)$/;
const DOTTED = /^(?:\d+|0[xX][0-9A-Fa-f]+)(?:\.(?:\d+|0[xX][0-9A-Fa-f]+)){1,3}$/;

/**
 * Splits an expression into tokens; the last is of kind `end`.
 *
 * @throws FilterSyntaxError for text that is no token, a number that does not fit 32 bits, an expression that
 * is too long
 */
export function scan(text: string): Token[] {
  if (text.length > MAX_EXPRESSION_LENGTH) {
    throw new FilterSyntaxError(
      MAX_EXPRESSION_LENGTH,
      `the expression has ${text.length} characters, more than the limit of ${MAX_EXPRESSION_LENGTH}`,
    );
  }
  const tokens: Token[] = [];
  let at = matchEnd(SPACE, text, 0);
  while (at < text.length) {
    const token = scanToken(text, at);
    tokens.push(token);
    at = matchEnd(SPACE, text, token.end);
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length });
  return tokens;
}

/** Where the match of a sticky pattern at `at` ends; `at` itself when it does not match. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

function scanToken(text: string, start: number): Token {
  const wordEnd = matchEnd(WORD, text, start);
  const colonEnd = matchEnd(COLON_ADDRESS, text, start);
  if (colonEnd > wordEnd) {
    const address = scanColonAddress(text, start, colonEnd);
    if (address !== undefined) return address;
  }
  if (wordEnd > start) return scanWord(text, start, wordEnd);
  const escapedEnd = matchEnd(ESCAPED, text, start);
  if (escapedEnd > start) {
    const name = text.slice(start + 1, escapedEnd);
    return { kind: 'name', name, text: `\\${name}`, start, end: escapedEnd };
  }
  return scanPunctuation(text, start);
}

/** `fe80::1` or `1:2:3:4:5:6`; undefined for a lone colon, as in `ip[2:2]`. */
function scanColonAddress(text: string, start: number, end: number): Token | undefined {
  const address = text.slice(start, end);
  if (parseIpv6(address) !== undefined) return { kind: 'ipv6', text: address, start, end };
  if (parseMac(address) !== undefined) return { kind: 'mac', text: address, start, end };
  if (address.indexOf(':') === address.lastIndexOf(':')) return undefined;
  throw new FilterSyntaxError(start, `${quote(address)} is neither an IPv6 nor an Ethernet address`);
}

function scanWord(text: string, start: number, end: number): Token {
  const word = text.slice(start, end);
  const place = { text: word, start, end };
  const protocol = PROTOCOL_WORDS[word];
  if (protocol !== undefined) return { kind: 'protocol', protocol, ...place };
  const construct = CONSTRUCT_WORDS[word];
  if (construct !== undefined) return { kind: 'word', word: construct, ...place };
  const named = NAMED_NUMBERS[word];
  if (named !== undefined) return { kind: 'number', value: named, ...place };
  const where = FOREIGN_WORDS[word];
  if (where !== undefined) return { kind: 'foreign', where, ...place };
  if (parseMac(word) !== undefined) return { kind: 'mac', ...place };
  if (NUMBER.test(word)) return { kind: 'number', value: readNumber(word, start), ...place };
  if (DOTTED.test(word)) return { kind: 'ipv4', ...place };
  return { kind: 'name', name: word, ...place };
}

/** Decimal, 0x hexadecimal, or octal after a leading 0, as in C. */
function readNumber(text: string, start: number): number {
  const octal = /^0\d/.test(text);
  if (octal && /[89]/.test(text)) {
    throw new FilterSyntaxError(
      start,
      `${quote(text)} starts with 0, so it is octal: it cannot have the digit 8 or 9`,
    );
  }
  const value = octal ? Number(`0o${text.slice(1)}`) : Number(text);
  if (value > 0xffffffff) throw new FilterSyntaxError(start, `${quote(text)} does not fit in 32 bits`);
  return value;
}

function scanPunctuation(text: string, start: number): Token {
  for (const [spelling, word] of [
    ['&&', 'and'],
    ['||', 'or'],
  ] as const) {
    if (text.startsWith(spelling, start)) {
      return { kind: 'word', word, text: spelling, start, end: start + 2 };
    }
  }
  const found = PUNCTUATION.find((candidate) => text.startsWith(candidate, start));
  if (found !== undefined) {
    return { kind: 'punctuation', punctuation: found, text: found, start, end: start + found.length };
  }
  if (text[start] === '!') return { kind: 'word', word: 'not', text: '!', start, end: start + 1 };
  const character = String.fromCodePoint(text.codePointAt(start)!);
  throw new FilterSyntaxError(start, `the character ${quote(character)} has no meaning in a filter`);
}
