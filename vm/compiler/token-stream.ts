/**
 * A cursor over tokens with the errors a parser needs: "expected X, found Y", with the word that was probably
 * meant. Also holds the nesting limit, so that no expression can exhaust the stack.
 */

import { FilterSyntaxError, quote, type Span, suggestion } from './errors.ts';
import { allWords, type Construct } from './keywords.ts';
import type { Punctuation, Token } from './scanner.ts';

/** How deep parentheses, indexes and negations may nest. */
export const MAX_NESTING = 256;

export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The next token, not consumed. */
  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  /** Whether every token has been consumed. */
  get atEnd(): boolean {
    return this.next.kind === 'end';
  }

  /** The token after the next one. */
  get afterNext(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)]!;
  }

  /** Where the last consumed token ended. */
  get previousEnd(): number {
    return this.#at === 0 ? 0 : this.#tokens[this.#at - 1]!.end;
  }

  advance(): Token {
    const token = this.next;
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  isWord(word: Construct): boolean {
    const token = this.next;
    return token.kind === 'word' && token.word === word;
  }

  isPunctuation(punctuation: Punctuation): boolean {
    const token = this.next;
    return token.kind === 'punctuation' && token.punctuation === punctuation;
  }

  /** Consumes the word if it is next. */
  acceptWord(word: Construct): boolean {
    if (!this.isWord(word)) return false;
    this.advance();
    return true;
  }

  /** Consumes the punctuation if it is next. */
  acceptPunctuation(punctuation: Punctuation): boolean {
    if (!this.isPunctuation(punctuation)) return false;
    this.advance();
    return true;
  }

  expectPunctuation(punctuation: Punctuation, why: string): void {
    if (!this.acceptPunctuation(punctuation)) this.fail(`'${punctuation}' ${why}`);
  }

  expectNumber(what: string): number {
    const token = this.next;
    if (token.kind !== 'number') return this.fail(what);
    this.advance();
    return token.value;
  }

  /** Runs `parse` one level deeper. */
  nest<T>(parse: () => T): T {
    if (++this.#depth > MAX_NESTING) {
      throw new FilterSyntaxError(this.next.start, `the expression nests deeper than ${MAX_NESTING} levels`);
    }
    const result = parse();
    this.#depth--;
    return result;
  }

  /** The span from `start` to the end of the last consumed token. */
  spanFrom(start: number): Span {
    return { start, end: this.previousEnd };
  }

  /** Throws "expected `what`, found ..." at the next token. */
  fail(what: string): never {
    const token = this.next;
    throw new FilterSyntaxError(token.start, `expected ${what}, found ${describe(token)}`);
  }
}

/** A token as an error message names it. */
export function describe(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'the end of the expression';
    case 'foreign':
      return `${quote(token.text)}, which is for ${token.where} link types only`;
    case 'name':
      return quote(token.text) + suggestion(token.name, allWords());
    default:
      return quote(token.text);
  }
}
