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
import { isModulated, Overlays } from './current.ts';

export class Modulation implements TimedStage {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #timers: StageTimers;
  readonly #apply: (settings: ChainSettings, nowNs: number) => void;
  readonly #overlays: Overlays<ChainSettings>;
  /** A timer with another deadline is one that was outdated. */
  #armedNs: number = Number.POSITIVE_INFINITY;

  /** @param apply sets the stages behind this one; to be followed by set() */
  constructor(
    context: StageContext,
    apply: (settings: ChainSettings, nowNs: number) => void,
    settings: ChainSettings,
    nowNs: number,
  ) {
    this.#context = context;
    this.#timers = context.timers.for(this);
    this.#apply = apply;
    this.#overlays = new Overlays(context.random, settings, nowNs);
  }

  static isOn(settings: ChainSettings): boolean {
    return isModulated(settings);
  }

  /** What did not change goes on where it is. */
  set(settings: ChainSettings, nowNs: number): void {
    this.#overlays.set(settings, nowNs);
    this.#apply(this.#overlays.settings, nowNs);
    this.#arm();
  }

  push(frame: number, nowNs: number): void {
    if (nowNs >= this.#overlays.nextNs) this.#advance(nowNs);
    this.next.push(frame, nowNs);
    this.#arm();
  }

  due(_: number, deadlineNs: number): void {
    if (deadlineNs !== this.#armedNs) return;
    this.#armedNs = Number.POSITIVE_INFINITY;
    if (deadlineNs >= this.#overlays.nextNs) this.#advance(deadlineNs);
    this.#arm();
  }

  #advance(nowNs: number): void {
    this.#overlays.advance(nowNs);
    this.#apply(this.#overlays.settings, nowNs);
  }

  #arm(): void {
    const { nextNs } = this.#overlays;
    if (nextNs === this.#armedNs || nextNs === Number.POSITIVE_INFINITY) return;
    if (!holdsFrames(this.#context.counters)) return;
    this.#armedNs = nextNs;
    this.#timers.at(nextNs, 0);
  }
}
