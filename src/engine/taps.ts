/**
 * What descriptors see of the frames of one worker: in, out, and dropped.
 */
import { instantiateFused } from '../../vm/fused.ts';
import { type Arena, FIRST_WORKER } from '../arena/arena.ts';
import { bpfPeersPresent, bpfTap } from '../bpf/bpf-if.ts';
import type { Stamp } from '../bpf/buffers.ts';
import type { CompiledFilters, CompiledModule } from '../bpf/compiled.ts';
import { droppedBecause } from '../bpf/record.ts';
import { DROP_REASONS, type DropReason } from '../link/settings.ts';
import type { Clock } from './clock.ts';
import { WORKER_TAPS, WORKER_TIMED_TAPS, WORKER_TIMED_TAPS_NS } from './counters.ts';
import type { FramePool } from './frame-pool.ts';

/** The time is taken of one tap in so many, a power of two. */
const TIMED_TAPS = 64;

export class Taps {
  readonly #arena: Arena;
  readonly #worker: number;
  readonly #clock: Clock;
  readonly #pool: FramePool;
  /** By interface index. */
  readonly #filters: (CompiledFilters | undefined)[];
  readonly #stamp: Stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };

  constructor(arena: Arena, worker: number, clock: Clock, pool: FramePool) {
    this.#arena = arena;
    this.#worker = worker;
    this.#clock = clock;
    this.#pool = pool;
    this.#filters = new Array(arena.capacity.interfaces).fill(undefined);
  }

  /** Takes over the compiled filters of an interface. */
  install({ interfaceIndex, version, module, descriptors }: CompiledModule): void {
    const match = instantiateFused(module, this.#arena.memory);
    const matchArea = this.#arena.matchArea(this.#worker);
    this.#filters[interfaceIndex] = { version, match, descriptors, matchArea };
  }

  /** Forgets an interface: its index may be another's after this. */
  forget(interfaceIndex: number): void {
    this.#filters[interfaceIndex] = undefined;
  }

  /** Whether anybody listens at an interface. */
  hasListeners(interfaceIndex: number): boolean {
    return bpfPeersPresent(this.#arena, interfaceIndex);
  }

  /**
   * Shows a frame to those who listen at an interface.
   * @param nowNs on the worker's clock, where it is known; else the clock is read, if anybody listens
   */
  show(interfaceIndex: number, slot: number, direction: number, nowNs?: number): void {
    if (!bpfPeersPresent(this.#arena, interfaceIndex)) return;
    this.#tap(interfaceIndex, slot, this.#pool.length[slot]!, direction, nowNs ?? this.#clock.nowNs());
  }

  /** Shows a frame once more that came in at an interface and is now dropped. */
  dropped(interfaceIndex: number, slot: number, length: number, reason: DropReason): void {
    if (!bpfPeersPresent(this.#arena, interfaceIndex)) return;
    const origin = droppedBecause(DROP_REASONS.indexOf(reason));
    this.#tap(interfaceIndex, slot, length, origin, this.#clock.nowNs());
  }

  #tap(interfaceIndex: number, slot: number, length: number, direction: number, nowNs: number): void {
    this.#clock.stampAt(nowNs, this.#stamp);
    const offset = this.#pool.seen(slot);
    const filters = this.#filters[interfaceIndex];
    const counters = this.#arena.workerCounters(this.#worker);
    const { f64 } = this.#arena;
    const count = f64[counters + WORKER_TAPS]!++;
    const timed = count % TIMED_TAPS === 0;
    const startNs = timed ? this.#clock.nowNs() : 0;
    bpfTap(
      this.#arena,
      FIRST_WORKER + this.#worker,
      interfaceIndex,
      offset,
      length,
      direction,
      this.#stamp,
      filters,
    );
    if (!timed) return;
    f64[counters + WORKER_TIMED_TAPS]!++;
    f64[counters + WORKER_TIMED_TAPS_NS]! += this.#clock.nowNs() - startNs;
  }
}
