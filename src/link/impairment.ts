/**
 * Impairments as people write them, and back: the text of tc-netem(8),
 *
 *     delay 20ms 2ms loss 0.5% rate 50mbit limit 256kb
 *
 * and the same as a map, as in lab files and JSON bodies: { delay: 20ms, jitter: 2ms, loss: 0.5%, rate: 50mbit }.
 * Only what is named is in the result, so that it can be laid over other settings.
 *
 * Differences from tc-netem: `limit` is the bytes that may wait in front of the rate limiter (as in tc-bfifo), not a
 * number of packets; `jitter TIME` may stand by itself; `clear` alone means a link that does nothing. As in netem, a
 * jitter above the delay is allowed: the link takes a sum below zero as no delay.
 */
import { didYouMean } from '../text/suggest.ts';
import { CLEAR_LINK, type LinkSettings } from './settings.ts';
import {
  formatPercent,
  formatRate,
  formatSize,
  formatTime,
  parsePercent,
  parseRate,
  parseSize,
  parseTime,
  UnitError,
} from './units.ts';

export type ImpairmentWord = 'delay' | 'jitter' | 'loss' | 'rate' | 'limit';

type Parameter = {
  readonly setting: keyof LinkSettings;
  readonly parse: (text: string) => number;
  readonly value: string;
};

/** The words of the language, which setting each one changes, and what value it takes. */
const PARAMETERS: Readonly<Record<ImpairmentWord, Parameter>> = {
  delay: { setting: 'delayNs', parse: parseTime, value: 'a time such as 20ms' },
  jitter: { setting: 'jitterNs', parse: parseTime, value: 'a time such as 2ms' },
  loss: { setting: 'loss', parse: parsePercent, value: 'a percentage such as 0.5%' },
  rate: { setting: 'rateBitsPerSecond', parse: parseRate, value: 'a rate such as 50mbit' },
  limit: { setting: 'limitBytes', parse: parseSize, value: 'a size such as 256kb' },
};

/** The keys of the map form, in the order in which they are written. */
const IMPAIRMENT_WORDS: readonly ImpairmentWord[] = ['delay', 'jitter', 'loss', 'rate', 'limit'];

/** What netem and other shapers know and links here do not. */
const OTHER_WORDS = ['corrupt', 'duplicate', 'reorder', 'distribution', 'gap', 'slot', 'ecn', 'burst'];

const MAX_TEXT_LENGTH = 1000;

