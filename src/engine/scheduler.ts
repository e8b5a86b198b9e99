/**
 * The worker's timers: a binary heap of deadlines in typed arrays. Equal deadlines come out in the order they went in.
 * Each has an owner, a number, so that all timers of a link direction can be cancelled with it.
 * A frame waits for one deadline at a time, so the room for all frames is enough but for deadlines that a change of
 * rate has outdated; those may make it grow.
 */
import type { TimedStage, Timers } from '../link/stage.ts';

export class Scheduler implements Timers {
  #deadlines: Float64Array;
  /** Ties: order of arrival. A float64 counts exactly for longer than any run. */
  #order: Float64Array;
  #frames: Int32Array;
  #owners: Int32Array;
  readonly #stages: (TimedStage | undefined)[];
  #size = 0;
  #arrivals = 0;

  constructor(capacity: number) {
    this.#deadlines = new Float64Array(capacity);
    this.#order = new Float64Array(capacity);
    this.#frames = new Int32Array(capacity);
    this.#owners = new Int32Array(capacity);
    this.#stages = new Array(capacity).fill(undefined);
  }

  /** The earliest deadline, Infinity when there is none. */
  get nextDeadlineNs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#deadlines[0]!;
  }

  at(deadlineNs: number, stage: TimedStage, frame: number, owner = 0): void {
    if (this.#size === this.#deadlines.length) this.#grow();
    this.#insert(deadlineNs, this.#arrivals++, frame, stage, owner);
  }

  /** Timers of one owner. */
  of(owner: number): Timers {
    return { at: (deadlineNs, stage, frame) => this.at(deadlineNs, stage, frame, owner) };
  }

  /** Cancels all timers of an owner. */
  cancel(owner: number): void {
    const count = this.#size;
    this.#size = 0;
    for (let i = 0; i < count; i++) {
      const stage = this.#stages[i]!;
      this.#stages[i] = undefined;
      if (this.#owners[i] === owner) continue;
      // Goes to a place that was looked at before: there are never more of them than have been read.
      this.#insert(this.#deadlines[i]!, this.#order[i]!, this.#frames[i]!, stage, this.#owners[i]!);
    }
  }

  /** Carries out everything that is due at `nowNs`, in order. */
  run(nowNs: number): void {
    while (this.#size > 0 && this.#deadlines[0]! <= nowNs) {
      const stage = this.#stages[0]!;
      const deadlineNs = this.#deadlines[0]!;
      const frame = this.#frames[0]!;
      this.#removeFirst();
      stage.due(frame, deadlineNs);
    }
  }

  #insert(deadlineNs: number, order: number, frame: number, stage: TimedStage, owner: number): void {
    let hole = this.#size++;
    while (hole > 0) {
      const parent = (hole - 1) >>> 1;
      if (!this.#isAfter(parent, deadlineNs, order)) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#place(hole, deadlineNs, order, frame, stage, owner);
  }

  #grow(): void {
    const capacity = 2 * this.#deadlines.length;
    const deadlines = new Float64Array(capacity);
    const order = new Float64Array(capacity);
    const frames = new Int32Array(capacity);
    const owners = new Int32Array(capacity);
    deadlines.set(this.#deadlines);
    order.set(this.#order);
    frames.set(this.#frames);
    owners.set(this.#owners);
    this.#deadlines = deadlines;
    this.#order = order;
    this.#frames = frames;
    this.#owners = owners;
  }

  #removeFirst(): void {
    const last = --this.#size;
    const deadlineNs = this.#deadlines[last]!;
    const order = this.#order[last]!;
    const frame = this.#frames[last]!;
    const owner = this.#owners[last]!;
    const stage = this.#stages[last];
    this.#stages[last] = undefined;
    if (last === 0) return;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#isBefore(child + 1, this.#deadlines[child]!, this.#order[child]!))
        child++;
      if (!this.#isBefore(child, deadlineNs, order)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#place(hole, deadlineNs, order, frame, stage!, owner);
  }

  #isBefore(at: number, deadlineNs: number, order: number): boolean {
    const own = this.#deadlines[at]!;
    return own < deadlineNs || (own === deadlineNs && this.#order[at]! < order);
  }

  #isAfter(at: number, deadlineNs: number, order: number): boolean {
    const own = this.#deadlines[at]!;
    return own > deadlineNs || (own === deadlineNs && this.#order[at]! > order);
  }

  #move(from: number, to: number): void {
    const owner = this.#owners[from]!;
    this.#place(
      to,
      this.#deadlines[from]!,
      this.#order[from]!,
      this.#frames[from]!,
      this.#stages[from]!,
      owner,
    );
  }

  #place(
    at: number,
    deadlineNs: number,
    order: number,
    frame: number,
    stage: TimedStage,
    owner: number,
  ): void {
    this.#deadlines[at] = deadlineNs;
    this.#order[at] = order;
    this.#frames[at] = frame;
    this.#owners[at] = owner;
    this.#stages[at] = stage;
  }
}
