/**
 * Impairments for some of a direction's frames: those that a filter matches pass a chain of their own, and then what
 * the rule's verdict says.
 */
import { Chain } from './chain.ts';
import { RULE_BYTES, RULE_DROPS, RULE_FRAMES, ruleCounters } from './counters.ts';
import { markCongestion } from './ecn.ts';
import { type FrameFilter, frameFilter } from './filter.ts';
import { CLEAR_CHAIN, type Rule } from './settings.ts';
import { alike, type Stage, type StageContext } from './stage.ts';

export class RuleChain implements Stage {
  readonly matches: FrameFilter;
  readonly match: string;
  readonly #context: StageContext;
  readonly #chain: Chain;
  readonly #link: Stage;
  readonly #end: Stage;
  /** First of its counters. */
  #counters = 0;
  #verdict: Rule['verdict'] = 'link';

  /**
   * @param link the link's own impairments; @param end the far end
   * Throws FilterSyntaxError when the filter does not fit the link type.
   */
  constructor(match: string, context: StageContext, link: Stage, end: Stage) {
    this.match = match;
    this.matches = frameFilter(match, context.frames, context.linkType);
    this.#link = link;
    this.#end = end;
    this.#context = alike({
      ...context,
      tellCarrier: undefined,
      random: (name) => context.random(`match ${match}/${name}`),
      drop: (frame, reason) => {
        context.counters[this.#counters + RULE_DROPS]!++;
        context.drop(frame, reason);
      },
    });
    this.#chain = new Chain(this.#context, { push: (frame, nowNs) => this.#leave(frame, nowNs) });
  }

  /** Takes over new settings, and the counters of rule `index`. */
  set({ impair, verdict }: Rule, index: number, nowNs: number): void {
    this.#counters = ruleCounters(index);
    this.#verdict = verdict;
    this.#chain.set({ ...CLEAR_CHAIN, ...impair }, nowNs);
  }

  push(frame: number, nowNs: number): void {
    const { counters, frames } = this.#context;
    counters[this.#counters + RULE_FRAMES]!++;
    counters[this.#counters + RULE_BYTES]! += frames.length[frame]!;
    this.#chain.head.push(frame, nowNs);
  }

  #leave(frame: number, nowNs: number): void {
    const { frames, linkType, drop } = this.#context;
    switch (this.#verdict) {
      case 'drop':
        drop(frame, 'filter');
        return;
      case 'pass':
        this.#end.push(frame, nowNs);
        return;
      case 'mark':
        markCongestion(frames, frame, linkType);
        this.#link.push(frame, nowNs);
        return;
      case 'link':
        this.#link.push(frame, nowNs);
    }
  }
}
