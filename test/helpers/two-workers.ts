/**
 * A lab of two nodes, a and b, and link `ab`, carried by two workers in this thread: data planes over one arena and one
 * virtual clock. A worker does something only when it is told to, so tests decide how far each is when the other goes on.
 */
import { Arena, FIRST_WORKER, THREAD_ALIVE, THREAD_STATE } from '../../src/arena/arena.ts';
import type { Stamp } from '../../src/bpf/buffers.ts';
import type { LinkStatus } from '../../src/daemon/contract.ts';
import { capacityOf } from '../../src/daemon/layout.ts';
import { Topology } from '../../src/daemon/topology.ts';
import type { Device } from '../../src/device/device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { type Clock, VirtualClock } from '../../src/engine/clock.ts';
import { type Command, type CommandTarget, execute } from '../../src/engine/commands.ts';
import { DataPlane } from '../../src/engine/data-plane.ts';
import type { PlaneHost } from '../../src/engine/host.ts';
import type { Port } from '../../src/engine/port.ts';
import type { LinkSettings } from '../../src/link/settings.ts';
import { frameNumber, numberedFrame, pairLab } from './lab.ts';

const WORKERS = 2;

/** A device whose node sees the carrier. */
class Cable extends MemoryDevice {
  hasCarrier = true;

  setCarrier(hasCarrier: boolean): void {
    this.hasCarrier = hasCarrier;
  }
}

class InlineWorker implements CommandTarget {
  readonly plane: DataPlane;
  readonly #cables: readonly Cable[];
  readonly #ports: Set<Port> = new Set();

  constructor(arena: Arena, worker: number, clock: Clock, cables: readonly Cable[]) {
    this.plane = new DataPlane(arena, worker, clock, () => {});
    this.#cables = cables;
  }

  device(index: number): Device {
    return this.#cables[index]!;
  }

  watch(port: Port): void {
    this.#ports.add(port);
  }

  unwatch(port: Port): void {
    this.#ports.delete(port);
  }

  takePosted(): void {}

  decisionSink(): undefined {}

  stop(): void {}

  /** A turn of worker.ts. */
  turn(nowNs: number): void {
    this.plane.runDue(nowNs);
    for (const port of this.#ports) while (this.plane.receive(port) > 0);
    this.plane.flush();
  }

  /** When it would have its next turn. */
  get nextNs(): number {
    return this.plane.scheduler.nextDeadlineNs;
  }
}

export class TwoWorkers {
  /** Numbers of the frames that left the lab, by node. */
  readonly arrived: { readonly a: number[]; readonly b: number[] } = { a: [], b: [] };
  /** When each of those left at b. */
  readonly arrivedNs: number[] = [];
  readonly topology: Topology;
  readonly workers: readonly InlineWorker[];
  /** Of a and b. */
  readonly cables: readonly [Cable, Cable];
  /** Is called before each command that a worker is given. */
  before: (worker: number, command: Command) => void = () => {};
  readonly #clock: VirtualClock = new VirtualClock();

  private constructor(settings: Partial<LinkSettings>) {
    const lab = pairLab(settings);
    const arena = Arena.create({ ...capacityOf(lab), workers: WORKERS, slotsPerWorker: 4096 });
    const clock = this.#clock;
    // Real enough for nodes to be told of carriers.
    const seen: Clock = {
      isVirtual: false,
      nowNs: () => clock.nowNs(),
      stampAt: (nowNs: number, stamp: Stamp) => clock.stampAt(nowNs, stamp),
    };
    this.cables = [new Cable(arena), new Cable(arena)];
    this.cables[0].onFrame = (frame) => void this.arrived.a.push(frameNumber(frame));
    this.cables[1].onFrame = (frame) => {
      this.arrived.b.push(frameNumber(frame));
      this.arrivedNs.push(clock.nowNs());
    };
    this.workers = Array.from({ length: WORKERS }, (_, worker) => {
      Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER + worker, THREAD_STATE), THREAD_ALIVE);
      return new InlineWorker(arena, worker, seen, this.cables);
    });
    const host: PlaneHost = {
      send: async (worker, commands) => {
        for (const command of commands) {
          this.before(worker, command);
          execute(this.workers[worker]!, command);
          this.workers[worker]!.plane.flush();
        }
      },
      install: async () => true,
      close: async () => {},
    };
    const detachAll = async (): Promise<void> => {};
    this.topology = new Topology(arena, lab, host, detachAll, {}, () => clock.nowNs());
  }

  static async start(settings: Partial<LinkSettings> = {}): Promise<TwoWorkers> {
    const lab = new TwoWorkers(settings);
    await lab.topology.start();
    return lab;
  }

  get nowNs(): number {
    return this.#clock.nowNs();
  }

  get link(): LinkStatus {
    return this.topology.links.get('ab')!;
  }

  /** Frames come from a node, a or b, and are taken by whoever reads there when it has its turn. */
  send(from: 'a' | 'b', ...numbers: number[]): void {
    for (const number of numbers) this.cables[from === 'a' ? 0 : 1].send(numberedFrame(number));
  }

  /** Lets time pass up to a moment. Only these workers see it; the others sleep. */
  runUntil(untilNs: number, awake: readonly number[] = [0, 1]): void {
    const workers = awake.map((worker) => this.workers[worker]!);
    for (const worker of workers) worker.turn(this.nowNs);
    for (;;) {
      const nextNs = Math.min(...workers.map((worker) => worker.nextNs));
      if (nextNs > untilNs) break;
      this.#clock.moveTo(nextNs);
      for (const worker of workers) worker.turn(this.nowNs);
    }
    this.#clock.moveTo(untilNs);
  }

  run(forNs: number, awake?: readonly number[]): void {
    this.runUntil(this.nowNs + forNs, awake);
  }

  move(worker: number): Promise<LinkStatus> {
    return this.topology.moveLink('ab', worker);
  }
}
