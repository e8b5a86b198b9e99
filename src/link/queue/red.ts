/**
 * Random Early Detection (S. Floyd and V. Jacobson, 1993; tc-red(8)): the more bytes wait on average, the more
 * likely an arriving frame is dropped; above `max` every one is. With `ecn`, frames that can carry a mark get it.
 *
 * Unlike in tc-red(8), the weight of the newest sample is given itself, not through `burst`.
 */
import { markCongestion } from '../ecn.ts';
import type { Random } from '../random.ts';
import type { StageContext } from '../stage.ts';
import { Fifo } from './fifo.ts';
import type { Backlog } from './queue.ts';

export type RedSettings = {
  readonly discipline: 'red';
  /** Average backlog below which nothing, and above which everything is dropped. */
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Probability just below `maxBytes`. */
  readonly probability: number;
  /** Weight of the newest sample in the average. */
  readonly weight: number;
  /** Typical length of a frame: what an idle queue could have sent. */
  readonly frameBytes: number;
  readonly ecn: boolean;
};

export class RedQueue extends Fifo {
  readonly #settings: RedSettings;
  readonly #random: Random;
  #averageBytes = 0;
  /** Frames since the last drop, -1 while the average is below the minimum. */
  #count = -1;
  /** When a frame was last asked for: since then the queue is empty, if it is. */
  #idleSinceNs = 0;

  constructor(context: StageContext, backlog: Backlog, settings: RedSettings) {
    super(context, backlog);
    this.#settings = settings;
    this.#random = context.random('red');
  }

  override enqueue(frame: number, nowNs: number): void {
    this.#average(nowNs);
    const { frames, linkType, drop } = this.context;
    const isDropped = this.#isChosen() && !(this.#settings.ecn && markCongestion(frames, frame, linkType));
    if (isDropped) drop(frame, 'aqm');
    else super.enqueue(frame, nowNs);
  }

  override dequeue(nowNs: number): number {
    this.#idleSinceNs = nowNs;
    return super.dequeue(nowNs);
  }

  #average(nowNs: number): void {
    const { weight, frameBytes } = this.#settings;
    if (this.backlog.frames > 0) {
      this.#averageBytes += weight * (this.backlog.bytes - this.#averageBytes);
      return;
    }
    const framesMissed = ((nowNs - this.#idleSinceNs) * this.backlog.rateBitsPerSecond) / (frameBytes * 8e9);
    this.#averageBytes *= (1 - weight) ** Math.max(0, framesMissed);
  }

  #isChosen(): boolean {
    const { minBytes, maxBytes, probability } = this.#settings;
    if (this.#averageBytes < minBytes) {
      this.#count = -1;
      return false;
    }
    if (this.#averageBytes >= maxBytes) {
      this.#count = 0;
      return true;
    }
    this.#count++;
    const base = (probability * (this.#averageBytes - minBytes)) / (maxBytes - minBytes);
    // Makes the distance between drops uniform: the paper's section 7, method 2.
    const spread = 1 - this.#count * base;
    if (spread > 0 && this.#random() >= base / spread) return false;
    this.#count = 0;
    return true;
  }
}
