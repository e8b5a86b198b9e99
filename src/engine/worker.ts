/**
 * A data-plane thread: waits in epoll(7) for frames, deadlines and commands, and has its data plane do what is due.
 *
 * The thread never returns to its event loop. It ends when it is told to stop; what ends it otherwise is a bug, and
 * the control thread sees the worker exit (engine/threads.ts).
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Arena, type ArenaHandle, FIRST_WORKER, THREAD_EVENT, THREAD_STOP } from '../arena/arena.ts';
import type { Stamp } from '../bpf/buffers.ts';
import type { CompiledModule } from '../bpf/compiled.ts';
import type { DecisionSink } from '../decisions/decision.ts';
import { DecisionWriter } from '../decisions/ring.ts';
import type { Device } from '../device/device.ts';
import { FdDevice } from '../device/fd.ts';
import { addressOf, CLOCK_REALTIME, clockGettime, PR_SET_TIMERSLACK, prctl, read } from '../sys/libc.ts';
import type { WriteRing } from '../sys/write-ring.ts';
import { SystemClock } from './clock.ts';
import { type CommandTarget, execute } from './commands.ts';
import {
  INTERFACE_UP,
  WORKER_BUSY_NS,
  WORKER_ITERATIONS,
  WORKER_LOOP_LAG,
  WORKER_SLOTS_USED,
  WORKER_SPIN_NS,
} from './counters.ts';
import { DataPlane } from './data-plane.ts';
import { observe } from './histogram.ts';
import { isCommanded, takeCommands } from './mailbox.ts';
import { Poller } from './poller.ts';
import type { Port } from './port.ts';
import { openWriteRing } from './write-batch.ts';

export type WorkerSettings = {
  readonly arena: ArenaHandle;
  readonly worker: number;
  readonly eventfd: number;
};

/** What stands for the eventfd among what is ready. */
const COMMAND = 'command';

/**
 * How long before a deadline the kernel is to wake the thread when it must be met exactly. An idle machine does so 28 µs
 * late at the median and 46 µs at the 99th percentile, a busy one 60 and more; what is left of it is spun away.
 */
const SPIN_NS = 80_000;
/** A look at the devices takes no longer, when it does not wait: 0.5 to 1.3 µs, and room for a frame that came. */
const LOOK_NS = 5_000;

class DataPlaneWorker implements CommandTarget {
  readonly plane: DataPlane;
  readonly #arena: Arena;
  readonly #worker: number;
  readonly #clock: SystemClock;
  readonly #eventfd: number;
  readonly #poller: Poller<Port | typeof COMMAND> = new Poller();
  readonly #ring: WriteRing | undefined = openWriteRing();
  readonly #eventfdValue: Int32Array = new Int32Array(2);
  #running = true;

