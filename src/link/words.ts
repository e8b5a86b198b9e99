/**
 * The grammar of impairments: a clause is a word and its arguments, `delay 20ms 2ms 25%`. Each impairment declares
 * its words beside its stage; impairment.ts puts the clauses together.
 */
import type { ChainSettings } from './settings.ts';
import { UnitError } from './units.ts';

/** A word that starts a clause, and the settings its arguments stand for. */
export type Word<Settings> = {
  readonly name: string;
  /** Its arguments, as a manual page writes them. */
  readonly syntax: string;
  /** One sentence for editors. */
  readonly help: string;
  /** Reads the arguments. Throws BadArgument. */
  readonly read: (args: Arguments) => Partial<Settings>;
  /** The arguments that read as these settings; undefined when the clause need not be there. */
  readonly write: (settings: Settings) => string | undefined;
};

export type Token = { readonly text: string; readonly position: number; readonly length: number };

/** Reads the text of a file that an impairment names. Throws an Error whose message goes on `cannot read "x": `. */
export type ReadText = (path: string) => string;

/** For a first look at impairments, while it is not known where their paths start from: a file with something in it. */
export const UNREAD: ReadText = () => '1';

/** An argument that cannot be used, or one that is missing (`token` is undefined). */
export class BadArgument extends Error {
  readonly token: Token | undefined;

  constructor(message: string, token: Token | undefined) {
    super(message);
    this.token = token;
  }
}

/** Words and values of a text; a comma separates as a space does, and "double quotes" keep one value together. */
export function tokens(text: string): Token[] {
  return Array.from(text.matchAll(/"([^"]*)"|[^\s,]+/g), (match) => ({
    text: match[1] ?? match[0],
    position: match.index,
    length: match[0].length,
  }));
}

/** What follows a word. A clause takes what it knows and leaves the rest. */
export class Arguments {
  readonly word: string;
  readonly readText: ReadText | undefined;
  /** Reads an impairment within the arguments. Throws UnitError. */
  readonly nested: (text: string) => Partial<ChainSettings>;
  readonly #tokens: readonly Token[];
  readonly #isWord: (text: string) => boolean;
  #at: number;

  constructor(
    word: string,
    all: readonly Token[],
    at: number,
    isWord: (text: string) => boolean,
    nested: (text: string) => Partial<ChainSettings>,
    readText?: ReadText,
  ) {
    this.word = word;
    this.readText = readText;
    this.nested = nested;
    this.#tokens = all;
    this.#at = at;
    this.#isWord = isWord;
  }

  /** How many tokens were read, from the first of the text on. */
  get position(): number {
    return this.#at;
  }

  /** Takes the next token if it is one of these words. */
  take<Name extends string>(...names: readonly Name[]): Name | undefined {
    const name = names.find((each) => each === this.#tokens[this.#at]?.text);
    if (name !== undefined) this.#at++;
    return name;
  }

  /** A value that must be there. `expected` is as in `a time such as 20ms`. */
  value<Value>(parse: (text: string) => Value, expected: string, what: string = this.word): Value {
    const token = this.#tokens[this.#at];
    if (token === undefined || this.#isWord(token.text)) {
      throw new BadArgument(`${what} needs a value: expected ${expected}`, undefined);
    }
    this.#at++;
    return this.#parse(token, parse, what);
  }

  /** A value that may be there: it starts as numbers do. */
  optional<Value>(parse: (text: string) => Value, what: string = this.word): Value | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || !startsValue(token)) return undefined;
    this.#at++;
    return this.#parse(token, parse, what);
  }

  /** Passes a token over. */
  skip(): void {
    this.#at++;
  }

  /** Refuses the token read last. */
  refuse(message: string): never {
    throw new BadArgument(message, this.#tokens[this.#at - 1]);
  }

  #parse<Value>(token: Token, parse: (text: string) => Value, what: string): Value {
    try {
      return parse(token.text);
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      throw new BadArgument(`${what} ${error.message}`, token);
    }
  }
}

export function startsValue(token: Token | undefined): boolean {
  return token !== undefined && /^[-+.\d]/.test(token.text);
}

/** A value that holds spaces or a comma, as one token. */
export function quote(text: string): string {
  return /[\s,]/.test(text) || text === '' ? `"${text}"` : text;
}

/** `first` and then those of `more` up to the last that is not its default, joined by spaces. */
export function positional(
  first: string,
  ...more: readonly (readonly [value: string, isDefault: boolean])[]
): string {
  const last = more.findLastIndex(([, isDefault]) => !isDefault);
  return [first, ...more.slice(0, last + 1).map(([value]) => value)].join(' ');
}
