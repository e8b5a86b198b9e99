/**
 * The worker's timers. Equal deadlines come out in the order they went in. Each has an owner, a number, so that all
 * timers of a link direction can be cancelled with it.
 *
 * Frames that a stage delays alike stand in a line, and only the first of a line is in the heap: so what a frame costs
 * does not depend on how many are in flight. One whose deadline is before that of the last in line goes to the heap by
 * itself. When much waits in the heap, what is due later waits in a wheel (deadline-wheel.ts), from where it comes into
 * the heap in time. Either way all come out in one order, by deadline and arrival.
 */
import type { Precision } from '../link/precision.ts';
import type { StageTimers, TimedStage, TimerGroup, Timers } from '../link/stage.ts';
import { DeadlineHeap } from './deadline-heap.ts';
import { DeadlineWheel } from './deadline-wheel.ts';

const NONE = -1;
/** Stands in the heap for the first frame of a line. */
const LINE = -1;
/** As long as the heap has no more than that, it costs less alone. */
const FEW = 64;

export class Scheduler {
  /** Nanoseconds; what waits there is a frame for a waiter, or a line. Its first is the first of all. */
  readonly #heap: DeadlineHeap = new DeadlineHeap(FEW);
  /** All of it is due after the first of the heap. */
  readonly #wheel: DeadlineWheel = new DeadlineWheel();
  /** By number; those that have no entry in heap or wheel have none. */
  readonly #waiters: (Waiter | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  readonly #places: Places;
  #arrivals = 0;
  /** Entries that precise groups have. */
  #precise = 0;

  /** @param frames those that stand in lines have numbers below this */
  constructor(frames: number) {
    this.#places = { keys: new Float64Array(2 * frames), next: new Int32Array(frames) };
  }

  /** The earliest deadline, Infinity when there is none. */
  get nextDeadlineNs(): number {
    return this.#heap.deadlineNs;
  }

  /** Whether any timer that is set belongs to a group with high precision. */
  get isPrecise(): boolean {
    return this.#precise > 0;
  }

  /** Timers of one owner. */
  of(owner: number): Timers {
    return new Group(this, this.#places, owner);
  }

  /** Counts again what precise groups have. */
  countPrecise(): void {
    this.#precise = 0;
    for (const waiter of this.#waiters) if (waiter?.group.isPrecise) this.#precise += waiter.entries;
  }

  /** Cancels all timers of an owner. */
  cancel(owner: number): void {
    this.#wheel.empty(this.#heap);
    this.#heap.filter((number) => this.#waiters[number]!.group.owner !== owner);
    for (const waiter of this.#waiters) {
      if (waiter?.group.owner !== owner) continue;
      waiter.clear();
      this.#forget(waiter);
    }
    this.countPrecise();
  }

  /** Carries out everything that is due at `nowNs`, in order. */
  run(nowNs: number): void {
    // Short enough in V8's eyes to be inlined: where nothing is due it costs nothing. Destructuring is not.
    const heap = this.#heap;
    const wheel = this.#wheel;
    while (heap.deadlineNs <= nowNs) {
      const { deadlineNs } = heap;
      const waiter = this.#waiters[heap.waiter]!;
      let { frame } = heap;
      if (frame === LINE) {
        frame = waiter.shift();
        if (waiter.first !== NONE) {
          const { keys } = this.#places;
          const at = 2 * waiter.first;
          if (heap.size < FEW || !wheel.take(keys[at]!, keys[at + 1]!, LINE, waiter.number, deadlineNs))
            heap.replace(keys[at]!, keys[at + 1]!, LINE, waiter.number);
          else heap.pop();
        } else this.#pop(waiter);
      } else this.#pop(waiter);
      wheel.turn(heap);
      waiter.stage.due(frame, deadlineNs);
    }
  }

  /** The next place in the order of equal deadlines. */
  arrive(): number {
    return this.#arrivals++;
  }

  /** Puts a frame, or the line, of a waiter into heap or wheel. */
  push(deadlineNs: number, order: number, frame: number, waiter: Waiter): void {
    if (waiter.entries++ === 0) {
      waiter.number = this.#freeNumbers.pop() ?? this.#waiters.length;
      this.#waiters[waiter.number] = waiter;
    }
    if (waiter.group.isPrecise) this.#precise++;
    const heap = this.#heap;
    if (heap.size < FEW || !this.#wheel.take(deadlineNs, order, frame, waiter.number, heap.deadlineNs))
      heap.push(deadlineNs, order, frame, waiter.number);
  }

  #pop(waiter: Waiter): void {
    this.#heap.pop();
    if (waiter.group.isPrecise) this.#precise--;
    if (--waiter.entries === 0) this.#forget(waiter);
  }

  #forget(waiter: Waiter): void {
    this.#waiters[waiter.number] = undefined;
    this.#freeNumbers.push(waiter.number);
  }
}

/** Timers of one owner that have one precision. */
class Group implements TimerGroup {
  readonly owner: number;
  isPrecise = false;
  readonly #scheduler: Scheduler;
  readonly #places: Places;

  constructor(scheduler: Scheduler, places: Places, owner: number) {
    this.#scheduler = scheduler;
    this.#places = places;
    this.owner = owner;
  }

  for(stage: TimedStage): StageTimers {
    return new Waiter(this.#scheduler, this.#places, stage, this);
  }

  group(): TimerGroup {
    return new Group(this.#scheduler, this.#places, this.owner);
  }

  setPrecision(precision: Precision): void {
    if (this.isPrecise === (precision === 'high')) return;
    this.isPrecise = precision === 'high';
    this.#scheduler.countPrecise();
  }
}

/** Deadline and order of each frame that stands in a line, and who stands behind it. */
type Places = { readonly keys: Float64Array; readonly next: Int32Array };

/** A stage that waits: its line, and the frames that wait by themselves. */
class Waiter implements StageTimers {
  readonly stage: TimedStage;
  readonly group: Group;
  /** First of its line, NONE when there is none. */
  first: number = NONE;
  /** In heap and wheel. While there are any, it has a number. */
  entries = 0;
  number: number = NONE;
  readonly #scheduler: Scheduler;
  readonly #places: Places;
  #last: number = NONE;

  constructor(scheduler: Scheduler, places: Places, stage: TimedStage, group: Group) {
    this.#scheduler = scheduler;
    this.#places = places;
    this.stage = stage;
    this.group = group;
  }

  at(deadlineNs: number, frame: number): void {
    this.#scheduler.push(deadlineNs, this.#scheduler.arrive(), frame, this);
  }

  inLine(deadlineNs: number, frame: number): void {
    const { keys, next } = this.#places;
    const isFirst = this.first === NONE;
    if (!isFirst && deadlineNs < keys[2 * this.#last]!) {
      this.at(deadlineNs, frame);
      return;
    }
    const order = this.#scheduler.arrive();
    keys[2 * frame] = deadlineNs;
    keys[2 * frame + 1] = order;
    next[frame] = NONE;
    if (isFirst) this.first = frame;
    else next[this.#last] = frame;
    this.#last = frame;
    if (isFirst) this.#scheduler.push(deadlineNs, order, LINE, this);
  }

  /** Takes the first of the line. */
  shift(): number {
    const frame = this.first;
    this.first = this.#places.next[frame]!;
    return frame;
  }

  clear(): void {
    this.first = NONE;
    this.entries = 0;
  }
}
