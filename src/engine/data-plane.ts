/**
 * The data plane of one worker: everything that happens to a frame between the read from one device and the write
 * to another. Nothing here waits; worker.ts and inline.ts say when it is time to look.
 *
 *   receive: device.read ─▶ tap in ─▶ link ··· timers ··· deliver: tap out ─▶ device.write
 *
 * A link direction belongs to the worker that reads the interface it starts from; one that starts from several queues
 * has a part in the worker of each. Frames never change threads: that worker also writes to the far device.
 */
import type { Arena } from '../arena/arena.ts';
import type { Stamp } from '../bpf/buffers.ts';
import type { CompiledModule } from '../bpf/compiled.ts';
import { DIRECTION_IN } from '../bpf/record.ts';
import type { DecisionSink } from '../decisions/decision.ts';
import { FrameLog } from '../decisions/frame-log.ts';
import type { Device } from '../device/device.ts';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../device/link-type.ts';
import { LinkDirection } from '../link/direction.ts';
import { createRandom } from '../link/random.ts';
import type { DropReason, LinkSettings } from '../link/settings.ts';
import { CLOCK_START_NS } from '../switch/counters.ts';
import { MacTable } from '../switch/mac-table.ts';
import type { SwitchSettings } from '../switch/settings.ts';
import { Switch } from '../switch/switch.ts';
import type { WriteRing } from '../sys/write-ring.ts';
import { Bridge } from './bridge.ts';
import type { Clock } from './clock.ts';
import { RECEIVE_BYTES, RECEIVE_FRAMES } from './counters.ts';
import { FramePool } from './frame-pool.ts';
import { leave, WaitingRoom } from './handover.ts';
import { observe } from './histogram.ts';
import {
  type Direction,
  forgetAddresses,
  numberOf,
  type OnFrame,
  type OnSuperFrame,
  type Port,
  setCarrier,
  unreadIf,
} from './port.ts';
import { Receiver } from './receiver.ts';
import { Scheduler } from './scheduler.ts';
import { NOBODY } from './shares.ts';
import { Taps } from './taps.ts';
import { Transmitter } from './transmitter.ts';

const ETHERNET_HEADER = 14;
const NO_QUEUE = -1;

/** A frame that a port did not take. */
export class WriteError extends Error {
  readonly code: DropReason;

  constructor(reason: DropReason) {
    super(`the frame was dropped: ${reason}`);
    this.code = reason;
  }
}

export class DataPlane {
  readonly pool: FramePool;
  readonly scheduler: Scheduler;
  readonly #taps: Taps;
  readonly #receiver: Receiver;
  readonly #transmitter: Transmitter;
  readonly #arena: Arena;
  readonly #worker: number;
  readonly #clock: Clock;
  readonly #ports: Map<number, Port> = new Map();
  readonly #directions: Map<number, Direction> = new Map();
  /** Those that another worker takes over. */
  readonly #leaving: Direction[] = [];
  /** The ports of each switch. */
  readonly #switches: Map<number, readonly Port[]> = new Map();
  readonly #onGone: (port: Port) => void;
  /** While decisions are recorded. */
  #log: FrameLog | undefined;

  /**
   * @param onGone called for each port whose device has gone; it has none then
   * @param ring for frames to be written together, if the system allows it
   */
  constructor(
    arena: Arena,
    worker: number,
    clock: Clock,
    onGone: (port: Port) => void,
    ring?: WriteRing | undefined,
  ) {
    this.#arena = arena;
    this.#worker = worker;
    this.#clock = clock;
    this.#onGone = onGone;
    this.pool = new FramePool(arena, worker);
    this.scheduler = new Scheduler(this.pool.length.length);
    const { pool } = this;
    const gone = (port: Port): void => this.#gone(port);
    this.#taps = new Taps(arena, worker, clock, pool);
    this.#transmitter = new Transmitter(arena, pool, this.#taps, gone, ring);
    this.#receiver = new Receiver(arena, pool, clock, this.#received, this.#passed, gone);
  }

