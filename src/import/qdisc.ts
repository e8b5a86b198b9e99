/**
 * The options of queueing disciplines, in the words of tc-netem(8), tc-tbf(8), tc-htb(8), tc-fq_codel(8) and so on,
 * as clauses of docs/links.md. Each clause is checked by the parser that links use; what it refuses is not taken.
 */
import { ImpairmentError, parseImpairment } from '../link/impairment.ts';

/** Told of an option that is not taken. */
export type Refuse = (text: string, reason: string) => void;
/** A clause: its word, and all of it as text. */
export type Clause = { readonly word: string; readonly text: string };

/** In the order in which tc tries them; an option may be shortened, and the first that begins so is meant. */
const NETEM_OPTIONS = [
  'limit',
  'latency',
  'delay',
  'loss',
  'drop',
  'ecn',
  'reorder',
  'corrupt',
  'gap',
] as const;
const MORE_NETEM_OPTIONS = ['duplicate', 'distribution', 'slot', 'rate', 'seed'] as const;
const NETEM = [...NETEM_OPTIONS, ...MORE_NETEM_OPTIONS];
const DISTRIBUTIONS = new Set(['uniform', 'normal', 'pareto', 'paretonormal']);
const LOSS_MODELS = new Set(['random', 'state', 'gemodel']);
const isValue = (word: string | undefined): word is string => word !== undefined && /^[-+.\d]/.test(word);

/** Reads words from left to right. */
class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  next(): string | undefined {
    return this.#words[this.#at++];
  }

  take(isWanted: (word: string) => boolean): string[] {
    const from = this.#at;
    while (this.#at < this.#words.length && isWanted(this.#words[this.#at]!)) this.#at++;
    return this.#words.slice(from, this.#at);
  }
}

/** What netem's options say as clauses. */
export function netemClauses(options: readonly string[], refuse: Refuse): Clause[] {
  const found = new Map<string, string[]>();
  const words = new Words(options);
  for (let word = words.next(); word !== undefined; word = words.next()) {
    const given = word;
    const name = NETEM.find((option) => option.startsWith(given));
    if (name === undefined) {
      refuse([word, ...words.take(isValue)].join(' '), 'not an option of netem that is known here');
      continue;
    }
    const values = valuesOf(name, words);
    if (name === 'seed')
      refuse(`seed ${values.join(' ')}`, 'a lab has one seed; write `seed:` in the lab file');
    else if (name === 'distribution' && !DISTRIBUTIONS.has(values[0] ?? '')) {
      refuse(
        `distribution ${values.join(' ')}`,
        'a table of your own: name its .dist file, as `distribution FILE.dist`',
      );
    } else found.set(name === 'latency' ? 'delay' : name === 'drop' ? 'loss' : name, values);
  }
  return checked(netemMeaning(found, refuse), refuse);
}

function valuesOf(name: string, words: Words): string[] {
  if (name === 'distribution') return [words.next() ?? ''];
  if (name === 'loss' || name === 'drop') {
    return [...words.take((word) => LOSS_MODELS.has(word)), ...words.take(isValue)];
  }
  if (name !== 'slot') return words.take(isValue);
  const isOfSlot = (word: string): boolean => isValue(word) || word === 'packets' || word === 'bytes';
  const [keyword] = words.take((word) => word === 'distribution');
  const values = keyword === undefined ? [] : [keyword, words.next() ?? ''];
  return [...values, ...words.take(isOfSlot)];
}

