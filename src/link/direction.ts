/**
 * One direction of a link: the chain of its stages, and the one place where its frames are counted.
 *
 *   offer ─▶ loss ─▶ rate (queue, serialization) ─▶ delay (propagation, jitter) ─▶ deliver
 *
 * Whatever becomes of a frame, it ends in exactly one of deliver() and drop().
 */
import {
  DELAYED_FRAMES,
  DELIVERED_BYTES,
  DELIVERED_FRAMES,
  dropCounter,
  OFFERED_BYTES,
  OFFERED_FRAMES,
} from './counters.ts';
import { Delay } from './delay.ts';
import { Loss } from './loss.ts';
import type { Random } from './random.ts';
import { Rate } from './rate.ts';
import type { DropReason, LinkSettings } from './settings.ts';
import type { FrameTable, Stage, Timers } from './stage.ts';

export type DirectionContext = {
  readonly frames: FrameTable;
  readonly timers: Timers;
  /** See counters.ts. */
  readonly counters: Float64Array;
  /** A generator for the stage of that name. */
  readonly random: (stage: string) => Random;
  /** Hands a frame to the far end. Returns why it could not, if so. The slot is released afterwards. */
  readonly deliver: (frame: number, nowNs: number) => DropReason | undefined;
  /** A frame is being dropped: `length` bytes of it are still in its slot. */
  readonly dropped: (frame: number, length: number, reason: DropReason) => void;
  /** The frame's slot is free again. */
  readonly release: (frame: number) => void;
};

export class LinkDirection implements Stage {
  readonly #context: DirectionContext;
  readonly #loss: Loss;
  readonly #rate: Rate;
  readonly #delay: Delay;

  constructor(context: DirectionContext, settings: LinkSettings) {
    const { frames, timers, counters, random } = context;
    const drop = (frame: number, reason: DropReason): void => this.drop(frame, reason);
    this.#context = context;
    this.#delay = new Delay(this, timers, random('delay'));
    this.#rate = new Rate(this.#delay, timers, frames, drop, counters);
    this.#loss = new Loss(this.#rate, random('loss'), drop);
    this.set(settings, 0);
  }

  /** Takes over new settings. Frames already under way keep the delay they were given. */
  set(settings: LinkSettings, nowNs: number): void {
    this.#loss.probability = settings.loss;
    this.#rate.limitBytes = settings.limitBytes;
    this.#rate.setRate(settings.rateBitsPerSecond, nowNs);
    this.#delay.delayNs = settings.delayNs;
    this.#delay.jitterNs = settings.jitterNs;
  }

  /** Takes a frame from the near end. */
  offer(frame: number, nowNs: number): void {
    const { counters, frames } = this.#context;
    frames.arrivedNs[frame] = nowNs;
    counters[OFFERED_FRAMES]!++;
    counters[OFFERED_BYTES]! += frames.length[frame]!;
    this.#loss.push(frame, nowNs);
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
    counters[DELIVERED_BYTES]! += frames.length[frame]!;
    if (nowNs > frames.arrivedNs[frame]!) counters[DELAYED_FRAMES]!++;
    this.#context.release(frame);
  }

  /** The other end of the chain: counts the frame and lets it go. */
  drop(frame: number, reason: DropReason): void {
    this.#context.counters[dropCounter(reason)]!++;
    this.#context.dropped(frame, this.#context.frames.length[frame]!, reason);
    this.#context.release(frame);
  }

  /** A frame that never enters the link: no slot was free for it, or it is too long for one. Its slot is not released. */
  dropUnread(frame: number, length: number, reason: DropReason): void {
    const { counters } = this.#context;
    counters[OFFERED_FRAMES]!++;
    counters[OFFERED_BYTES]! += length;
    counters[dropCounter(reason)]!++;
    this.#context.dropped(frame, length, reason);
  }
}