  /** Adds an interface, without a device. `readers` are the workers that read it, by queue. */
  addPort(index: number, mtu: number, ethernet: boolean, readers: readonly number[]): Port {
    const frameBytes = mtu + (ethernet ? ETHERNET_HEADER : 0);
    const port: Port = {
      index,
      counters: this.#arena.interfaceCounters(index, this.#worker),
      state: this.#arena.interfaceCounters(index),
      device: undefined,
      queue: readers.indexOf(this.#worker),
      frameBytes,
      ethernet,
      bridge: undefined,
      bridgePort: 0,
      direction: undefined,
      hasCarrier: true,
    };
    this.#ports.set(index, port);
    return port;
  }

  port(index: number): Port | undefined {
    return this.#ports.get(index);
  }

  /** Forgets an interface to which no link leads any more: its index may be another's after this. */
  removePort(index: number): void {
    const port = this.#ports.get(index);
    if (port) this.#transmitter.forget(port);
    this.#ports.delete(index);
    this.#taps.forget(index);
  }

  /**
   * Makes interfaces the ports of a switch, which frames from their links enter; those that it had are none any more.
   * Its counters go on, and it has learned nothing yet.
   * @param mirror the interface whose descriptors see them
   */
  addSwitch(index: number, settings: SwitchSettings, interfaces: readonly number[], mirror: number): void {
    const { memory } = this.#arena;
    const counters = this.#arena.switchCounters(index);
    counters[CLOCK_START_NS] = this.#uptimeNs(0);
    const table = new MacTable(memory.buffer, this.#arena.macTable(index), settings.ageingNs);
    this.removeSwitch(index);
    table.forget();
    const ports = interfaces.map((each) => this.#ports.get(each)!);
    const bridge = new Bridge(
      {
        pool: this.pool,
        receive: this.#received,
        mirror: (slot, direction) => this.#taps.show(mirror, slot, direction),
      },
      new Switch(settings, table, counters),
      ports,
      settings.ports.map(({ mirrored }) => mirrored),
    );
    for (const [i, port] of ports.entries()) {
      port.bridge = bridge;
      port.bridgePort = i;
    }
    this.#switches.set(index, ports);
  }

  /** Leaves the ports of a switch, if there is one, with nothing behind them. */
  removeSwitch(index: number): void {
    for (const port of this.#switches.get(index) ?? []) port.bridge = undefined;
    this.#switches.delete(index);
  }

  /** Puts a device behind a port, or none: what is heard of its node is forgotten then. */
  setDevice(port: Port, device: Device | undefined): void {
    port.device = device;
    if (!port.hasCarrier) device?.setCarrier?.(false);
    if (device === undefined) forgetAddresses(port.direction?.far);
  }

  /**
   * Starts to carry frames from one port to the other.
   * @param after the number under which another worker carries them; those that come wait until it has left
   */
  addLink(
    direction: number,
    from: number,
    to: number,
    settings: LinkSettings,
    seed: number,
    path: string,
    after?: number,
  ): void {
    const [near, far] = [this.#ports.get(from)!, this.#ports.get(to)!];
    const { pool } = this;
    const { f64 } = this.#arena;
    const timers = this.scheduler.of(direction);
    const errors = this.#arena.delayError(direction);
    const link = new LinkDirection(
      {
        frames: pool,
        timers,
        counters: this.#arena.directionCounters(direction),
        linkType: near.ethernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
        random: (stage) => createRandom(seed, `${path}/${stage}`),
        deliver: (frame, dueNs) => {
          const reason = this.#transmitter.deliver(far, frame, dueNs, link);
          if (added.leftNs !== undefined) added.leftNs = Math.max(added.leftNs, dueNs);
          // How long after the moment it was asked for; of a frame that the link did not hold back nothing was asked.
          if (reason === undefined && dueNs > pool.arrivedNs[frame]!) {
            observe(f64, errors, Math.max(0, this.#clock.nowNs() - dueNs));
          }
          return reason;
        },
        dropped: (frame, length, reason) => this.#taps.dropped(near.index, frame, length, reason),
        ...(this.#clock.isVirtual ? {} : { tellCarrier: (state) => setCarrier(far, state === 'up') }),
        release: (frame) => pool.release(frame),
      },
      settings,
      this.#clock.nowNs(),
    );
    link.observer = this.#log?.of(direction);
    const added: Direction = { number: direction, link, near, far, waiting: undefined, leftNs: undefined };
    near.direction = added;
    this.#directions.set(direction, added);
    if (after === undefined) return;
    added.waiting = new WaitingRoom(this.#arena, after, pool, timers, link, this.#uptimeNs(0), () => {
      added.waiting = undefined;
      // Whatever the other worker came to last.
      far.device?.setCarrier?.(far.hasCarrier);
    });
    added.waiting.due(0, this.#clock.nowNs());
  }

  /** Takes no more frames in a direction; those under way go on. Returns the port that is not to be read any more. */
  leave(direction: number): Port {
    const left = this.#directions.get(direction)!;
    left.near.direction = undefined;
    left.near.queue = NO_QUEUE;
    left.leftNs = this.#clock.nowNs();
    this.#leaving.push(left);
    this.flush();
    return left.near;
  }

  /** Has a worker read the first queue of an interface from now on. */
  read(index: number): Port {
    const port = this.#ports.get(index)!;
    port.queue = 0;
    return port;
  }

  /** Forgets the directions that are being left and have no frames any more. When all is written. */
  #letGo(): void {
    for (const left of this.#leaving.filter(({ number }) => this.pool.heldBy(number) === 0)) {
      const { number, far, leftNs } = left;
      this.#leaving.splice(this.#leaving.indexOf(left), 1);
      this.#directions.delete(number);
      this.scheduler.cancel(number);
      // The device keeps the carrier that it has: that is the other worker's now.
      far.hasCarrier = true;
      leave(this.#arena, number, this.#uptimeNs(leftNs!));
    }
  }

  /** CLOCK_MONOTONIC at a time of this worker's clock. */
  #uptimeNs(nowNs: number): number {
    const stamp: Stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };
    this.#clock.stampAt(nowNs, stamp);
    return stamp.uptimeSeconds * 1e9 + stamp.uptimeNanoseconds;
  }

  /** Carries no more frames in this direction, if it did; those under way are dropped, as on a cable that is pulled. */
  removeLink(direction: number): void {
    const removed = this.#directions.get(direction);
    if (!removed) return;
    const { link, near, far } = removed;
    removed.waiting?.drop();
    const leaving = this.#leaving.indexOf(removed);
    if (leaving !== -1) this.#leaving.splice(leaving, 1);
    if (near.direction === removed) near.direction = undefined;
    setCarrier(far, true);
    forgetAddresses(far);
    this.#directions.delete(direction);
    this.scheduler.cancel(direction);
    const { pool } = this;
    for (let slot = 0; slot < pool.scratch; slot++) {
      if (pool.owner(slot) === direction) link.drop(slot, 'carrier');
    }
  }

  /** Takes over the compiled filters of an interface. */
  install(compiled: CompiledModule): void {
    this.#taps.install(compiled);
  }

  /** Tells a sink what all directions decide from now on; nobody without one. Frames under way are not spoken of. */
  record(sink: DecisionSink | undefined): void {
    this.#log = sink && new FrameLog(this.pool, () => this.#clock.nowNs(), sink);
    for (const { number, link } of this.#directions.values()) link.observer = this.#log?.of(number);
  }

  set(direction: number, settings: LinkSettings): void {
    const changed = this.#directions.get(direction);
    if (!changed) return;
    changed.link.set(settings, this.#clock.nowNs());
    if (settings.carrier === 'down') forgetAddresses(changed.far);
  }

  /**
   * Sends a frame out of a port, past every link. Throws WriteError when the port does not take it.
   * @param shown whether the interface's descriptors see it go out
   */
  write(index: number, frame: Uint8Array, shown: boolean): void {
    const port = this.#ports.get(index);
    if (!port) throw new WriteError('carrier');
    if (frame.length > this.pool.slotBytes) throw new WriteError('mtu');
    const slot = this.pool.take(NOBODY);
    if (slot === -1) throw new WriteError('pool');
    this.#arena.u8.set(frame, this.pool.offset(slot));
    this.pool.length[slot] = frame.length;
    const reason = this.#transmitter.deliver(port, slot, this.#clock.nowNs(), undefined, shown);
    this.pool.release(slot);
    if (reason !== undefined) throw new WriteError(reason);
  }

  /** Has a frame come in at a port as if its node had sent it: bpf(4)'s feedback. */
  inject(index: number, frame: Uint8Array): void {
    const port = this.#ports.get(index);
    if (!port || frame.length > this.pool.slotBytes) return;
    const slot = this.pool.take(numberOf(port));
    const into = slot === -1 ? this.pool.scratch : slot;
    this.#arena.u8.set(frame, this.pool.offset(into));
    this.#carry(port, into, frame.length, this.#clock.nowNs(), unreadIf(slot));
  }

  /** Takes what a device has, a batch at most. Returns how many frames came. */
  receive(port: Port): number {
    return this.#receiver.receive(port);
  }

  /** Carries out all that is due: what is late already must not wait for what only now arrives. */
  runDue(nowNs: number): void {
    this.scheduler.run(nowNs);
    this.flush();
  }

  /** Writes what is being joined. Also to be called before a command: what it takes away may be needed for that. */
  flush(): void {
    this.#transmitter.flush();
    if (this.#leaving.length > 0) this.#letGo();
  }

  /** Counts a frame that came in. */
  readonly #received: OnFrame = (port, slot, length, nowNs, unread) => {
    this.#countReceived(port, 1, length);
    this.#carry(port, slot, length, nowNs, unread);
  };

  /** Has a super-frame pass whole where nobody looks at its segments and nothing happens to them. */
  readonly #passed: OnSuperFrame = (port, area, bytes) => {
    const { direction } = port;
    if (!direction?.link.isClear || direction.waiting !== undefined) return false;
    if (this.#taps.hasListeners(port.index)) return false;
    const { segments } = this.pool.superFrames.shape(area);
    if (!this.#transmitter.deliverWhole(direction.far, area, direction.link)) return false;
    this.#countReceived(port, segments, bytes);
    direction.link.countPassed(segments, bytes);
    return true;
  };

  #countReceived({ counters }: Port, frames: number, bytes: number): void {
    const { f64 } = this.#arena;
    f64[counters + RECEIVE_FRAMES]! += frames;
    f64[counters + RECEIVE_BYTES]! += bytes;
  }

  /** Shows a frame that came in, and hands it to the link. */
  #carry(port: Port, slot: number, length: number, nowNs: number, unread: DropReason | undefined): void {
    const { pool } = this;
    pool.length[slot] = length;
    this.#taps.show(port.index, slot, DIRECTION_IN, nowNs);
    const { direction } = port;
    if (unread !== undefined) {
      direction?.link.dropUnread(slot, length, unread);
      // It stood in the scratch slot, and nothing of it may hold for what stands there next.
      pool.partial[slot] = 0;
    } else if (!direction) {
      pool.release(slot);
    } else if (length >= pool.slotBytes) {
      direction.link.dropUnread(slot, length, 'mtu');
      pool.release(slot);
    } else if (direction.waiting !== undefined) {
      direction.waiting.push(slot, nowNs);
    } else {
      direction.link.offer(slot, nowNs);
    }
  }

  #gone(port: Port): void {
    if (!port.device) return;
    this.setDevice(port, undefined);
    this.#onGone(port);
  }
}
