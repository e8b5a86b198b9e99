/**
 * A direction that carries nothing: `carrier down` for good, `flap UP DOWN` again and again, up first, counted from
 * when it was set. What comes while it is down is dropped, reason `carrier`; what is under way arrives.
 *
 * Where the far end is a device that can lose its carrier, it does: it is told when the state changes, by a timer when
 * the direction flaps, unless it does so faster than a node's kernel would follow. A rule's frames only are dropped.
 */
import {
  type Impairment,
  type ImpairmentStage,
  NOWHERE,
  type Stage,
  type StageContext,
  type StageTimers,
  type TimedStage,
} from './stage.ts';
import { formatTime, parseTime, UnitError } from './units.ts';
import type { Word } from './words.ts';

export type CarrierSettings = {
  readonly carrier: 'up' | 'down';
  /** How long it is up and down in turns, while `carrier` is up. */
  readonly flap: { readonly upNs: number; readonly downNs: number } | null;
};

export const CARRIER_UP: CarrierSettings = { carrier: 'up', flap: null };

export const CARRIER_WORDS: readonly Word<CarrierSettings>[] = [
  {
    name: 'carrier',
    syntax: 'up | down',
    help: 'down: the direction carries nothing.',
    read: (args) => ({ carrier: args.take('up', 'down') ?? args.value(neither, 'up or down') }),
    write: ({ carrier: state }) => (state === 'up' ? undefined : state),
  },
  {
    name: 'flap',
    syntax: 'UP DOWN | none',
    help: 'Times for which the direction carries frames, and then nothing, in turns, as 10s 500ms.',
    read: (args) => {
      if (args.take('none') !== undefined) return { flap: null };
      const upNs = args.value(parsePeriod, 'how long it is up, such as 10s');
      return { flap: { upNs, downNs: args.value(parsePeriod, 'how long it is down, such as 500ms') } };
    },
    write: ({ flap }) => (flap === null ? undefined : `${formatTime(flap.upNs)} ${formatTime(flap.downNs)}`),
  },
];

function neither(text: string): never {
  throw new UnitError(`"${text.slice(0, 40)}": expected up or down`);
}

function parsePeriod(text: string): number {
  const value = parseTime(text);
  if (value === 0) throw new UnitError(`"${text}": too small, at least 1ns`);
  return value;
}

export const carrier: Impairment<CarrierSettings> = {
  isOn: (settings) => settings.carrier === 'down' || settings.flap !== null,
  create: (context) => new Carrier(context),
};

/** Flaps of shorter times are not shown to the device. */
const MIN_SHOWN_NS = 1e7;

class Carrier implements ImpairmentStage<CarrierSettings>, TimedStage {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #timers: StageTimers;
  #isDown = false;
  /** Of flapping; all is up time without it. */
  #upNs = 0;
  #periodNs = 0;
  #startNs = 0;
  /** When the device is to be told next. A timer with another deadline is one that was outdated. */
  #tellNs: number = Number.POSITIVE_INFINITY;
  #told: 'up' | 'down' = 'up';

  constructor(context: StageContext) {
    this.#context = context;
    this.#timers = context.timers.for(this);
  }

  /** A flap that did not change goes on where it is. */
  set({ carrier: state, flap }: CarrierSettings, nowNs: number): void {
    this.#isDown = state === 'down';
    const { upNs, downNs } = flap ?? { upNs: 0, downNs: 0 };
    if (upNs !== this.#upNs || upNs + downNs !== this.#periodNs) {
      this.#upNs = upNs;
      this.#periodNs = upNs + downNs;
      this.#startNs = nowNs;
    }
    this.#tell(nowNs);
  }

  push(frame: number, nowNs: number): void {
    if (this.#isDown || this.#isFlappedDown(nowNs)) this.#context.drop(frame, 'carrier');
    else this.next.push(frame, nowNs);
  }

  due(_: number, deadlineNs: number): void {
    if (deadlineNs === this.#tellNs) this.#tell(deadlineNs);
  }

  #isFlappedDown(nowNs: number): boolean {
    return this.#periodNs > 0 && (nowNs - this.#startNs) % this.#periodNs >= this.#upNs;
  }

  /** Tells the device, and sees to it that it is told of the next change. */
  #tell(nowNs: number): void {
    const { tellCarrier } = this.#context;
    if (tellCarrier === undefined) return;
    const isShown = this.#upNs >= MIN_SHOWN_NS && this.#periodNs - this.#upNs >= MIN_SHOWN_NS;
    const isFlapping = isShown && !this.#isDown;
    const state = this.#isDown || (isFlapping && this.#isFlappedDown(nowNs)) ? 'down' : 'up';
    if (state !== this.#told) tellCarrier(state);
    this.#told = state;
    if (!isFlapping) {
      this.#tellNs = Number.POSITIVE_INFINITY;
      return;
    }
    const turnNs = this.#startNs + Math.floor((nowNs - this.#startNs) / this.#periodNs) * this.#periodNs;
    const nextNs = turnNs + (state === 'up' ? this.#upNs : this.#periodNs);
    if (nextNs === this.#tellNs) return;
    this.#tellNs = nextNs;
    this.#timers.at(nextNs, 0);
  }
}
