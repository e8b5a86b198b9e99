/**
 * CoDel (RFC 8289): frames are dropped at the front, ever more often, as long as none has waited for less than the
 * target during an interval. With `ecn`, frames that can carry a mark get it instead.
 */
import { markCongestion } from '../ecn.ts';
import type { StageContext } from '../stage.ts';
import { Fifo } from './fifo.ts';
import { type Backlog, type FrameList, NONE } from './queue.ts';

export type CodelSettings = {
  readonly discipline: 'codel';
  /** Standing delay that is accepted. */
  readonly targetNs: number;
  /** About the longest round trip of those who use the link. */
  readonly intervalNs: number;
  /** Mark ECN-capable frames instead of dropping them. */
  readonly ecn: boolean;
};

type Parameters = Pick<CodelSettings, 'targetNs' | 'intervalNs' | 'ecn'>;

/** The state machine of section 5, over one list of frames. */
export class Codel {
  readonly #context: StageContext;
  readonly #backlog: Backlog;
  readonly #list: FrameList;
  readonly #settings: Parameters;
  /** When the sojourn time will have been above target for an interval; 0 while it is below. */
  #firstAboveNs = 0;
  #isDropping = false;
  #dropNextNs = 0;
  /** Drops since the dropping state was entered, and what they were when it was entered before. */
  #count = 0;
  #lastCount = 0;
  /** A queue that holds no more than this is no standing queue. */
  #largestFrame = 0;
  /** Of the frame last shifted. */
  #mayDrop = false;

  constructor(context: StageContext, backlog: Backlog, list: FrameList, settings: Parameters) {
    this.#context = context;
    this.#backlog = backlog;
    this.#list = list;
    this.#settings = settings;
  }

  dequeue(nowNs: number): number {
    const frame = this.#shift(nowNs);
    if (this.#isDropping) return this.#continueDropping(frame, nowNs);
    if (!this.#mayDrop) return frame;
    const next = this.#dropOrMark(frame) ? frame : this.#shift(nowNs);
    this.#isDropping = true;
    const delta = this.#count - this.#lastCount;
    const isRecent = nowNs - this.#dropNextNs < 16 * this.#settings.intervalNs;
    this.#count = delta > 1 && isRecent ? delta : 1;
    this.#lastCount = this.#count;
    this.#dropNextNs = this.#controlLaw(nowNs);
    return next;
  }

  #continueDropping(first: number, nowNs: number): number {
    let frame = first;
    this.#isDropping = this.#mayDrop;
    while (this.#isDropping && nowNs >= this.#dropNextNs) {
      this.#count++;
      const isMarked = this.#dropOrMark(frame);
      if (!isMarked) {
        frame = this.#shift(nowNs);
        this.#isDropping = this.#mayDrop;
      }
      if (this.#isDropping) this.#dropNextNs = this.#controlLaw(this.#dropNextNs);
      if (isMarked) break;
    }
    return frame;
  }

  /** dodequeue() of the RFC. */
  #shift(nowNs: number): number {
    const { frames } = this.#context;
    const frame = this.#list.shift();
    this.#mayDrop = false;
    if (frame === NONE) {
      this.#firstAboveNs = 0;
      return NONE;
    }
    const length = frames.length[frame]!;
    if (length > this.#largestFrame) this.#largestFrame = length;
    const sojournNs = nowNs - frames.queuedNs[frame]!;
    if (sojournNs < this.#settings.targetNs || this.#list.bytes <= this.#largestFrame) {
      this.#firstAboveNs = 0;
    } else if (this.#firstAboveNs === 0) {
      this.#firstAboveNs = nowNs + this.#settings.intervalNs;
    } else {
      this.#mayDrop = nowNs >= this.#firstAboveNs;
    }
    return frame;
  }

  #controlLaw(fromNs: number): number {
    return fromNs + this.#settings.intervalNs / Math.sqrt(this.#count);
  }

  /** Returns whether the frame could be marked and so is still there. */
  #dropOrMark(frame: number): boolean {
    if (this.#settings.ecn && markCongestion(this.#context.frames, frame, this.#context.linkType))
      return true;
    this.#backlog.discard(frame, 'aqm');
    return false;
  }
}

export class CodelQueue extends Fifo {
  readonly #codel: Codel;

  constructor(context: StageContext, backlog: Backlog, settings: Parameters) {
    super(context, backlog);
    this.#codel = new Codel(context, backlog, this.list, settings);
  }

  override dequeue(nowNs: number): number {
    return this.#codel.dequeue(nowNs);
  }
}