  constructor({ arena: handle, worker, eventfd }: WorkerSettings) {
    this.#arena = Arena.open(handle);
    this.#worker = worker;
    this.#clock = new SystemClock(timeOfDay());
    this.#eventfd = eventfd;
    this.#poller.add(eventfd, COMMAND);
    this.plane = new DataPlane(this.#arena, worker, this.#clock, (port) => this.#gone(port), this.#ring);
  }

  device(_index: number, fd: number, offload: boolean, shared: boolean): Device {
    return new FdDevice(this.#arena, fd, offload, shared);
  }

  watch(port: Port): void {
    this.#poller.add(port.device!.fd, port);
  }

  unwatch(port: Port): void {
    this.#poller.remove(port);
  }

  /** The event loop does not run, so messages are fetched by hand. */
  takePosted(): void {
    for (let posted = receiveMessageOnPort(parentPort!); posted; posted = receiveMessageOnPort(parentPort!)) {
      this.plane.install(posted.message as CompiledModule);
    }
  }

  decisionSink(): DecisionSink {
    const stamp: Stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };
    this.#clock.stampAt(0, stamp);
    const epochNs = stamp.uptimeSeconds * 1e9 + stamp.uptimeNanoseconds;
    return new DecisionWriter(this.#arena, this.#worker, epochNs);
  }

  stop(): void {
    this.#running = false;
  }

  run(): void {
    // Deadlines would be met up to 50 µs late with the default slack (prctl(2)).
    prctl(PR_SET_TIMERSLACK, 1);
    const { f64 } = this.#arena;
    const counters = this.#arena.workerCounters(this.#worker);
    let wokenNs = this.#clock.nowNs();
    while (this.#running) {
      const nowNs = this.#clock.nowNs();
      f64[counters + WORKER_BUSY_NS]! += nowNs - wokenNs;
      f64[counters + WORKER_ITERATIONS]!++;
      f64[counters + WORKER_SLOTS_USED] = this.plane.pool.used;
      const ready = this.#wait(nowNs);
      wokenNs = this.#clock.nowNs();
      // A look that found something at once was no waiting.
      if (wokenNs - nowNs < LOOK_NS) f64[counters + WORKER_BUSY_NS]! += wokenNs - nowNs;
      const lagNs = wokenNs - this.plane.scheduler.nextDeadlineNs;
      if (lagNs >= 0) observe(f64, counters + WORKER_LOOP_LAG, lagNs);
      // First what is due already: it still takes up room that frames which only now arrive may need.
      this.plane.runDue(wokenNs);
      if (ready > 0) this.#serve(ready);
    }
    this.#poller.close();
    this.#ring?.close();
  }

  /**
   * Serves what is ready: each device for a bounded time, with what has become due after each; then commands. A command
   * that comes meanwhile waits for one device only, whose frames a large switch may have to copy hundreds of times; the
   * others are still ready in the next turn.
   */
  #serve(ready: number): void {
    let hasRung = false;
    for (let i = 0; i < ready; i++) {
      const what = this.#poller.ready(i);
      if (what === undefined) continue;
      if (what === COMMAND) {
        hasRung = true;
        continue;
      }
      this.plane.receive(what);
      this.plane.scheduler.run(this.#clock.nowNs());
      if (isCommanded(this.#arena, this.#worker)) {
        hasRung = true;
        break;
      }
    }
    this.plane.flush();
    if (!hasRung) return;
    // Last: a command may take away what is ready. And it may have sent something.
    this.#obey();
    this.plane.flush();
  }

  /** Waits until a device or a command is ready or a deadline has come. Returns the number of ready entries. */
  #wait(nowNs: number): number {
    const { nextDeadlineNs, isPrecise } = this.plane.scheduler;
    if (!isPrecise) return this.#poller.wait(nextDeadlineNs - nowNs);
    const ready = this.#poller.wait(nextDeadlineNs - nowNs - SPIN_NS);
    return ready > 0 ? ready : this.#spin(nextDeadlineNs);
  }

  /** Waits on the clock. What becomes ready meanwhile ends it, except in the last moment. */
  #spin(deadlineNs: number): number {
    const startNs = this.#clock.nowNs();
    let nowNs = startNs;
    let ready = 0;
    while (nowNs < deadlineNs && ready === 0) {
      if (deadlineNs - nowNs > LOOK_NS) ready = this.#poller.wait(0);
      nowNs = this.#clock.nowNs();
    }
    this.#arena.f64[this.#arena.workerCounters(this.#worker) + WORKER_SPIN_NS]! += nowNs - startNs;
    return ready;
  }

  #obey(): void {
    read(this.#eventfd, addressOf(this.#eventfdValue), 8);
    const stop = this.#arena.threadWord(FIRST_WORKER + this.#worker, THREAD_STOP);
    if (Atomics.load(this.#arena.i32, stop) !== 0) this.stop();
    takeCommands(this.#arena, this.#worker, (command) => execute(this, command));
  }

  /** The device is gone: marks the interface and tells the control thread. */
  #gone(port: Port): void {
    const { f64, i32 } = this.#arena;
    f64[port.state + INTERFACE_UP] = 0;
    this.unwatch(port);
    const event = this.#arena.threadWord(FIRST_WORKER + this.#worker, THREAD_EVENT);
    Atomics.add(i32, event, 1);
    Atomics.notify(i32, event);
  }
}

/** Reads CLOCK_REALTIME: struct timespec, 64-bit seconds and nanoseconds. */
function timeOfDay(): (time: { seconds: number; nanoseconds: number }) => void {
  const timespec = new Int32Array(4);
  const address = addressOf(timespec);
  return (time) => {
    clockGettime(CLOCK_REALTIME, address);
    time.seconds = timespec[0]!;
    time.nanoseconds = timespec[2]!;
  };
}

new DataPlaneWorker(workerData as WorkerSettings).run();
