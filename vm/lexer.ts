/**
 * Splits bpf_asm source into tokens that know their line and column.
 *
 * Comments are a semicolon to the end of the line, slash-star pairs, and lines that begin with `#`. Newlines do
 * not separate anything, as in bpf_asm.
 */

import { ProgramSyntaxError } from './syntax-error.ts';

/** A token; `value` is set for numbers. `line` and `column` count from 1. */
export type Token = {
  readonly kind: 'word' | 'number' | 'punctuation' | 'end';
  readonly text: string;
  readonly value: number;
  readonly line: number;
  readonly column: number;
};

const TOKEN =
  /(?<blank>[ \t\r\f]+)|(?<newline>\n)|(?<comment>;[^\n]*)|(?<block>\/\*)|(?<number>0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)|(?<word>\.?[A-Za-z_][A-Za-z0-9_]*)|(?<punctuation>[:,#%[\]()+\-*&])/y;

/** The source's tokens, an `end` token last. `line` and `column` say where `source` itself starts. */
export function tokenize(source: string, line = 1, column = 1): Token[] {
  const tokens: Token[] = [];
  let lineStart = 1 - column;
  let startsLine = true;
  let at = 0;
  const push = (kind: Token['kind'], text: string, value: number): void => {
    tokens.push({ kind, text, value, line, column: at - lineStart + 1 });
  };
  while (at < source.length) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined) {
      const text = JSON.stringify(String.fromCodePoint(source.codePointAt(at)!));
      throw new ProgramSyntaxError(line, at - lineStart + 1, `unexpected character ${text}`);
    }
    let next = TOKEN.lastIndex;
    if (groups.block !== undefined) {
      const close = source.indexOf('*/', next);
      if (close === -1) throw new ProgramSyntaxError(line, at - lineStart + 1, 'the comment is not closed');
      next = close + 2;
    }
    if (groups.punctuation === '#' && startsLine) {
      const end = source.indexOf('\n', at);
      at = end === -1 ? source.length : end;
      continue;
    }
    if (groups.number !== undefined) {
      push('number', groups.number, numberValue(groups.number, line, at - lineStart + 1));
    } else if (groups.word !== undefined) push('word', groups.word, 0);
    else if (groups.punctuation !== undefined) push('punctuation', groups.punctuation, 0);
    for (let i = at; i < next; i++) {
      if (source.charCodeAt(i) !== 10) continue;
      line++;
      lineStart = i + 1;
    }
    startsLine = groups.newline !== undefined || (startsLine && groups.blank !== undefined);
    at = next;
  }
  push('end', 'end of text', 0);
  return tokens;
}

/** Decimal, 0x hexadecimal, 0b binary, or octal with a leading 0, as bpf_asm reads them. */
function numberValue(text: string, line: number, column: number): number {
  const octal = /^0[0-9]+$/.test(text);
  const value = Number(octal ? `0o${text.slice(1)}` : text);
  if (Number.isNaN(value)) throw new ProgramSyntaxError(line, column, `${text} is not an octal number`);
  if (value > 0xffffffff) throw new ProgramSyntaxError(line, column, `${text} does not fit in 32 bits`);
  return value;
}

/** A position in a token list, with the few moves a recursive-descent parser needs. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The token `ahead` places on; past the end, the end token. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)]!;
  }

  /** Consumes and returns the next token. */
  take(): Token {
    const token = this.peek();
    this.#next++;
    return token;
  }

  /** Consumes the next token if it reads `text`. */
  accept(text: string): boolean {
    if (this.peek().text !== text || this.peek().kind === 'end') return false;
    this.#next++;
    return true;
  }

  /** Consumes a token that must read `text`. */
  expect(text: string): void {
    if (!this.accept(text)) this.fail(`'${text}'`);
  }

  /** Consumes a number with an optional sign, as an unsigned 32-bit value. */
  number(): number {
    const negative = this.peek().text === '-';
    const sign = negative || this.peek().text === '+';
    const token = this.peek(sign ? 1 : 0);
    if (token.kind !== 'number') this.fail('a number');
    if (negative && token.value > 0x80000000) {
      throw new ProgramSyntaxError(token.line, token.column, `-${token.text} does not fit in 32 bits`);
    }
    this.#next += sign ? 2 : 1;
    return (negative ? -token.value : token.value) >>> 0;
  }

  /** Throws: `expected` was wanted where the next token is. */
  fail(expected: string): never {
    const { line, column, kind, text } = this.peek();
    throw new ProgramSyntaxError(
      line,
      column,
      `expected ${expected}, found ${kind === 'end' ? text : `'${text}'`}`,
    );
  }
}
