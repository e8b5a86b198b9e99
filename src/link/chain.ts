/**
 * The stages that one set of impairments needs, in their order:
 *
 *   ─▶ carrier ─▶ mtu ─▶ loss ─▶ duplicate ─▶ corrupt ─▶ rate (queue, wire) ─▶ delay (or past it) ─▶ slot ─▶ end
 *
 * A stage that is off is not there, so a frame pays for what is on. One that was on and still holds frames stays in
 * the way until the next change, lest later frames overtake them. What changes the settings by itself stands before
 * all of them (over-time/modulation.ts).
 */
import { carrier } from './carrier.ts';
import { corrupt } from './corrupt.ts';
import { delay } from './delay.ts';
import { duplicate } from './duplicate.ts';
import { loss } from './loss.ts';
import { mtu } from './mtu.ts';
import { Modulation } from './over-time/modulation.ts';
import { rate } from './rate.ts';
import type { ChainSettings } from './settings.ts';
import { slot } from './slot.ts';
import {
  alike,
  type Impairment,
  type ImpairmentStage,
  type Stage,
  type StageContext,
  type TimerGroup,
} from './stage.ts';

const LAST_FIRST: readonly Impairment<ChainSettings>[] = [
  slot,
  delay,
  rate,
  corrupt,
  duplicate,
  loss,
  mtu,
  carrier,
];

export class Chain {
  /** Where frames enter. */
  head: Stage;
  readonly #context: StageContext;
  readonly #timers: TimerGroup;
  readonly #end: Stage;
  #modulation: Modulation | undefined;
  readonly #stages: Map<Impairment<ChainSettings>, ImpairmentStage<ChainSettings>> = new Map();

  constructor(context: StageContext, end: Stage) {
    this.#timers = context.timers.group();
    this.#context = alike({ ...context, timers: this.#timers });
    this.#end = end;
    this.head = end;
  }

  /** Takes over new settings. Frames under way keep what they were given. */
  set(settings: ChainSettings, nowNs: number): void {
    if (Modulation.isOn(settings)) {
      const arrange = (now: ChainSettings, atNs: number): void => this.#arrange(now, atNs);
      this.#modulation ??= new Modulation(this.#context, arrange, settings, nowNs);
    }
    if (this.#modulation) this.#modulation.set(settings, nowNs);
    else this.#arrange(settings, nowNs);
  }

  #arrange(settings: ChainSettings, nowNs: number): void {
    this.#timers.setPrecision(settings.precision);
    let next = this.#end;
    for (const impairment of LAST_FIRST) {
      const isOn = impairment.isOn(settings);
      const stage = this.#stages.get(impairment) ?? (isOn ? impairment.create(this.#context) : undefined);
      if (stage === undefined) continue;
      this.#stages.set(impairment, stage);
      stage.next = next;
      stage.set(settings, nowNs);
      if (isOn || stage.busy) next = stage;
    }
    if (this.#modulation) this.#modulation.next = next;
    this.head = Modulation.isOn(settings) ? this.#modulation! : next;
  }
}
