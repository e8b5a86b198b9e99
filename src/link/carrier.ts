/**
 * A direction that carries nothing: `carrier down` for good, `flap UP DOWN` again and again, up first, counted from
 * when it was set. What comes while it is down is dropped, reason `carrier`; what is under way arrives. The other
 * direction works on, as with a broken fibre of a pair.
 */
import { type Impairment, type ImpairmentStage, NOWHERE, type Stage, type StageContext } from './stage.ts';
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

class Carrier implements ImpairmentStage<CarrierSettings> {
  next: Stage = NOWHERE;
  readonly #drop: StageContext['drop'];
  #isDown = false;
  /** Of flapping; all is up time without it. */
  #upNs = 0;
  #periodNs = 0;
  #startNs = 0;

  constructor({ drop }: StageContext) {
    this.#drop = drop;
  }

  /** A flap that did not change goes on where it is. */
  set({ carrier: state, flap }: CarrierSettings, nowNs: number): void {
    this.#isDown = state === 'down';
    const { upNs, downNs } = flap ?? { upNs: 0, downNs: 0 };
    if (upNs === this.#upNs && upNs + downNs === this.#periodNs) return;
    this.#upNs = upNs;
    this.#periodNs = upNs + downNs;
    this.#startNs = nowNs;
  }

  push(frame: number, nowNs: number): void {
    const isFlappedDown = this.#periodNs > 0 && (nowNs - this.#startNs) % this.#periodNs >= this.#upNs;
    if (this.#isDown || isFlappedDown) this.#drop(frame, 'carrier');
    else this.next.push(frame, nowNs);
  }
}
