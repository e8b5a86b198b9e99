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
import {
  ClauseReader,
  checkRules,
  type Draft,
  IMPAIRMENT_WORDS,
  type ImpairmentOptions,
  type ImpairmentProblem,
  MAX_TEXT_LENGTH,
  NAMES,
  type Report,
  readMatch,
  readVerdict,
  type Settable,
  unknownWord,
  WORD_BY_NAME,
} from './clauses.ts';
import { readMap } from './impairment-map.ts';
import { type ChainSettings, CLEAR_CHAIN, CLEAR_LINK, type LinkSettings } from './settings.ts';
import { quote, tokens } from './words.ts';

export { IMPAIRMENT_WORDS, type ImpairmentProblem } from './clauses.ts';
export type { ImpairmentMap } from './impairment-map.ts';

/** An impairment that cannot be used. `message` holds all problems; `problems` says where each one is. */
export class ImpairmentError extends Error {
  readonly problems: readonly ImpairmentProblem[];

  constructor(problems: readonly ImpairmentProblem[]) {
    super(problems.map((problem) => problem.message).join('; '));
    this.name = 'ImpairmentError';
    this.problems = problems;
  }
}

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

/** What most often was meant by a word that nobody knows. `isBare`: a filter comes before it, and nothing else. */
function advice(word: string, isBare: boolean): string {
  if (isBare) return '; a filter of several words needs quotes, as match "udp port 53"';
  const isUnit = /^(?:%|[num]?s|[kmgt]?(?:bit|bps|b))$/i.test(word);
  return isUnit ? '; a unit follows its number without a space, as 20ms' : '';
}

function formatClauses(settings: ChainSettings): string[] {
  return IMPAIRMENT_WORDS.flatMap(({ name, write }) => {
    const text = write(settings);
    return text === undefined ? [] : [`${name} ${text}`];
  });
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
      const isRule = draft !== undefined;
      const isBare = isRule && Object.keys(draft.impair).length === 0;
      const known = isRule ? [...NAMES, 'match', 'verdict'] : [...NAMES, 'match'];
      reader.refuse(token, `${unknownWord(token.text, known)}${advice(token.text, isBare)}`);
    }
  }
  return rules === undefined ? settings : { ...settings, rules: checkRules(rules, report) };
}
