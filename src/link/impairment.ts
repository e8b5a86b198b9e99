/**
 * Impairments as people write them, and back: the text of tc-netem(8) and more,
 *
 *     delay 20ms 2ms loss 0.5% rate 50mbit limit 256kb match "udp port 53" loss 10%
 *
 * and the same as a map, as in lab files and JSON bodies, where a key is a word and its value the arguments:
 * { delay: 20ms 2ms, loss: 0.5%, rate: 50mbit, rules: [{ match: udp port 53, loss: 10% }] }.
 * Only what is named is in the result, so that it can be laid over other settings.
 *
 * docs/links.md has the words and how they differ from tc-netem's. As in netem, a jitter above the delay is allowed:
 * the link takes a sum below zero as no delay.
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
import { RATE_WORDS } from './rate.ts';
import { REORDER_WORDS } from './reorder.ts';
import {
  type ChainSettings,
  CLEAR_CHAIN,
  CLEAR_LINK,
  type LinkSettings,
  type Rule,
  VERDICTS,
  type Verdict,
} from './settings.ts';
import { SLOT_WORDS } from './slot.ts';
import { UnitError } from './units.ts';
import {
  Arguments,
  BadArgument,
  quote,
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
  | 'flap';

/** The map form. */
export type ImpairmentMap = { readonly [Word in ImpairmentWord]?: string | number } & {
  readonly rules?: readonly ({ readonly [Word in ImpairmentWord]?: string | number } & {
    readonly match: string;
    readonly verdict?: Verdict;
  })[];
};

const WORD_BY_NAME: ReadonlyMap<string, Word<ChainSettings>> = new Map(
  IMPAIRMENT_WORDS.map((word) => [word.name, word]),
);
const NAMES: readonly string[] = [...WORD_BY_NAME.keys()];

const MAX_TEXT_LENGTH = 10_000;

export type ImpairmentProblem = {
  /** Offset and length in characters of what is wrong: in the text, or in the value of `key`. */
  readonly position: number;
  readonly length: number;
  /** Map form: the key whose value is wrong, or that is unknown; of a rule as `rules/0/loss`. */
  readonly key?: string;
  readonly message: string;
};

/** An impairment that cannot be used. `message` holds all problems; `problems` says where each one is. */
export class ImpairmentError extends Error {
  readonly problems: readonly ImpairmentProblem[];

  constructor(problems: readonly ImpairmentProblem[]) {
    super(problems.map((problem) => problem.message).join('; '));
    this.name = 'ImpairmentError';
    this.problems = problems;
  }
}

export type ImpairmentOptions = {
  /** Reads the files that an impairment names; without it naming one is an error. */
  readonly readText?: ReadText;
};

type Settable = { -readonly [Key in keyof LinkSettings]?: LinkSettings[Key] };
type Report = (message: string, token?: Pick<Token, 'position' | 'length'>) => void;

/**
 * Reads either form. Only what the value names is in the result; `clear` names everything.
 * Throws ImpairmentError with every problem found.
 */
export function parseImpairment(
  value: string | Readonly<Record<string, unknown>>,
  options: ImpairmentOptions = {},
): Partial<LinkSettings> {
  const problems: ImpairmentProblem[] = [];
  const settings =
    typeof value === 'string' ? readText(value, options, problems) : readMap(value, options, problems);
  if (problems.length > 0) throw new ImpairmentError(problems);
  return settings;
}

/**
 * The text form of settings, `clear` for a link that does nothing. What is at its default is left out, so
 * `{ ...CLEAR_LINK, ...parseImpairment(formatImpairment(settings)) }` is `settings` again.
 */
export function formatImpairment(settings: LinkSettings): string {
  const clauses = [
    ...formatClauses(settings),
    ...settings.rules.map(({ match, impair, verdict }) =>
      [
        `match ${match === '' ? '""' : quote(match)}`,
        ...formatClauses({ ...CLEAR_CHAIN, ...impair }),
        ...(verdict === 'link' ? [] : [`verdict ${verdict}`]),
      ].join(' '),
    ),
  ];
  return clauses.length === 0 ? 'clear' : clauses.join(' ');
}

function formatClauses(settings: ChainSettings): string[] {
  return IMPAIRMENT_WORDS.flatMap(({ name, write }) => {
    const text = write(settings);
    return text === undefined ? [] : [`${name} ${text}`];
  });
}

/** Reads the clauses of a text or of one part of it. */
class ClauseReader {
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
    const args = new Arguments(name, this.#tokens, this.#at, isWord, this.#options.readText);
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

  /** What to say of a word that sets what is set already. */
  #twice(word: Word<ChainSettings>, found: Partial<ChainSettings>, settings: Settable): string {
    if (word.name === 'delay' && settings.delayNs === undefined) return 'jitter is given twice';
    const isOther =
      (found.trace === null) !== (settings.trace === null) && 'trace' in found && 'trace' in settings;
    return isOther ? 'rate and trace exclude each other' : `${word.name} is given twice`;
  }
}

function unknownWord(word: string, known: readonly string[]): string {
  const shown = word.length > 40 ? `${word.slice(0, 37)}...` : word;
  return `"${shown}": expected one of ${known.join(', ')}${didYouMean(word, known)}`;
}

