/**
 * Modulation by a Markov chain, as vde's wirefilter has it: named states with impairments of their own, and the
 * probabilities of going from one to another at each time step. It begins in the first state when it is set.
 *
 * Which state holds is looked up for the time that is asked about (markov-path.ts): a link that was idle for a day does
 * not go through the steps of that day.
 */
import { type Random, scattered } from '../random.ts';
import type { ChainSettings } from '../settings.ts';
import type { Modulator } from './current.ts';
import { MarkovPath } from './markov-path.ts';

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
  readonly #path: MarkovPath;
  readonly #startNs: number;
  #state = 0;

  constructor(markov: Markov, random: Random, startNs: number) {
    const { states } = markov;
    this.#markov = markov;
    this.#path = new MarkovPath(
      states.map((state) => states.map(({ name }) => going(state, name))),
      scattered(random),
    );
    // Whole numbers, so that a step is never a rounding error short of its time.
    this.#startNs = Math.floor(startNs);
    this.nextNs = this.#startNs;
    this.advance(startNs);
  }

  get overlay(): Partial<ChainSettings> {
    return this.#markov.states[this.#state]!.impair ?? {};
  }

  advance(nowNs: number): void {
    if (nowNs < this.nextNs) return;
    const { stepNs } = this.#markov;
    this.#state = this.#path.at(Math.floor((nowNs - this.#startNs) / stepNs));
    this.nextNs = this.#startNs + this.#path.until * stepNs;
  }
}

/** Probability that a step goes from a state to that of a name. */
function going({ to }: MarkovState, name: string): number {
  return to.reduce((sum, { state, probability }) => (state === name ? sum + probability : sum), 0);
}

/** Probability that a step leaves the state. */
export function leaving({ to }: MarkovState): number {
  return to.reduce((sum, { probability }) => sum + probability, 0);
}
