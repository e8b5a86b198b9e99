/**
 * One direction of a link: its rules, the chain of its stages, and the one place where its frames are counted.
 *
 *   offer ─┬─▶ first rule that matches: its own chain ─┬─▶ the link's chain (chain.ts) ─▶ deliver
 *          └───────────────────────────────────────────┘
 *
 * Whatever becomes of a frame, it ends in exactly one of deliver() and drop().
 */
import { Chain } from './chain.ts';
import {
  DELAYED_FRAMES,
  DELIVERED_BYTES,
  DELIVERED_FRAMES,
  DUPLICATED_FRAMES,
  dropCounter,
  MAX_RULES,
  OFFERED_BYTES,
  OFFERED_FRAMES,
  RULE_BYTES,
  RULE_DROPS,
  RULE_FRAMES,
  ruleCounters,
} from './counters.ts';
import { classFilters, frameFilter } from './filter.ts';
import type { DirectionObserver } from './observer.ts';
import type { Random } from './random.ts';
import { RuleChain } from './rule.ts';
import { CLEAR_LINK, type DropReason, type LinkSettings } from './settings.ts';
import { alike, type FrameTable, type Stage, type StageContext, type Timers } from './stage.ts';

export type DirectionContext = {
  readonly frames: FrameTable;
  readonly timers: Timers;
  /** See counters.ts. */
  readonly counters: Float64Array;
  /** Link type of the frames, as in pcap: 1 is EN10MB, 101 is RAW. */
  readonly linkType: number;
  /** A generator for the stage of that name. */
  readonly random: (stage: string) => Random;
  /** Hands a frame to the far end. Returns why it could not, if so. The slot is released afterwards. */
  readonly deliver: (frame: number, nowNs: number) => DropReason | undefined;
  /** A frame is being dropped: `length` bytes of it are still in its slot. */
  readonly dropped: (frame: number, length: number, reason: DropReason) => void;
  /** See StageContext. */
  readonly tellCarrier?: ((state: 'up' | 'down') => void) | undefined;
  /** The frame's slot is free again. */
  readonly release: (frame: number) => void;
};

export class LinkDirection implements Stage {
  /** Is told of all that becomes of frames from now on. */
  observer: DirectionObserver | undefined;
  readonly #context: DirectionContext;
  readonly #stageContext: StageContext;
  readonly #chain: Chain;
  /** Where frames enter the chain, whatever its first stage is now. */
  readonly #link: Stage;
  #rules: readonly RuleChain[] = [];
  #settings: LinkSettings = CLEAR_LINK;

