/**
 * The clauses of an impairment: which words there are, and how one after the other is read. Both forms of an
 * impairment, text (impairment.ts) and map (impairment-map.ts), are made of them.
 */
import { didYouMean } from '../text/suggest.ts';
import { CARRIER_WORDS } from './carrier.ts';
import { CORRUPT_WORDS } from './corrupt.ts';
import { MAX_RULES } from './counters.ts';
import { DELAY_WORDS } from './delay.ts';
import { DUPLICATE_WORDS } from './duplicate.ts';
import { parseFilter } from './filter.ts';
import { LOSS_WORDS } from './loss.ts';
import { MTU_WORDS } from './mtu.ts';
import { OVER_TIME_WORDS } from './over-time/words.ts';
import { PRECISION_WORDS } from './precision.ts';
import { RATE_WORDS } from './rate.ts';
import { REORDER_WORDS } from './reorder.ts';
import { type ChainSettings, type LinkSettings, type Rule, VERDICTS, type Verdict } from './settings.ts';
import { SLOT_WORDS } from './slot.ts';
import { UnitError } from './units.ts';
import {
  Arguments,
  BadArgument,
  type ReadText,
  startsValue,
  type Token,
  tokens,
  type Word,
} from './words.ts';

/** All words that start a clause, in the order in which they are written. */
export const IMPAIRMENT_WORDS: readonly Word<ChainSettings>[] = [
  ...DELAY_WORDS,
  ...LOSS_WORDS,
  ...DUPLICATE_WORDS,
  ...REORDER_WORDS,
  ...CORRUPT_WORDS,
  ...RATE_WORDS,
  ...SLOT_WORDS,
  ...MTU_WORDS,
  ...CARRIER_WORDS,
  ...PRECISION_WORDS,
  ...OVER_TIME_WORDS,
];

export type ImpairmentWord =
  | 'delay'
  | 'jitter'
  | 'distribution'
  | 'loss'
  | 'duplicate'
  | 'reorder'
  | 'corrupt'
  | 'ber'
  | 'rate'
  | 'trace'
  | 'burst'
  | 'peakrate'
  | 'limit'
  | 'queue'
  | 'slot'
  | 'mtu'
  | 'carrier'
  | 'flap'
  | 'precision'
  | 'schedule'
  | 'markov';

export const WORD_BY_NAME: ReadonlyMap<string, Word<ChainSettings>> = new Map(
  IMPAIRMENT_WORDS.map((word) => [word.name, word]),
);
export const NAMES: readonly string[] = [...WORD_BY_NAME.keys()];

export const MAX_TEXT_LENGTH = 10_000;

export type ImpairmentProblem = {
  /** Offset and length in characters of what is wrong: in the text, or in the value of `key`. */
  readonly position: number;
  readonly length: number;
  /** Map form: the key whose value is wrong, or that is unknown; of a rule as `rules/0/loss`. */
  readonly key?: string;
  readonly message: string;
};

export type ImpairmentOptions = {
  /** Reads the files that an impairment names; without it naming one is an error. */
  readonly readText?: ReadText;
};

export type Settable = { -readonly [Key in keyof LinkSettings]?: LinkSettings[Key] };
export type Report = (message: string, token?: Pick<Token, 'position' | 'length'>) => void;

/** Reads the clauses of a text or of one part of it. */
export class ClauseReader {
  readonly #tokens: readonly Token[];
  readonly #options: ImpairmentOptions;
  readonly #report: Report;
  #at = 0;

  constructor(all: readonly Token[], options: ImpairmentOptions, report: Report) {
    this.#tokens = all;
    this.#options = options;
    this.#report = report;
  }

  get token(): Token | undefined {
    return this.#tokens[this.#at];
  }

  /** Takes the next token. */
  shift(): Token {
    return this.#tokens[this.#at++]!;
  }

  /** Reports a word that nobody knows, and passes its values. */
  refuse(token: Token, message: string): void {
    this.#report(message, token);
    while (startsValue(this.token)) this.#at++;
  }

  /** The arguments of `name`, which `token` is; undefined when they were reported. */
  read<Result>(
    name: string,
    token: Token | undefined,
    read: (args: Arguments) => Result,
  ): Result | undefined {
    const isWord = (text: string): boolean =>
      WORD_BY_NAME.has(text) || text === 'match' || text === 'verdict';
    const args = new Arguments(
      name,
      this.#tokens,
      this.#at,
      isWord,
      (text) => this.#nested(text),
      this.#options.readText,
    );
    try {
      return read(args);
    } catch (error) {
      if (!(error instanceof BadArgument)) throw error;
      this.#report(error.message, error.token ?? token);
      while (startsValue(this.#tokens[args.position])) args.skip();
      return undefined;
    } finally {
      this.#at = args.position;
    }
  }

  /** Adds a clause to settings that do not have it yet. */
  clause(word: Word<ChainSettings>, token: Token | undefined, settings: Settable): void {
    const found = this.read(word.name, token, word.read);
    if (found === undefined) return;
    const again = Object.keys(found).some((key) => Object.hasOwn(settings, key));
    if (again) this.#report(this.#twice(word, found, settings), token);
    Object.assign(settings, found);
  }

  /** An impairment within the arguments of a word: what may change over time, and does not change by itself. */
  #nested(text: string): Partial<ChainSettings> {
    const settings: Settable = {};
    const reader = new ClauseReader(tokens(text), this.#options, (message) => {
      throw new UnitError(message);
    });
    const known = NAMES.filter((name) => !OVER_TIME_WORDS.some((word) => word.name === name));
    while (reader.token !== undefined) {
      const token = reader.shift();
      if (!known.includes(token.text)) throw new UnitError(unknownWord(token.text, known));
      reader.clause(WORD_BY_NAME.get(token.text)!, token, settings);
    }
    return settings;
  }

  /** What to say of a word that sets what is set already. */
  #twice(word: Word<ChainSettings>, found: Partial<ChainSettings>, settings: Settable): string {
    if (word.name === 'delay' && settings.delayNs === undefined) return 'jitter is given twice';
    const isOther =
      (found.trace === null) !== (settings.trace === null) && 'trace' in found && 'trace' in settings;
    return isOther ? 'rate and trace exclude each other' : `${word.name} is given twice`;
  }
}

export function unknownWord(word: string, known: readonly string[]): string {
  const shown = word.length > 40 ? `${word.slice(0, 37)}...` : word;
  return `"${shown}": expected one of ${known.join(', ')}${didYouMean(word, known)}`;
}

export type Draft = { match: string; impair: Settable; verdict: Verdict };

export function readMatch(args: Arguments): string {
  return args.value(parseFilter, 'a filter such as "udp port 53"');
}

export function readVerdict(args: Arguments): Verdict {
  return args.take(...VERDICTS) ?? args.value(noVerdict, VERDICTS.join(', '));
}

function noVerdict(text: string): never {
  throw new UnitError(`"${text.slice(0, 40)}": expected ${VERDICTS.join(', ')}`);
}

export function checkRules(rules: readonly Rule[], report: Report): readonly Rule[] {
  if (rules.length > MAX_RULES) report(`${rules.length} rules, at most ${MAX_RULES}`);
  const twice = rules.find(({ match }, i) => rules.findIndex((other) => other.match === match) < i);
  if (twice !== undefined) report(`match "${twice.match}" is given twice`);
  return rules;
}
