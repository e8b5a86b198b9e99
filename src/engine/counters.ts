/** What a worker says of itself, and what is counted of an interface: fields of float64 records in the arena. */
import type { Arena } from '../arena/arena.ts';

/*
 * Worker: written by that worker, read at any time by anybody, without a lock.
 */
/** Time not spent waiting, up to the last time it began to wait. */
export const WORKER_BUSY_NS = 0;
/** How often it has waited. */
export const WORKER_ITERATIONS = 1;
/** Frame slots in use when it last began to wait. */
export const WORKER_SLOTS_USED = 2;
/** Frames shown to descriptors; for how many of them the time was taken, and how long those took together. */
export const WORKER_TAPS = 3;
export const WORKER_TIMED_TAPS = 4;
export const WORKER_TIMED_TAPS_NS = 5;
/** Time it waited on the clock, for frames whose chain has high precision. */
export const WORKER_SPIN_NS = 6;
/** Histogram: how late the earliest timer was, each time any was due. */
export const WORKER_LOOP_LAG = 8;

/*
 * Interface, a record for each worker: what that worker has read from its device, and written to it. Each is written by
 * that worker alone, read at any time by anybody, without a lock. The control thread sets them to 0 when an interface is
 * made, before any worker knows of it.
 */
export const RECEIVE_FRAMES = 0;
export const RECEIVE_BYTES = 1;
export const TRANSMIT_FRAMES = 2;
export const TRANSMIT_BYTES = 3;
/**
 * 1 while the device works, 0 before it is there and after it has failed or was deleted. Set by the control thread
 * before it gives the workers a device, cleared by it before it takes the device away, and by any worker that finds it
 * gone. The control thread gives a device only after every worker has let go of the one before. It stands in the first
 * worker's record, for all.
 */
export const INTERFACE_UP = 4;

export type InterfaceCounters = {
  readonly receive: { readonly frames: number; readonly bytes: number };
  readonly transmit: { readonly frames: number; readonly bytes: number };
};

/** What workers have counted of an interface, all of them unless said. */
export function readInterfaceCounters(
  arena: Arena,
  interfaceIndex: number,
  workers: Iterable<number> = Array(arena.capacity.workers).keys(),
): InterfaceCounters {
  const records = [...workers].map((worker) => arena.interfaceCounters(interfaceIndex, worker));
  const sum = (field: number): number => records.reduce((total, at) => total + arena.f64[at + field]!, 0);
  return {
    receive: { frames: sum(RECEIVE_FRAMES), bytes: sum(RECEIVE_BYTES) },
    transmit: { frames: sum(TRANSMIT_FRAMES), bytes: sum(TRANSMIT_BYTES) },
  };
}
