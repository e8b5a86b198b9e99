/**
 * Modulation by a Markov chain, as vde's wirefilter has it: named states with impairments of their own, and the
 * probabilities of going from one to another at each time step. It begins in the first state when it is set.
 *
 * How long a state lasts is drawn at once, from the geometric distribution that the steps make: so a step in which
 * nothing happens costs nothing.
 */
import type { Random } from '../random.ts';
import type { ChainSettings } from '../settings.ts';
import type { Modulator } from './current.ts';

export type MarkovState = {
  readonly name: string;
  /** Its impairment as text, laid over those of the chain. */
  readonly impairment: string;
  /** What that says. Absent where settings are only shown. */
  readonly impair?: Partial<ChainSettings>;
  readonly to: readonly { readonly state: string; readonly probability: number }[];
};

export type Markov = { readonly stepNs: number; readonly states: readonly MarkovState[] };

export const MAX_STATES = 64;

export class MarkovModulator implements Modulator {
  nextNs: number;
  readonly #markov: Markov;
  readonly #random: Random;
  #state: MarkovState;

  constructor(markov: Markov, random: Random, startNs: number) {
    this.#markov = markov;
    this.#random = random;
    this.#state = markov.states[0]!;
    this.nextNs = Math.floor(startNs) + this.#durationNs();
  }

  get overlay(): Partial<ChainSettings> {
    return this.#state.impair ?? {};
  }

  advance(nowNs: number): void {
    while (this.nextNs <= nowNs) {
      this.#state = this.#successor();
      this.nextNs += this.#durationNs();
    }
  }

  /** The number of steps up to the first that leaves the state. */
  #durationNs(): number {
    const leave = leaving(this.#state);
    if (leave === 0) return Number.POSITIVE_INFINITY;
    const steps = leave >= 1 ? 1 : 1 + Math.floor(Math.log1p(-this.#random()) / Math.log1p(-leave));
    return steps * this.#markov.stepNs;
  }

  #successor(): MarkovState {
    let left = this.#random() * leaving(this.#state);
    const { to } = this.#state;
    const chosen =
      to.find(({ probability }) => {
        left -= probability;
        return left < 0;
      }) ?? to.at(-1)!;
    return this.#markov.states.find(({ name }) => name === chosen.state)!;
  }
}

/** Probability that a step leaves the state. */
export function leaving({ to }: MarkovState): number {
  return to.reduce((sum, { probability }) => sum + probability, 0);
}
