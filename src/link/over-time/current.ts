/**
 * What settings that change by themselves come to at a time. A function of the settings, the generator and when they
 * were set: whoever knows these has the same values as the stages that act by them, without asking them.
 */
import type { Random } from '../random.ts';
import type { ChainSettings, LinkSettings, Rule } from '../settings.ts';
import { MarkovModulator } from './markov.ts';
import { ScheduleModulator } from './schedule.ts';
import { CONSTANT, type OverTimeSettings } from './words.ts';

/** Settings as a function of time. */
export interface Modulator {
  /** What is in force. */
  readonly overlay: Partial<ChainSettings>;
  /** When that changes; Infinity when it does not. */
  readonly nextNs: number;
  /** Goes on to a time that is not earlier than the last. */
  advance(nowNs: number): void;
}

/** Whether settings change by themselves. */
export function isModulated({ schedule = null, markov = null }: Partial<OverTimeSettings>): boolean {
  return schedule !== null || markov !== null;
}

/** Of one chain: a schedule, and a Markov chain on top of it, laid over the rest. */
export class Overlays<Settings extends Partial<ChainSettings>> {
  /** When something changes; Infinity when nothing does. */
  nextNs: number = Number.POSITIVE_INFINITY;
  readonly #random: (name: string) => Random;
  #settings: Settings;
  #of = '';
  /** The last on top. */
  #modulators: readonly Modulator[] = [];

  /** @param random makes the generator of that name, in the place of the chain */
  constructor(random: (name: string) => Random, settings: Settings, nowNs: number) {
    this.#random = random;
    this.#settings = settings;
    this.set(settings, nowNs);
  }

  /** What did not change goes on where it is. */
  set(settings: Settings, nowNs: number): void {
    const { schedule = null, markov = null } = settings;
    this.#settings = settings;
    const of = JSON.stringify([schedule, markov]);
    if (of !== this.#of) {
      this.#of = of;
      this.#modulators = [
        ...(schedule === null ? [] : [new ScheduleModulator(schedule, nowNs)]),
        ...(markov === null ? [] : [new MarkovModulator(markov, this.#random('markov'), nowNs)]),
      ];
    }
    this.advance(nowNs);
  }

  /** Goes on to a time that is not earlier than the last. */
  advance(nowNs: number): void {
    for (const each of this.#modulators) each.advance(nowNs);
    this.nextNs = Math.min(...this.#modulators.map(({ nextNs }) => nextNs), Number.POSITIVE_INFINITY);
  }

  /** The settings with what is laid over them at the time of the last advance(). */
  get settings(): Settings {
    return Object.assign({}, this.#settings, ...this.#modulators.map(({ overlay }) => overlay));
  }
}

/** Of a direction: its own chain, and those of its rules. */
export class CurrentSettings {
  readonly #random: (name: string) => Random;
  readonly #link: Overlays<LinkSettings>;
  /** By what they match. */
  #rules: ReadonlyMap<string, Overlays<Rule['impair']>> = new Map();
  #settings: LinkSettings;

  /** @param random makes the generator of that name, as the direction does */
  constructor(random: (name: string) => Random, settings: LinkSettings, nowNs: number) {
    this.#random = random;
    this.#settings = settings;
    this.#link = new Overlays(random, settings, nowNs);
    this.set(settings, nowNs);
  }

  set(settings: LinkSettings, nowNs: number): void {
    this.#settings = settings;
    this.#link.set(settings, nowNs);
    const rules = settings.rules.map(({ match, impair }) => {
      const random = (name: string): Random => this.#random(`match ${match}/${name}`);
      const overlays = this.#rules.get(match) ?? new Overlays(random, impair, nowNs);
      overlays.set(impair, nowNs);
      return [match, overlays] as const;
    });
    this.#rules = new Map(rules);
  }

  /**
   * What holds at a time that is not earlier than the last, as constant settings; null when nothing changes by itself.
   */
  at(nowNs: number): LinkSettings | null {
    const { rules } = this.#settings;
    if (!isModulated(this.#settings) && !rules.some(({ impair }) => isModulated(impair))) return null;
    const now = <Settings extends Partial<ChainSettings>>(overlays: Overlays<Settings>): Settings => {
      if (nowNs >= overlays.nextNs) overlays.advance(nowNs);
      return { ...overlays.settings, ...CONSTANT };
    };
    return {
      ...now(this.#link),
      rules: rules.map((rule) => ({ ...rule, impair: now(this.#rules.get(rule.match)!) })),
    };
  }
}
