/**
 * A data plane in this thread, on a virtual clock: whole labs run without privilege, without threads and without
 * waiting, the same way every time. All devices are memory devices.
 */
import { setImmediate } from 'node:timers/promises';
import { type Arena, FIRST_WORKER, THREAD_ALIVE, THREAD_STATE } from '../arena/arena.ts';
import type { CompiledModule } from '../bpf/compiled.ts';
import type { DecisionSink } from '../decisions/decision.ts';
import type { Device } from '../device/device.ts';
import { MemoryDevice } from '../device/memory.ts';
import type { StageTimers } from '../link/stage.ts';
import { VirtualClock } from './clock.ts';
import { type Command, type CommandTarget, execute } from './commands.ts';
import { DataPlane } from './data-plane.ts';
import type { PlaneHost } from './host.ts';
import type { Port } from './port.ts';
import { Scheduler } from './scheduler.ts';

type Action = () => void | Promise<void>;

/** Events between two looks at whether readers keep up. */
const STEP_EVENTS = 64;

export class InlineHost implements PlaneHost, CommandTarget {
  readonly clock: VirtualClock = new VirtualClock();
  readonly plane: DataPlane;
  /** Where decisions go while they are recorded. */
  decisions: DecisionSink | undefined;
  readonly #arena: Arena;
  readonly #devices: Map<number, MemoryDevice> = new Map();
  readonly #ports: Port[] = [];
  readonly #actions: Map<number, Action> = new Map();
  /** What actions that are due have begun; time stands still until it is done. */
  readonly #begun: Promise<void>[] = [];
  readonly #timers: Scheduler = new Scheduler(0);
  readonly #actionTimers: StageTimers;
  #lastAction = 0;
  #closed = false;
  /** Runs follow each other. */
  #running: Promise<void> = Promise.resolve();

  constructor(arena: Arena) {
    this.#arena = arena;
    this.plane = new DataPlane(arena, 0, this.clock, () => {});
    this.#actionTimers = this.#timers.of(0).for({ push: () => {}, due: (id) => this.#runAction(id) });
    Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER, THREAD_STATE), THREAD_ALIVE);
  }

  /** The memory device behind an interface. */
  memoryDevice(index: number): MemoryDevice {
    const device = this.#devices.get(index) ?? new MemoryDevice(this.#arena);
    this.#devices.set(index, device);
    return device;
  }

  nowNs(): number {
    return this.clock.nowNs();
  }

  /** Calls `action` when the virtual time has come. Time stands still until a promise it returns is kept. */
  at(deadlineNs: number, action: Action): void {
    const id = ++this.#lastAction;
    this.#actions.set(id, action);
    this.#actionTimers.at(Math.max(deadlineNs, this.nowNs()), id);
  }

  /**
   * Lets time pass up to `untilNs`, or as long as anything is left to happen. Pauses in between while `behind()`:
   * in virtual time a reader never loses frames by being slow.
   */
  run(untilNs: number = Number.POSITIVE_INFINITY, behind: () => boolean = () => false): Promise<void> {
    this.#running = this.#running.then(() => this.#run(untilNs, behind));
    return this.#running;
  }

  async #run(untilNs: number, behind: () => boolean): Promise<void> {
    while (!this.#closed && this.#step(untilNs)) {
      await Promise.all(this.#begun.splice(0));
      do await setImmediate();
      while (behind() && !this.#closed);
    }
    if (untilNs !== Number.POSITIVE_INFINITY) this.clock.moveTo(untilNs);
  }

  async send(_worker: number, commands: readonly Command[]): Promise<void> {
    for (const command of commands) execute(this, command);
  }

  async install(compiled: CompiledModule): Promise<boolean> {
    this.plane.install(compiled);
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  device(index: number): Device {
    return this.memoryDevice(index);
  }

  watch(port: Port): void {
    this.#ports.push(port);
  }

  unwatch(port: Port): void {
    const at = this.#ports.indexOf(port);
    if (at !== -1) this.#ports.splice(at, 1);
  }

  /** Nothing is posted within a thread. */
  takePosted(): void {}

  decisionSink(): DecisionSink | undefined {
    return this.decisions;
  }

  stop(): void {
    this.#closed = true;
  }

  /** Up to STEP_EVENTS moments in time. Returns whether there are more before `untilNs`. */
  #step(untilNs: number): boolean {
    for (let event = 0; event < STEP_EVENTS; event++) {
      for (const port of this.#ports) while (this.plane.receive(port) > 0);
      const nextNs = Math.min(this.plane.scheduler.nextDeadlineNs, this.#timers.nextDeadlineNs);
      if (nextNs > untilNs || nextNs === Number.POSITIVE_INFINITY) return false;
      this.clock.moveTo(nextNs);
      this.plane.runDue(nextNs);
      this.#timers.run(nextNs);
      if (this.#begun.length > 0) return true;
    }
    return true;
  }

  #runAction(id: number): void {
    const action = this.#actions.get(id);
    this.#actions.delete(id);
    const begun = action?.();
    if (begun) this.#begun.push(begun);
  }
}