  constructor(context: DirectionContext, settings: LinkSettings, nowNs = 0) {
    this.#context = context;
    this.#stageContext = alike({
      ...context,
      drop: (frame, reason) => this.drop(frame, reason),
      copied: (frame, copy) => this.#copied(frame, copy),
    });
    this.#chain = new Chain(this.#stageContext, this);
    this.#link = { push: (frame, nowNs) => this.#chain.head.push(frame, nowNs) };
    this.set(settings, nowNs);
  }

  /**
   * Takes over new settings. Frames already under way keep the delay they were given. Throws FilterSyntaxError when
   * a filter does not fit the link type; then nothing has changed.
   */
  set(settings: LinkSettings, nowNs: number): void {
    const rules = settings.rules.map(
      ({ match }) =>
        this.#rules.find((rule) => rule.match === match) ??
        new RuleChain(match, this.#stageContext, this.#link, this),
    );
    const { frames, linkType } = this.#context;
    for (const filter of classFilters(settings)) frameFilter(filter, frames, linkType);
    for (let i = 0; i < MAX_RULES; i++) if (rules[i] !== this.#rules[i]) this.#resetRule(i);
    this.#rules = rules;
    for (const [i, rule] of settings.rules.entries()) rules[i]!.set(rule, i, nowNs);
    this.#chain.set(settings, nowNs);
    this.#settings = settings;
  }

  /** When the wire was free, if the last frame was delivered at `deliveredNs`; long ago when nothing has a rate. */
  wireFreeNs(deliveredNs: number): number {
    const { delayNs, rules } = this.#settings;
    const chains = [this.#settings, ...rules.map(({ impair }) => impair)];
    const hasRate = chains.some(({ rateBitsPerSecond = 0 }) => rateBitsPerSecond > 0);
    return hasRate ? deliveredNs - delayNs : Number.NEGATIVE_INFINITY;
  }

  /** Whether every frame is delivered as it comes: there is no rule and no impairment, and nobody to be told. */
  get isClear(): boolean {
    return this.#rules.length === 0 && this.#chain.head === this && this.observer === undefined;
  }

  /** Counts frames that passed a clear link together. */
  countPassed(frames: number, bytes: number): void {
    const { counters } = this.#context;
    counters[OFFERED_FRAMES]! += frames;
    counters[OFFERED_BYTES]! += bytes;
    counters[DELIVERED_FRAMES]! += frames;
    counters[DELIVERED_BYTES]! += bytes;
  }

  /** Takes a frame from the near end. */
  offer(frame: number, nowNs: number): void {
    const { counters, frames } = this.#context;
    frames.arrivedNs[frame] = nowNs;
    counters[OFFERED_FRAMES]!++;
    counters[OFFERED_BYTES]! += frames.length[frame]!;
    this.observer?.offered(frame);
    for (const rule of this.#rules) {
      if (!rule.matches(frame)) continue;
      rule.push(frame, nowNs);
      return;
    }
    this.#chain.head.push(frame, nowNs);
  }

  /** End of the chain: the frame has reached the far end. */
  push(frame: number, nowNs: number): void {
    const { counters, frames } = this.#context;
    const reason = this.#context.deliver(frame, nowNs);
    if (reason !== undefined) {
      this.drop(frame, reason);
      return;
    }
    counters[DELIVERED_FRAMES]!++;
    this.observer?.delivered(frame);
    counters[DELIVERED_BYTES]! += frames.length[frame]!;
    if (nowNs > frames.arrivedNs[frame]!) counters[DELAYED_FRAMES]!++;
    this.#context.release(frame);
  }

  /** The other end of the chain: counts the frame and lets it go. */
  drop(frame: number, reason: DropReason): void {
    this.#context.counters[dropCounter(reason)]!++;
    this.observer?.dropped(frame, reason);
    this.#context.dropped(frame, this.#context.frames.length[frame]!, reason);
    this.#context.release(frame);
  }

  /**
   * Frames that had been delivered were not taken after all.
   * @param frame the slot of a single one that is still there; the bytes of several, joined, are gone by then
   */
  takeBack(frames: number, bytes: number, reason: DropReason, frame?: number): void {
    const { counters } = this.#context;
    counters[DELIVERED_FRAMES]! -= frames;
    counters[DELIVERED_BYTES]! -= bytes;
    counters[dropCounter(reason)]! += frames;
    this.observer?.refused(frames);
    if (frame !== undefined) this.#context.dropped(frame, bytes, reason);
  }

  /** A frame that never enters the link: no slot was free for it, or it is too long for one. Its slot is not released. */
  dropUnread(frame: number, length: number, reason: DropReason): void {
    const { counters } = this.#context;
    const { observer } = this;
    counters[OFFERED_FRAMES]!++;
    counters[OFFERED_BYTES]! += length;
    counters[dropCounter(reason)]!++;
    observer?.offered(frame);
    observer?.dropped(frame, reason);
    this.#context.dropped(frame, length, reason);
  }

  /** The link made a copy of a frame; one that no slot held, -1, is lost at once. */
  #copied(frame: number, copy: number): void {
    const { counters, frames, dropped } = this.#context;
    counters[DUPLICATED_FRAMES]!++;
    this.observer?.duplicated(frame, copy);
    if (copy !== -1) return;
    counters[dropCounter('pool')]!++;
    dropped(frame, frames.length[frame]!, 'pool');
  }

  #resetRule(index: number): void {
    const first = ruleCounters(index);
    for (const counter of [RULE_FRAMES, RULE_BYTES, RULE_DROPS]) this.#context.counters[first + counter] = 0;
  }
}
