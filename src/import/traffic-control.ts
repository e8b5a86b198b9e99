/**
 * `tc qdisc`, `tc class` and `tc filter` command lines, one device at a time, and what they come to as the
 * impairments of one direction of a link: netem, tbf, an htb with one class, a queue, each inside the other.
 *
 * What a qdisc does to some of the frames only (classes chosen by filters) is left out: a link has `match` for that.
 */

import { parseRate, UnitError } from '../link/units.ts';
import { type Draft, NotTaken, type Place, type Shaping } from './draft.ts';
import { type Clause, htbClauses, netemClauses, queueClauses, type Refuse, tbfClauses } from './qdisc.ts';

type Entry = Place & {
  readonly object: 'qdisc' | 'class' | 'filter';
  /** `root`, or what it hangs from, as 1:10. */
  readonly parent: string;
  /** Its own, as 1: or 1:10; empty when it was given none. */
  readonly handle: string;
  readonly kind: string;
  readonly options: readonly string[];
  readonly text: string;
};

const NO_NEED = 'it sets nothing up';
const SOME_ONLY =
  'it is for some of the frames only; a link has `match FILTER ...` for that, see docs/links.md';

/** The queueing disciplines of one machine. */
export class TrafficControl {
  readonly #draft: Draft;
  readonly #devices: Map<string, Entry[]> = new Map();
  /** Of a device that stands for what another receives (ifb), the other. */
  readonly #redirected: Map<string, string> = new Map();

  constructor(draft: Draft) {
    this.#draft = draft;
  }

  /** Devices whose frames are changed as they leave or, for `ingress`, as they arrive. */
  *shapings(): Iterable<{ device: string; direction: 'egress' | 'ingress'; shaping: Shaping }> {
    for (const [device, entries] of this.#devices) {
      const shaping = this.#combine(entries);
      if (shaping === undefined) continue;
      const other = this.#redirected.get(device);
      yield other === undefined
        ? { device, direction: 'egress', shaping }
        : { device: other, direction: 'ingress', shaping };
    }
  }

  /** Whether a device only stands for what another receives. */
  isRedirection(device: string): boolean {
    return this.#redirected.has(device);
  }

  /** Takes a command line, without the `tc` it starts with. Throws NotTaken. */
  command(words: readonly string[], place: Place, text: string): void {
    const [object = '', verb = '', ...rest] = words.filter((word, i) => i > 0 || !word.startsWith('-'));
    if (object !== 'qdisc' && object !== 'class' && object !== 'filter')
      throw new NotTaken('not a tc command known here');
    if (/^(?:show|list|ls)$/.test(verb)) throw new NotTaken(NO_NEED);
    const entry = readEntry(object, rest, place, text);
    if (entry === undefined) throw new NotTaken('expected `dev DEVICE`');
    const { device, ...own } = entry;
    const entries = this.#devices.get(device) ?? [];
    const others = entries.filter(({ parent, object }) => !(object === own.object && parent === own.parent));
    if (verb === 'del' || verb === 'delete') this.#devices.set(device, own.parent === 'root' ? [] : others);
    else if (/^(?:add|change|replace|link)$/.test(verb))
      this.#add(device, verb === 'add' ? entries : others, own);
    else throw new NotTaken(`tc ${object} ${verb}: not known here`);
  }