function readText(
  text: string,
  options: ImpairmentOptions,
  problems: ImpairmentProblem[],
): Partial<LinkSettings> {
  const report: Report = (message, token = { position: 0, length: text.length }) => {
    problems.push({ position: token.position, length: token.length, message });
  };
  if (text.length > MAX_TEXT_LENGTH) {
    report('impairment is too long', { position: MAX_TEXT_LENGTH, length: text.length - MAX_TEXT_LENGTH });
    return {};
  }
  const all = tokens(text);
  if (all.length === 1 && all[0]!.text === 'clear') return CLEAR_LINK;
  if (all.length === 0) report(`nothing to change: expected ${NAMES.join(', ')}, match or clear`);
  const reader = new ClauseReader(all, options, report);
  const settings: Settable = {};
  let rules: Draft[] | undefined;
  while (reader.token !== undefined) {
    const token = reader.shift();
    const draft = rules?.at(-1);
    const word = WORD_BY_NAME.get(token.text);
    if (word !== undefined) reader.clause(word, token, draft?.impair ?? settings);
    else if (token.text === 'match' && reader.token?.text === 'none' && rules === undefined) {
      reader.shift();
      rules = [];
    } else if (token.text === 'match') {
      const match = reader.read('match', token, readMatch);
      rules = [...(rules ?? []), { match: match ?? '', impair: {}, verdict: 'link' }];
    } else if (token.text === 'verdict' && draft !== undefined) {
      draft.verdict = reader.read('verdict', token, readVerdict) ?? 'link';
    } else {
      reader.refuse(
        token,
        unknownWord(token.text, draft === undefined ? [...NAMES, 'match'] : [...NAMES, 'match', 'verdict']),
      );
    }
  }
  return rules === undefined ? settings : { ...settings, rules: checkRules(rules, report) };
}

type Draft = { match: string; impair: Settable; verdict: Verdict };

function readMatch(args: Arguments): string {
  return args.value(parseFilter, 'a filter such as "udp port 53"');
}

function readVerdict(args: Arguments): Verdict {
  return args.take(...VERDICTS) ?? args.value(noVerdict, VERDICTS.join(', '));
}

function noVerdict(text: string): never {
  throw new UnitError(`"${text.slice(0, 40)}": expected ${VERDICTS.join(', ')}`);
}

function checkRules(rules: readonly Rule[], report: Report): readonly Rule[] {
  if (rules.length > MAX_RULES) report(`${rules.length} rules, at most ${MAX_RULES}`);
  const twice = rules.find(({ match }, i) => rules.findIndex((other) => other.match === match) < i);
  if (twice !== undefined) report(`match "${twice.match}" is given twice`);
  return rules;
}

function readMap(
  map: Readonly<Record<string, unknown>>,
  options: ImpairmentOptions,
  problems: ImpairmentProblem[],
): Partial<LinkSettings> {
  const settings: Settable = {};
  for (const [key, value] of Object.entries(map)) {
    if (key === 'rules') settings.rules = readRules(value, options, problems);
    else readEntry(key, value, settings, options, problems, '', [...NAMES, 'rules']);
  }
  return settings;
}

/** One key and its value: `delay: 20ms 2ms` is what `delay 20ms 2ms` is. */
function readEntry(
  key: string,
  value: unknown,
  settings: Settable,
  options: ImpairmentOptions,
  problems: ImpairmentProblem[],
  path: string,
  known: readonly string[],
): void {
  const word = WORD_BY_NAME.get(key);
  readValue(value, options, problems, path + key, (reader, report) => {
    if (word !== undefined) reader.clause(word, undefined, settings);
    else report(unknownWord(key, known));
  });
}

/** Reads a value of the map form as the tokens after a word. */
function readValue(
  value: unknown,
  options: ImpairmentOptions,
  problems: ImpairmentProblem[],
  key: string,
  read: (reader: ClauseReader, report: Report) => void,
): void {
  const isUsable = typeof value === 'string' || typeof value === 'number';
  const text = isUsable ? String(value).slice(0, MAX_TEXT_LENGTH) : '';
  const before = problems.length;
  const report: Report = (message, token = { position: 0, length: 0 }) => {
    problems.push({ position: token.position, length: token.length, key, message });
  };
  const reader = new ClauseReader(tokens(text), options, report);
  read(reader, report);
  if (problems.length === before && reader.token !== undefined) {
    report(`${key} "${reader.token.text.slice(0, 40)}": nothing more was expected here`, reader.token);
  }
}

function readRules(
  value: unknown,
  options: ImpairmentOptions,
  problems: ImpairmentProblem[],
): readonly Rule[] {
  const report: Report = (message) => problems.push({ position: 0, length: 0, key: 'rules', message });
  if (!Array.isArray(value)) {
    report('rules: expected a list, each entry as { match: udp port 53, loss: 10% }');
    return [];
  }
  return checkRules(
    value.map((entry: unknown, i) => readRule(entry, `rules/${i}`, options, problems)),
    report,
  );
}

function readRule(
  value: unknown,
  path: string,
  options: ImpairmentOptions,
  problems: ImpairmentProblem[],
): Rule {
  const draft: Draft = { match: '', impair: {}, verdict: 'link' };
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  const map = (isMap ? value : {}) as Readonly<Record<string, unknown>>;
  if (typeof map.match !== 'string') {
    const message = 'a rule needs match: a filter such as udp port 53';
    problems.push({ position: 0, length: 0, key: path, message });
  }
  for (const [key, entry] of Object.entries(map)) {
    if (key === 'match' && typeof entry === 'string') {
      try {
        draft.match = parseFilter(entry);
      } catch (error) {
        if (!(error instanceof UnitError)) throw error;
        problems.push({ position: 0, length: 0, key: `${path}/match`, message: `match ${error.message}` });
      }
    } else if (key === 'verdict') {
      readValue(entry, options, problems, `${path}/verdict`, (reader) => {
        draft.verdict = reader.read('verdict', undefined, readVerdict) ?? 'link';
      });
    } else if (key !== 'match') {
      readEntry(key, entry, draft.impair, options, problems, `${path}/`, [...NAMES, 'match', 'verdict']);
    }
  }
  return draft;
}