export type ImpairmentProblem = {
  /** Text form: offset and length in characters of what is wrong. 0 and 0 in the map form. */
  readonly position: number;
  readonly length: number;
  /** Map form: the key whose value is wrong, or that is unknown. */
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

type Settable = { -readonly [Key in keyof LinkSettings]?: LinkSettings[Key] };
type Word = { readonly text: string; readonly position: number };

/**
 * Reads either form. Only what the value names is in the result; `clear` names everything.
 * Throws ImpairmentError with every problem found.
 */
export function parseImpairment(value: string | Readonly<Record<string, unknown>>): Partial<LinkSettings> {
  return typeof value === 'string' ? parseText(value) : parseMap(value);
}

function isParameter(word: string): word is ImpairmentWord {
  return Object.hasOwn(PARAMETERS, word);
}

function unknownWord(word: string): string {
  const shown = word.length > 40 ? `${word.slice(0, 37)}...` : word;
  const why = OTHER_WORDS.includes(word) ? ' is not supported' : '';
  const suggestion = why === '' ? didYouMean(word, IMPAIRMENT_WORDS) : '';
  return `"${shown}"${why}: expected one of ${IMPAIRMENT_WORDS.join(', ')}${suggestion}`;
}

/** The value in base units; `undefined` after a problem was recorded. */
function readValue(
  parameter: ImpairmentWord,
  text: string,
  report: (message: string) => void,
): number | undefined {
  try {
    return PARAMETERS[parameter].parse(text);
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    report(`${parameter} ${error.message}`);
    return undefined;
  }
}

function parseText(text: string): Partial<LinkSettings> {
  if (text.length > MAX_TEXT_LENGTH) {
    throw new ImpairmentError([
      { position: MAX_TEXT_LENGTH, length: text.length - MAX_TEXT_LENGTH, message: 'impairment is too long' },
    ]);
  }
  const words: Word[] = [...text.matchAll(/[^\s,]+/g)].map((m) => ({ text: m[0], position: m.index }));
  if (words.length === 1 && words[0]!.text === 'clear') return CLEAR_LINK;
  const settings: Settable = {};
  const problems: ImpairmentProblem[] = [];
  const report = (word: Word, message: string): void => {
    problems.push({ position: word.position, length: word.text.length, message });
  };
  if (words.length === 0) {
    const message = `nothing to change: expected ${IMPAIRMENT_WORDS.join(', ')} or clear`;
    problems.push({ position: 0, length: text.length, message });
  }

  const startsValue = (word: Word | undefined): boolean => word !== undefined && /^[-+.\d]/.test(word.text);
  const set = (parameter: ImpairmentWord, named: Word, word: Word): void => {
    const { setting } = PARAMETERS[parameter];
    if (settings[setting] !== undefined) report(named, `${parameter} is given twice`);
    const value = readValue(parameter, word.text, (message) => report(word, message));
    if (value !== undefined) settings[setting] = value;
  };

  for (let i = 0; i < words.length; ) {
    const word = words[i++]!;
    if (!isParameter(word.text)) {
      report(word, unknownWord(word.text));
      while (startsValue(words[i])) i++;
      continue;
    }
    // `loss random 1%` is netem's long form.
    if (word.text === 'loss' && words[i]?.text === 'random') i++;
    const value = words[i];
    if (value === undefined || isParameter(value.text)) {
      report(word, `${word.text} needs a value: expected ${PARAMETERS[word.text].value}`);
      continue;
    }
    i++;
    set(word.text, word, value);
    const second = words[i];
    if (word.text === 'delay' && second !== undefined && startsValue(second)) {
      i++;
      set('jitter', second, second);
    }
  }
  if (problems.length > 0) throw new ImpairmentError(problems);
  return settings;
}

function parseMap(map: Readonly<Record<string, unknown>>): Partial<LinkSettings> {
  const settings: Settable = {};
  const problems: ImpairmentProblem[] = [];
  for (const [key, value] of Object.entries(map)) {
    const report = (message: string): void => {
      problems.push({ position: 0, length: 0, key, message });
    };
    if (!isParameter(key)) {
      report(unknownWord(key));
    } else if (typeof value !== 'string' && typeof value !== 'number') {
      report(`${key} needs a value: expected ${PARAMETERS[key].value}`);
    } else {
      const number = readValue(key, String(value), report);
      if (number !== undefined) settings[PARAMETERS[key].setting] = number;
    }
  }
  if (problems.length > 0) throw new ImpairmentError(problems);
  return settings;
}

/**
 * The text form of settings, `clear` for a link that does nothing. What is at its default is left out, so
 * `{ ...CLEAR_LINK, ...parseImpairment(formatImpairment(settings)) }` is `settings` again.
 */
export function formatImpairment(settings: LinkSettings): string {
  const words: string[] = [];
  if (settings.delayNs > 0) {
    words.push(`delay ${formatTime(settings.delayNs)}`);
    if (settings.jitterNs > 0) words.push(formatTime(settings.jitterNs));
  } else if (settings.jitterNs > 0) {
    words.push(`jitter ${formatTime(settings.jitterNs)}`);
  }
  if (settings.loss > 0) words.push(`loss ${formatPercent(settings.loss)}`);
  if (settings.rateBitsPerSecond > 0) words.push(`rate ${formatRate(settings.rateBitsPerSecond)}`);
  if (settings.limitBytes !== CLEAR_LINK.limitBytes) words.push(`limit ${formatSize(settings.limitBytes)}`);
  return words.length === 0 ? 'clear' : words.join(' ');
}