/** Options that belong together, as links have them. */
function netemMeaning(found: Map<string, string[]>, refuse: Refuse): Clause[] {
  const gap = found.get('gap');
  if (gap !== undefined) {
    // Without a percentage, every frame but each N-th is delayed (netem_change()).
    found.set('reorder', [...(found.get('reorder') ?? ['100%']), 'gap', ...gap]);
    found.delete('gap');
  }
  const loss = found.get('loss');
  if (found.delete('ecn')) {
    if (loss === undefined) refuse('ecn', 'it belongs to loss, and there is none');
    else loss.push('ecn');
  }
  const limit = found.get('limit');
  if (limit !== undefined && !found.has('rate')) {
    refuse(
      `limit ${limit.join(' ')}`,
      "netem's limit counts frames in the delay; here a limit is that of the queue in front of a rate",
    );
    found.delete('limit');
  } else if (limit !== undefined)
    found.set(
      'limit',
      limit.map((count) => `${count}packets`),
    );
  return [...found].map(([word, values]) => ({ word, text: [word, ...values].join(' ') }));
}

/** What tbf's options say as clauses. */
export function tbfClauses(options: readonly string[], refuse: Refuse): Clause[] {
  return bucketClauses(options, refuse, {
    burst: 'burst',
    buffer: 'burst',
    maxburst: 'burst',
    peakrate: 'peakrate',
    limit: 'limit',
    latency: 'limit',
  });
}

/** What the options of an htb class say as clauses, when that class is all there is. */
export function htbClauses(options: readonly string[], refuse: Refuse): Clause[] {
  return bucketClauses(options, refuse, { burst: 'burst', buffer: 'burst', maxburst: 'burst' });
}

function bucketClauses(
  options: readonly string[],
  refuse: Refuse,
  meaning: Readonly<Record<string, string>>,
): Clause[] {
  const values = new Map<string, string>();
  for (let i = 0; i < options.length; i += 2) {
    const [option, value = ''] = [options[i]!, options[i + 1]];
    const word = option === 'rate' || option === 'overhead' ? option : meaning[option];
    if (word === undefined) refuse(`${option} ${value}`.trim(), 'a link has no such setting');
    else if (option === 'latency' && /^[\d.]+$/.test(value)) values.set(word, `${value}us`);
    // Bytes for each slot of tc's table of transmission times, after a slash: taplab has no such table.
    else values.set(word, word === 'burst' ? value.replace(/\/\d+$/, '') : value);
  }
  const overhead = values.get('overhead');
  if (values.delete('overhead') && values.has('rate'))
    values.set('rate', `${values.get('rate')} ${overhead}`);
  return checked(
    [...values].map(([word, value]) => ({ word, text: `${word} ${value}` })),
    refuse,
  );
}

const QUEUES = new Set(['codel', 'fq_codel', 'pie']);

/** A discipline without classes, as what waits in front of the rate; undefined when links have no such queue. */
export function queueClauses(kind: string, options: readonly string[], refuse: Refuse): Clause[] | undefined {
  if (kind === 'pfifo' || kind === 'bfifo') {
    const size = options[0] === 'limit' ? `${options[1]}${kind === 'pfifo' ? 'packets' : ''}` : undefined;
    return size === undefined ? [] : checked([{ word: 'limit', text: `limit ${size}` }], refuse);
  }
  if (!QUEUES.has(kind)) return undefined;
  let text = `queue ${kind}`;
  const limit: Clause[] = [];
  for (let i = 0; i < options.length; i++) {
    const option = options[i]!;
    const value = isValue(options[i + 1]) ? options[++i]! : undefined;
    const words = value === undefined ? option : `${option} ${value}`;
    if (option === 'limit' && value !== undefined)
      limit.push({ word: 'limit', text: `limit ${value}packets` });
    else if (isImpairment(`${text} ${words}`)) text += ` ${words}`;
    else refuse(words, `queue ${kind} has no such setting`);
  }
  return checked([{ word: 'queue', text }, ...limit], refuse);
}

function isImpairment(text: string): boolean {
  try {
    parseImpairment(text);
    return true;
  } catch (error) {
    if (error instanceof ImpairmentError) return false;
    throw error;
  }
}

function checked(clauses: readonly Clause[], refuse: Refuse): Clause[] {
  return clauses.filter(({ text }) => {
    try {
      parseImpairment(text);
      return true;
    } catch (error) {
      if (!(error instanceof ImpairmentError)) throw error;
      refuse(text, error.message);
      return false;
    }
  });
}
