/**
 * A link direction goes from one worker to another while frames are under way. Frames do not change threads: those that
 * the old worker has keep their deadlines there. The new one reads the device from the moment on at which the old one
 * no longer does, and has what comes wait until the old one has none left; then each goes on as of the moment at which it
 * came. So a frame that is delayed is not later for it, and none overtakes another.
 *
 * The record of the direction in the arena has a word that the control thread sets before it tells the old worker to
 * leave, and that the old worker clears when it has left, after the time at which that was. So all counters of a direction
 * are the old worker's until then, and the new one's from then on; but for frames offered, which no longer come there.
 */
import type { Arena } from '../arena/arena.ts';
import type { LinkDirection } from '../link/direction.ts';
import { FrameList, NONE } from '../link/queue/queue.ts';
import type { DropReason } from '../link/settings.ts';
import type { FrameTable, StageTimers, TimedStage, Timers } from '../link/stage.ts';

/** How often the new worker looks whether the old one has left: only while a direction changes hands. */
const LOOK_NS = 100_000;

/** From now on a direction is being left. By the control thread. */
export function beginHandover(arena: Arena, direction: number): void {
  Atomics.store(arena.i32, arena.handoverWord(direction), 1);
}

/** Whether the old worker still has frames of a direction, or has not yet been told to leave. */
export function isHandedOver(arena: Arena, direction: number): boolean {
  return Atomics.load(arena.i32, arena.handoverWord(direction)) === 0;
}

/** The old worker has left, at a time of CLOCK_MONOTONIC. */
export function endHandover(arena: Arena, direction: number, uptimeNs: number): void {
  arena.f64[arena.handoverTime(direction)] = uptimeNs;
  Atomics.store(arena.i32, arena.handoverWord(direction), 0);
}

/** Where frames wait in the new worker. */
export class WaitingRoom implements TimedStage {
  readonly #arena: Arena;
  readonly #direction: number;
  readonly #frames: FrameTable;
  readonly #link: LinkDirection;
  readonly #timers: StageTimers;
  readonly #waiting: FrameList;
  /** CLOCK_MONOTONIC when the clock of this worker was 0. */
  readonly #uptimeStartNs: number;
  readonly #onOpen: () => void;
  /** Frames that were not even read. */
  readonly #unread: { readonly bytes: number; readonly reason: DropReason }[] = [];

  /** @param onOpen called once nothing waits any more, and nothing needs to */
  constructor(
    arena: Arena,
    direction: number,
    frames: FrameTable,
    timers: Timers,
    link: LinkDirection,
    uptimeStartNs: number,
    onOpen: () => void,
  ) {
    this.#arena = arena;
    this.#direction = direction;
    this.#frames = frames;
    this.#link = link;
    this.#timers = timers.for(this);
    this.#waiting = new FrameList(frames);
    this.#uptimeStartNs = uptimeStartNs;
    this.#onOpen = onOpen;
  }

  push(frame: number, nowNs: number): void {
    this.#frames.arrivedNs[frame] = nowNs;
    this.#waiting.append(frame);
  }

  /** A frame that is dropped at once; it is counted later. */
  unread(bytes: number, reason: DropReason): void {
    this.#unread.push({ bytes, reason });
  }

  /** Looks whether frames can go on, now and then. */
  due(_frame: number, nowNs: number): void {
    if (isHandedOver(this.#arena, this.#direction)) this.open();
    else this.#timers.at(nowNs + LOOK_NS, 0);
  }

  /** Lets all go on. Nothing that goes over a wire does so before the last frame of the old worker had passed it. */
  open(): void {
    const leftNs = this.#arena.f64[this.#arena.handoverTime(this.#direction)]! - this.#uptimeStartNs;
    const wireFreeNs = this.#link.wireFreeNs(leftNs);
    this.#onOpen();
    for (const { bytes, reason } of this.#unread) this.#link.countUnread(bytes, reason);
    for (let frame = this.#waiting.shift(); frame !== NONE; frame = this.#waiting.shift()) {
      this.#link.offer(frame, Math.max(this.#frames.arrivedNs[frame]!, wireFreeNs));
    }
  }
}
