/**
 * The map form of impairments, as in lab files and JSON bodies: a key is a word and its value the arguments,
 * { delay: 20ms 2ms, loss: 0.5%, rules: [{ match: udp port 53, loss: 10% }] }.
 */
import {
  ClauseReader,
  checkRules,
  type Draft,
  type ImpairmentOptions,
  type ImpairmentProblem,
  type ImpairmentWord,
  MAX_TEXT_LENGTH,
  NAMES,
  type Report,
  readVerdict,
  type Settable,
  unknownWord,
  WORD_BY_NAME,
} from './clauses.ts';
import { parseFilter } from './filter.ts';
import type { LinkSettings, Rule, Verdict } from './settings.ts';
import { UnitError } from './units.ts';
import { tokens } from './words.ts';

/** The map form. */
export type ImpairmentMap = { readonly [Word in ImpairmentWord]?: string | number } & {
  readonly rules?: readonly ({ readonly [Word in ImpairmentWord]?: string | number } & {
    readonly match: string;
    readonly verdict?: Verdict;
  })[];
};

/** Reads a map; what is wrong goes to `problems`. */
export function readMap(
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
