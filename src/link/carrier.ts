/**
 * A direction that carries nothing: `carrier down`. What comes is dropped, reason `carrier`; what is under way
 * arrives. The other direction works on, as with a broken fibre of a pair.
 */
import { type Impairment, type ImpairmentStage, NOWHERE, type Stage, type StageContext } from './stage.ts';
import { UnitError } from './units.ts';
import type { Word } from './words.ts';

export type CarrierSettings = { readonly carrier: 'up' | 'down' };

export const CARRIER_UP: CarrierSettings = { carrier: 'up' };

export const CARRIER_WORDS: readonly Word<CarrierSettings>[] = [
  {
    name: 'carrier',
    syntax: 'up | down',
    help: 'down: the direction carries nothing.',
    read: (args) => ({ carrier: args.take('up', 'down') ?? args.value(neither, 'up or down') }),
    write: ({ carrier: state }) => (state === 'up' ? undefined : state),
  },
];

function neither(text: string): never {
  throw new UnitError(`"${text.slice(0, 40)}": expected up or down`);
}

export const carrier: Impairment<CarrierSettings> = {
  isOn: (settings) => settings.carrier === 'down',
  create: ({ drop }) => new Down(drop),
};

class Down implements ImpairmentStage<CarrierSettings> {
  next: Stage = NOWHERE;
  readonly #drop: StageContext['drop'];

  constructor(drop: StageContext['drop']) {
    this.#drop = drop;
  }

  set(): void {}

  push(frame: number): void {
    this.#drop(frame, 'carrier');
  }
}