  #add(device: string, entries: readonly Entry[], entry: Entry): void {
    if (entry.kind === 'ingress' || entry.kind === 'clsact') return;
    if (entry.object === 'filter') {
      const target = redirectionOf(entry);
      if (target !== undefined) this.#redirected.set(target, device);
      else throw new NotTaken(SOME_ONLY);
      return;
    }
    this.#devices.set(device, [
      ...entries.filter(({ handle }) => handle === '' || handle !== entry.handle),
      entry,
    ]);
  }

  /** All that happens to every frame. */
  #combine(entries: readonly Entry[]): Shaping | undefined {
    const clauses = new Map<string, string>();
    const classes = entries.filter(({ object }) => object === 'class');
    const passed = new Set<string>(['root']);
    let place: Place | undefined;
    const pending = [...entries];
    // From the root on: an entry counts when every frame comes through what it hangs from.
    for (let found = next(); found !== undefined; found = next()) {
      const entry = found;
      pending.splice(pending.indexOf(entry), 1);
      const refuse: Refuse = (text, reason) => this.#draft.leaveOut(entry, text, reason);
      const own = this.#clauses(entry, classes, refuse);
      if (own === undefined) continue;
      for (const { word, text } of own) {
        if (clauses.has(word))
          refuse(text, `the link has a ${word} already, of another qdisc of this device`);
        else clauses.set(word, text);
      }
      place ??= entry;
      passed.add(entry.handle);
    }
    for (const entry of pending) this.#draft.leaveOut(entry, entry.text, SOME_ONLY);
    return place === undefined || clauses.size === 0
      ? undefined
      : { text: [...clauses.values()].join(' '), place };

    function next(): Entry | undefined {
      return pending.find(({ object, parent }) => {
        // A class of a qdisc is named after it; that of a qdisc without classes of its own is any.
        const qdisc = parent.replace(/:.*$/, ':');
        const isClassful = entries.some(
          ({ handle, kind }) => handle === qdisc && (kind === 'htb' || kind === 'prio'),
        );
        return passed.has(parent) || (object === 'qdisc' && !isClassful && passed.has(qdisc));
      });
    }
  }

  /** What one does to every frame; undefined when that cannot be said, and is left out. */
  #clauses(entry: Entry, classes: readonly Entry[], refuse: Refuse): Clause[] | undefined {
    const { object, kind, options, text } = entry;
    if (object === 'class') {
      const others = classes.filter((other) => other !== entry && !isAbove(other, entry, classes));
      const isOnly = others.every((other) => isAbove(entry, other, classes));
      if (kind === 'htb' && isOnly) return this.#classClauses(entry, classes, refuse);
      refuse(text, SOME_ONLY);
      return undefined;
    }
    if (kind === 'netem') return netemClauses(options, refuse);
    if (kind === 'tbf') return tbfClauses(options, refuse);
    if (kind === 'htb') return this.#htb(entry, classes, refuse);
    const queue = queueClauses(kind, options, refuse);
    if (queue === undefined) refuse(text, `links have no ${kind === '' ? 'such queueing discipline' : kind}`);
    return queue;
  }

  /** htb itself does nothing; without a class for the rest, frames that no filter chooses pass it. */
  #htb({ options, handle, text }: Entry, classes: readonly Entry[], refuse: Refuse): Clause[] | undefined {
    const minor = options[options.indexOf('default') + 1]?.replace(/^0x/, '');
    const isNamed =
      options.includes('default') && classes.some((each) => each.handle === `${handle}${minor}`);
    if (isNamed) return [];
    refuse(text, 'frames pass an htb unchanged that has no class as its default');
    return undefined;
  }

  /** Of classes in a row the innermost has the last word, and those above bound it. */
  #classClauses(entry: Entry, classes: readonly Entry[], refuse: Refuse): Clause[] {
    if (classes.some(({ parent }) => parent === entry.handle)) return [];
    const above = classes.filter((other) => other !== entry && isAbove(other, entry, classes));
    // A class borrows what its parent has, up to its ceiling; without a parent there is nothing to borrow.
    const pairs = pairsOf(entry.options);
    const own = (above.length > 0 ? pairs.get('ceil') : undefined) ?? pairs.get('rate');
    const rates = [own, ...above.map(({ options }) => pairsOf(options).get('rate'))];
    const rate = slowest(rates.filter((each) => each !== undefined));
    const rest = [...pairs].filter(([option]) => option !== 'rate' && option !== 'ceil');
    return htbClauses([...(rate === undefined ? [] : ['rate', rate]), ...rest.flat()], refuse);
  }
}

/** Of rates, the lowest; the first when one of them is none. */
function slowest(rates: readonly string[]): string | undefined {
  const value = (rate: string): number => {
    try {
      return parseRate(rate);
    } catch (error) {
      if (error instanceof UnitError) return Number.NaN;
      throw error;
    }
  };
  return rates.reduce<string | undefined>(
    (a, b) => (a === undefined || value(b) < value(a) ? b : a),
    undefined,
  );
}

function pairsOf(options: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let i = 0; i < options.length; i += 2) pairs.set(options[i]!, options[i + 1] ?? '');
  return pairs;
}

function isAbove(upper: Entry, lower: Entry, classes: readonly Entry[]): boolean {
  let parent: string | undefined = lower.parent;
  for (let steps = 0; parent !== undefined && steps <= classes.length; steps++) {
    if (parent === upper.handle) return true;
    const above: string = parent;
    parent = classes.find(({ handle }) => handle === above)?.parent;
  }
  return false;
}

function readEntry(
  object: Entry['object'],
  words: readonly string[],
  place: Place,
  text: string,
): (Entry & { device: string }) | undefined {
  let [device, parent, handle] = ['', 'root', ''];
  let i = 0;
  for (; i < words.length; i++) {
    const word = words[i]!;
    if (word === 'dev') device = words[++i] ?? '';
    else if (word === 'parent') parent = words[++i] ?? '';
    else if (word === 'handle' || word === 'classid') handle = words[++i] ?? '';
    else if (word !== 'root' && (object !== 'filter' || !/^(?:ingress|protocol|prio|pref)$/.test(word)))
      break;
    else if (word === 'protocol' || word === 'prio' || word === 'pref') i++;
  }
  if (device === '') return undefined;
  const kind = words[i] ?? '';
  return { ...place, object, device, parent, handle, kind, options: words.slice(i + 1), text };
}

/** The ifb device to which a filter sends all that a device receives. */
function redirectionOf({ kind, options }: Entry): string | undefined {
  const words = options.join(' ');
  const isAll =
    kind === 'matchall' || (kind === 'u32' && /^match (?:u32 0 0|ip (?:src|dst) 0\.0\.0\.0\/0) /.test(words));
  return isAll ? /\bmirred egress redirect dev (\S+)$/.exec(words)?.[1] : undefined;
}
