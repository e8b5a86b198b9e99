/**
 * A link direction goes from one worker to another while frames are under way. Frames do not change threads: those that
 * the old worker has keep their deadlines there. The new one carries the direction under a number of its own, with
 * counters of its own. It reads the device from the moment on at which the old one no longer does, and has what comes wait
 * until the old one has none left; then each goes on as of the moment at which it came. So a frame that is delayed is not
 * later for it, and none overtakes another.
 *
 * The record of the old number in the arena has a word that says how far this is. It only ever goes on:
 *
 *   CARRIED ──▶ LEFT ──────────▶ TAKEN
 *   control     the old worker   the new worker, when nothing waits any more
 *
 * From TAKEN on nobody looks at that record but the control thread, which adds up its counters, and may use the number for
 * another direction. It begins no other move of the direction before.
 */
import type { Arena } from '../arena/arena.ts';
import type { LinkDirection } from '../link/direction.ts';
import { FrameList, NONE } from '../link/queue/queue.ts';
import type { StageTimers, TimedStage, Timers } from '../link/stage.ts';
import type { FramePool } from './frame-pool.ts';

const CARRIED = 0;
const LEFT = 1;
const TAKEN = 2;

/** How often the new worker looks whether the old one has left: only while a direction changes hands. */
const LOOK_NS = 100_000;

/** A number is one that a worker carries, or will. By the control thread, when nobody knows it yet. */
export function beginCarrying(arena: Arena, direction: number): void {
  Atomics.store(arena.i32, arena.handoverWord(direction), CARRIED);
}

/** The old worker has left. @param uptimeNs when its last frame had to be delivered, on CLOCK_MONOTONIC */
export function leave(arena: Arena, direction: number, uptimeNs: number): void {
  arena.f64[arena.handoverTime(direction)] = uptimeNs;
  Atomics.store(arena.i32, arena.handoverWord(direction), LEFT);
}

/** Whether the old worker counts nothing more. */
export function isLeft(arena: Arena, direction: number): boolean {
  return Atomics.load(arena.i32, arena.handoverWord(direction)) !== CARRIED;
}

/** Whether all is over. */
export function isTaken(arena: Arena, direction: number): boolean {
  return Atomics.load(arena.i32, arena.handoverWord(direction)) === TAKEN;
}

/** Where frames wait in the new worker. */
export class WaitingRoom implements TimedStage {
  readonly #arena: Arena;
  readonly #left: number;
  readonly #pool: FramePool;
  readonly #link: LinkDirection;
  readonly #timers: StageTimers;
  readonly #waiting: FrameList;
  /** CLOCK_MONOTONIC when the clock of this worker was 0. */
  readonly #uptimeStartNs: number;
  readonly #onEmpty: () => void;
  /** Whether the old worker has left; then frames go on, none of them before a time. */
  #isOpen = false;
  #fromNs = 0;

  /**
   * @param left the number under which another worker carries the direction
   * @param timers of the number that it has here
   * @param onEmpty called once, when nothing waits any more, and nothing needs to
   */
  constructor(
    arena: Arena,
    left: number,
    pool: FramePool,
    timers: Timers,
    link: LinkDirection,
    uptimeStartNs: number,
    onEmpty: () => void,
  ) {
    this.#arena = arena;
    this.#left = left;
    this.#pool = pool;
    this.#link = link;
    this.#timers = timers.for(this);
    this.#waiting = new FrameList(pool);
    this.#uptimeStartNs = uptimeStartNs;
    this.#onEmpty = onEmpty;
  }

  /** Takes a frame. */
  push(frame: number, nowNs: number): void {
    this.#pool.arrivedNs[frame] = nowNs;
    this.#waiting.append(frame);
  }

  /** Looks whether frames can go on, now and then; then has the first go on, at the time at which it may. */
  due(_: number, nowNs: number): void {
    if (this.#isOpen) this.#link.offer(this.#waiting.shift(), nowNs);
    else if (isLeft(this.#arena, this.#left)) this.#open();
    else {
      this.#timers.at(nowNs + LOOK_NS, 0);
      return;
    }
    const first = this.#waiting.head;
    if (first === NONE) this.#close();
    else this.#timers.at(Math.max(this.#pool.arrivedNs[first]!, this.#fromNs), 0);
  }

  /** Drops what waits: the link is being removed. */
  drop(): void {
    const { length } = this.#pool;
    for (let frame = this.#waiting.shift(); frame !== NONE; frame = this.#waiting.shift()) {
      this.#link.dropUnread(frame, length[frame]!, 'carrier');
      this.#pool.release(frame);
    }
  }

  /** Nothing that goes over a wire does so before the last frame of the old worker was to have passed it. */
  #open(): void {
    const leftNs = this.#arena.f64[this.#arena.handoverTime(this.#left)]! - this.#uptimeStartNs;
    this.#fromNs = this.#link.wireFreeNs(leftNs);
    this.#isOpen = true;
  }

  #close(): void {
    Atomics.store(this.#arena.i32, this.#arena.handoverWord(this.#left), TAKEN);
    this.#onEmpty();
  }
}
