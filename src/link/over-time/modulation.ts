/**
 * Impairments that change by themselves: a schedule (schedule.ts), and a Markov chain (markov.ts) laid over it, laid
 * over the settings of a chain.
 *
 *   ─▶ modulation ─▶ the stages of the chain, set anew at each change
 *
 * A change takes effect at its exact time while the direction holds frames; while it does not nothing has to happen,
 * and the change is made up for when the next frame comes. So an idle link costs nothing, and a virtual clock stands
 * still when nothing is left to happen.
 */
import { holdsFrames } from '../counters.ts';
import type { ChainSettings } from '../settings.ts';
import { NOWHERE, type Stage, type StageContext, type StageTimers, type TimedStage } from '../stage.ts';
import { MarkovModulator } from './markov.ts';
import { ScheduleModulator } from './schedule.ts';

/** Settings as a function of time. */
export interface Modulator {
  /** What is in force. */
  readonly overlay: Partial<ChainSettings>;
  /** When that changes; Infinity when it does not. */
  readonly nextNs: number;
  /** Goes on to a time that is not earlier than the last. */
  advance(nowNs: number): void;
}

export class Modulation implements TimedStage {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #timers: StageTimers;
  readonly #apply: (settings: ChainSettings, nowNs: number) => void;
  #settings: ChainSettings | undefined;
  /** What is laid over the settings, the last on top. */
  #modulators: Modulator[] = [];
  #nextNs: number = Number.POSITIVE_INFINITY;
  /** A timer with another deadline is one that was outdated. */
  #armedNs: number = Number.POSITIVE_INFINITY;

  /** @param apply sets the stages behind this one */
  constructor(context: StageContext, apply: (settings: ChainSettings, nowNs: number) => void) {
    this.#context = context;
    this.#timers = context.timers.for(this);
    this.#apply = apply;
  }

  static isOn({ schedule, markov }: ChainSettings): boolean {
    return schedule !== null || markov !== null;
  }

  /** What did not change goes on where it is. */
  set(settings: ChainSettings, nowNs: number): void {
    const { schedule, markov } = settings;
    const old = this.#settings;
    const isSame = (key: 'schedule' | 'markov'): boolean =>
      old !== undefined && JSON.stringify(old[key]) === JSON.stringify(settings[key]);
    if (!isSame('schedule') || !isSame('markov')) {
      this.#modulators = [
        ...(schedule === null ? [] : [new ScheduleModulator(schedule, nowNs)]),
        ...(markov === null ? [] : [new MarkovModulator(markov, this.#context.random('markov'), nowNs)]),
      ];
    }
    this.#settings = settings;
    this.#advance(nowNs);
    this.#arm();
  }

  push(frame: number, nowNs: number): void {
    if (nowNs >= this.#nextNs) this.#advance(nowNs);
    this.next.push(frame, nowNs);
    this.#arm();
  }

  due(_: number, deadlineNs: number): void {
    if (deadlineNs !== this.#armedNs) return;
    this.#armedNs = Number.POSITIVE_INFINITY;
    if (deadlineNs >= this.#nextNs) this.#advance(deadlineNs);
    this.#arm();
  }

  #advance(nowNs: number): void {
    for (const each of this.#modulators) each.advance(nowNs);
    this.#nextNs = Math.min(...this.#modulators.map(({ nextNs }) => nextNs), Number.POSITIVE_INFINITY);
    this.#apply(Object.assign({}, this.#settings, ...this.#modulators.map(({ overlay }) => overlay)), nowNs);
  }

  #arm(): void {
    if (this.#nextNs === this.#armedNs || this.#nextNs === Number.POSITIVE_INFINITY) return;
    if (!holdsFrames(this.#context.counters)) return;
    this.#armedNs = this.#nextNs;
    this.#timers.at(this.#nextNs, 0);
  }
}
