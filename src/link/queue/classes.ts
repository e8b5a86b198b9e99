/**
 * Queues of several classes, which BPF filters choose: a frame belongs to the first class whose filter matches, and
 * to the last one, which stands for all the rest, when none does.
 *
 *   prio   strict priority: a class sends only while those before it have nothing (tc-prio(8))
 *   drr    deficit round robin (M. Shreedhar and G. Varghese, 1995; tc-drr(8)): bytes in proportion to the weights
 *
 * Each class has the limit of the queue to itself, lest one that is full shut the others out.
 */
import { type FrameFilter, frameFilter } from '../filter.ts';
import type { StageContext } from '../stage.ts';
import { type Backlog, FrameList, NONE, type Queue } from './queue.ts';

export type PrioSettings = {
  readonly discipline: 'prio';
  readonly classes: readonly { readonly filter: string }[];
};

export type DrrSettings = {
  readonly discipline: 'drr';
  /** Bytes that a class of weight 1 may send in its turn. */
  readonly quantumBytes: number;
  readonly classes: readonly { readonly filter: string; readonly weight: number }[];
};

abstract class ClassQueue implements Queue {
  protected readonly lists: readonly FrameList[];
  protected readonly context: StageContext;
  readonly #backlog: Backlog;
  readonly #filters: readonly FrameFilter[];

  constructor(context: StageContext, backlog: Backlog, { classes }: PrioSettings | DrrSettings) {
    this.context = context;
    this.#backlog = backlog;
    this.#filters = classes.map(({ filter }) => frameFilter(filter, context.frames, context.linkType));
    this.lists = Array.from({ length: classes.length + 1 }, () => new FrameList(context.frames));
  }

  enqueue(frame: number, nowNs: number): void {
    const list = this.#listOf(frame);
    if (!this.#backlog.fits(frame, list)) {
      this.context.drop(frame, 'queue');
      return;
    }
    this.#backlog.add(frame, nowNs);
    list.append(frame);
  }

  abstract dequeue(nowNs: number): number;

  put(frame: number): void {
    this.#listOf(frame).append(frame);
  }

  take(): number {
    for (const list of this.lists) if (list.head !== NONE) return list.shift();
    return NONE;
  }

  #listOf(frame: number): FrameList {
    let index = 0;
    while (index < this.#filters.length && !this.#filters[index]!(frame)) index++;
    return this.lists[index]!;
  }
}

export class PrioQueue extends ClassQueue {
  dequeue(): number {
    return this.take();
  }
}

export class DrrQueue extends ClassQueue {
  /** Bytes a class gets in its turn, and what it has left of them. */
  readonly #quanta: readonly number[];
  readonly #deficits: Float64Array;
  #turn = 0;
  #isNewTurn = true;

  constructor(context: StageContext, backlog: Backlog, settings: DrrSettings) {
    super(context, backlog, settings);
    const weights = [...settings.classes.map(({ weight }) => weight), 1];
    this.#quanta = weights.map((weight) => weight * settings.quantumBytes);
    this.#deficits = new Float64Array(weights.length);
  }

  dequeue(): number {
    if (this.lists.every((list) => list.head === NONE)) return NONE;
    for (;;) {
      const frame = this.#ofThisTurn();
      if (frame !== NONE) return frame;
      this.#turn = (this.#turn + 1) % this.lists.length;
      this.#isNewTurn = true;
    }
  }

  /** The next frame of the class whose turn it is, as long as its deficit allows. */
  #ofThisTurn(): number {
    const list = this.lists[this.#turn]!;
    if (list.head === NONE) {
      this.#deficits[this.#turn] = 0;
      return NONE;
    }
    if (this.#isNewTurn) this.#deficits[this.#turn]! += this.#quanta[this.#turn]!;
    this.#isNewTurn = false;
    const length = this.context.frames.length[list.head]!;
    if (length > this.#deficits[this.#turn]!) return NONE;
    this.#deficits[this.#turn]! -= length;
    return list.shift();
  }
}
