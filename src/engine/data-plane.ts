/**
 * The data plane of one worker: everything that happens to a frame between the read from one device and the write
 * to another. Nothing here waits; worker.ts and inline.ts say when it is time to look.
 *
 *   receive: device.read ─▶ tap in ─▶ link ··· timers ··· deliver: tap out ─▶ device.write
 *
 * A link direction belongs to the worker that reads the interface it starts from. Frames never change threads: that
 * worker also writes to the far device.
 */
import { instantiateFused } from '../../vm/index.ts';
import { type Arena, FIRST_WORKER } from '../arena/arena.ts';
import { bpfPeersPresent, bpfTap } from '../bpf/bpf-if.ts';
import type { Stamp } from '../bpf/buffers.ts';
import type { CompiledFilters, CompiledModule } from '../bpf/compiled.ts';
import { DIRECTION_IN, DIRECTION_OUT, droppedBecause } from '../bpf/record.ts';
import { type Device, GONE, NO_CARRIER, NO_FRAME } from '../device/device.ts';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../device/link-type.ts';
import { LinkDirection } from '../link/direction.ts';
import type { Observe } from '../link/observer.ts';
import { createRandom } from '../link/random.ts';
import { DROP_REASONS, type DropReason, type LinkSettings } from '../link/settings.ts';
import {
  cutSegment,
  isSuperFrame,
  parseSuperFrame,
  runBytes,
  type SuperFrame,
} from '../offload/super-frame.ts';
import { clearVnetHeader, NEEDS_CHECKSUM, VNET_HEADER } from '../offload/virtio-net.ts';
import { CLOCK_START_NS } from '../switch/counters.ts';
import { MacTable } from '../switch/mac-table.ts';
import type { SwitchSettings } from '../switch/settings.ts';
import { Switch } from '../switch/switch.ts';
import { Bridge } from './bridge.ts';
import type { Clock } from './clock.ts';
import {
  INTERFACE_UP,
  RECEIVE_BYTES,
  RECEIVE_FRAMES,
  TRANSMIT_BYTES,
  TRANSMIT_FRAMES,
  WORKER_TAPS,
  WORKER_TIMED_TAPS,
  WORKER_TIMED_TAPS_NS,
} from './counters.ts';
import { FramePool } from './frame-pool.ts';
import { observe } from './histogram.ts';
import { Joiner } from './joiner.ts';
import { Scheduler } from './scheduler.ts';
import { NOBODY } from './shares.ts';

/** Frames, and bytes, taken from one device before the others have their turn. */
const READ_BATCH = 64;
const READ_BYTES = 262_144;
/** The time is taken of one tap in so many, a power of two. */
const TIMED_TAPS = 64;
const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;

/** An interface as one worker sees it. */
export type Port = {
  readonly index: number;
  /** None while the interface has no device; replaced between two frames. */
  device: Device | undefined;
  /** Whether this worker reads the device. Every worker may write to it. */
  readonly reads: boolean;
  /** Longest frame that fits: the MTU with the link header; 4 more for a frame with a VLAN tag. */
  readonly frameBytes: number;
  readonly ethernet: boolean;
  /** The switch that this is a port of, and which, if this worker carries it; such an interface has no device. */
  bridge: Bridge | undefined;
  bridgePort: number;
  /** The direction that starts here, if this worker carries it. */
  direction: Direction | undefined;
  /** Whether the direction that leads here, if this worker carries it, carries anything. Its device has no carrier else. */
  hasCarrier: boolean;
};

/** A link direction that this worker carries. Its frames and timers are owned by its number. */
type Direction = {
  readonly number: number;
  readonly link: LinkDirection;
  readonly near: Port;
  readonly far: Port;
};

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
  readonly #joiner: Joiner;
  readonly #arena: Arena;
  readonly #self: number;
  readonly #worker: number;
  readonly #clock: Clock;
  readonly #ports: Map<number, Port> = new Map();
  readonly #directions: Map<number, Direction> = new Map();
  /** By interface index. */
  readonly #filters: (CompiledFilters | undefined)[];
  readonly #onGone: (port: Port) => void;
  readonly #observe: Observe | undefined;
  readonly #stamp: Stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };

  /**
   * @param onGone called for each port whose device has gone; it has none then
   * @param observe is told of all directions, on a virtual clock only
   */
  constructor(arena: Arena, worker: number, clock: Clock, onGone: (port: Port) => void, observe?: Observe) {
    this.#arena = arena;
    this.#self = FIRST_WORKER + worker;
    this.#worker = worker;
    this.#clock = clock;
    this.#onGone = onGone;
    this.#observe = observe;
    this.#filters = new Array(arena.capacity.interfaces).fill(undefined);
    this.pool = new FramePool(arena, worker);
    this.scheduler = new Scheduler(this.pool.length.length);
    this.#joiner = new Joiner(arena, this.pool, (...run) => this.#runWritten(...run));
  }

  /** Adds an interface, without a device. */
  addPort(index: number, mtu: number, ethernet: boolean, reader: number): Port {
    const frameBytes = mtu + (ethernet ? ETHERNET_HEADER : 0);
    const reads = reader === this.#worker;
    const port: Port = {
      index,
      device: undefined,
      reads,
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
    if (port) this.#joiner.remove(port);
    this.#ports.delete(index);
    this.#filters[index] = undefined;
  }

  /**
   * Makes interfaces the ports of a switch, which frames from their links enter.
   * @param mirror the interface whose descriptors see them
   */
  addSwitch(index: number, settings: SwitchSettings, interfaces: readonly number[], mirror: number): void {
    const { memory } = this.#arena;
    const counters = this.#arena.switchCounters(index);
    this.#clock.stampAt(0, this.#stamp);
    counters[CLOCK_START_NS] = this.#stamp.uptimeSeconds * 1e9 + this.#stamp.uptimeNanoseconds;
    const table = new MacTable(memory.buffer, this.#arena.macTable(index), settings.ageingNs);
    const ports = interfaces.map((each) => this.#ports.get(each)!);
    const bridge = new Bridge(
      {
        pool: this.pool,
        receive: (port, slot, length, nowNs, unread) => this.#received(port, slot, length, nowNs, unread),
        mirror: (slot, direction) => this.#show(mirror, slot, direction),
      },
      new Switch(settings, table, counters),
      ports,
      settings.ports.map(({ mirrored }) => mirrored),
    );
    for (const [i, port] of ports.entries()) {
      port.bridge = bridge;
      port.bridgePort = i;
    }
  }

  /** Starts to carry frames from one port to the other. */
  addLink(
    direction: number,
    from: number,
    to: number,
    settings: LinkSettings,
    seed: number,
    path: string,
  ): void {
    const [near, far] = [this.#ports.get(from)!, this.#ports.get(to)!];
    const { pool, scheduler } = this;
    const { f64 } = this.#arena;
    const errors = this.#arena.delayError(direction);
    const link = new LinkDirection(
      {
        frames: pool,
        timers: scheduler.of(direction),
        counters: this.#arena.directionCounters(direction),
        linkType: near.ethernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
        random: (stage) => createRandom(seed, `${path}/${stage}`),
        deliver: (frame, dueNs) => {
          const reason = this.#deliver(far, frame, dueNs, link);
          // How long after the moment it was asked for; of a frame that the link did not hold back nothing was asked.
          if (reason === undefined && dueNs > pool.arrivedNs[frame]!) {
            observe(f64, errors, Math.max(0, this.#clock.nowNs() - dueNs));
          }
          return reason;
        },
        dropped: (frame, length, reason) => this.#tapDropped(near.index, frame, length, reason),
        ...(this.#clock.isVirtual ? {} : { tellCarrier: (state) => setCarrier(far, state === 'up') }),
        release: (frame) => pool.release(frame),
        observer: this.#observe?.(path, pool, () => this.#clock.nowNs()),
      },
      settings,
      this.#clock.nowNs(),
    );
    near.direction = { number: direction, link, near, far };
    this.#directions.set(direction, near.direction);
  }

  /** Carries no more frames in this direction; those under way are dropped, as on a cable that is pulled. */
  removeLink(direction: number): void {
    const { link, near, far } = this.#directions.get(direction)!;
    near.direction = undefined;
    setCarrier(far, true);
    this.#directions.delete(direction);
    this.scheduler.cancel(direction);
    const { pool } = this;
    for (let slot = 0; slot < pool.scratch; slot++) {
      if (pool.owner(slot) === direction) link.drop(slot, 'carrier');
    }
  }

  /** Takes over the compiled filters of an interface. */
  install({ interfaceIndex, version, module, descriptors }: CompiledModule): void {
    const match = instantiateFused(module, this.#arena.memory);
    const matchArea = this.#arena.matchArea(this.#worker);
    this.#filters[interfaceIndex] = { version, match, descriptors, matchArea };
  }

  set(direction: number, settings: LinkSettings): void {
    this.#directions.get(direction)?.link.set(settings, this.#clock.nowNs());
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
    const reason = this.#deliver(port, slot, this.#clock.nowNs(), undefined, shown);
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

  /** Takes what a device has, up to READ_BATCH frames. Returns how many came. */
  receive(port: Port): number {
    let bytes = 0;
    for (let count = 0; count < READ_BATCH; count++) {
      const { device } = port;
      if (!device || bytes >= READ_BYTES) return count;
      const length = device.offload ? this.#receiveOffloaded(port, device) : this.#receiveOne(port, device);
      if (length <= NO_FRAME) {
        if (length === GONE) this.#gone(port);
        return count;
      }
      bytes += length;
    }
    return READ_BATCH;
  }

  /** Carries out all that is due: what is late already must not wait for what only now arrives. */
  runDue(nowNs: number): void {
    this.scheduler.run(nowNs);
    this.flush();
  }

  /** Writes what is being joined. Also to be called before a command: what it takes away may be needed for that. */
  flush(): void {
    this.#joiner.closeAll();
  }

  /** Reads a frame into a slot. Returns what the device did. */
  #receiveOne(port: Port, device: Device): number {
    const { pool } = this;
    const slot = pool.take(numberOf(port));
    const into = slot === -1 ? pool.scratch : slot;
    const length = device.read(pool.place(into), pool.slotBytes);
    if (length > NO_FRAME) this.#received(port, into, length, this.#clock.nowNs(), unreadIf(slot));
    else if (slot !== -1) pool.release(slot);
    return length;
  }

  /** Reads a frame that may be a super-frame, and brings it where it belongs. */
  #receiveOffloaded(port: Port, device: Device): number {
    const { pool } = this;
    const { superFrames } = pool;
    const { u8 } = this.#arena;
    const from = superFrames.offset(superFrames.landing);
    const header = from - VNET_HEADER;
    const length = device.read(from, superFrames.capacityBytes);
    if (length <= NO_FRAME) return length;
    const nowNs = this.#clock.nowNs();
    const shape = superFrames.shape(superFrames.landing);
    const isSuper = isSuperFrame(u8, header);
    const isSound = isSuper && parseSuperFrame(u8, header, from, length, port.ethernet, shape);
    // What a node asks for need not fit its MTU: segments too long for a slot must not be cut into one.
    if (isSound && shape.headerBytes + runBytes(shape, 0, 1) < pool.slotBytes) {
      return this.#receiveSegments(port, from, shape, nowNs);
    }
    const slot = isSuper ? -1 : pool.take(numberOf(port));
    const into = slot === -1 ? pool.scratch : slot;
    const stored = Math.min(length, pool.slotBytes);
    u8.copyWithin(pool.place(into) - VNET_HEADER, header, from + stored);
    // Of a frame that is not all there the checksum cannot be known; neither will it go anywhere.
    const isPartial = (u8[header]! & NEEDS_CHECKSUM) !== 0 && stored === length;
    pool.partial[into] = isPartial ? 1 : 0;
    const unread = isSound ? 'mtu' : isSuper ? 'device' : unreadIf(slot);
    this.#received(port, into, length, nowNs, unread);
    return length;
  }

  /**
   * Each segment of what has landed goes its own way. They share its bytes, or have their own when no area is left in
   * which it could stay. Returns their bytes as on a wire.
   */
  #receiveSegments(port: Port, from: number, shape: SuperFrame, nowNs: number): number {
    const { pool } = this;
    const area = pool.superFrames.keep(numberOf(port));
    for (let segment = 0; segment < shape.segments; segment++) {
      const slot = pool.take(numberOf(port));
      const into = slot === -1 ? pool.scratch : slot;
      if (area !== -1 && slot !== -1) pool.refer(slot, area, segment);
      else cutSegment(this.#arena.u8, from, shape, segment, pool.place(into));
      const length = shape.headerBytes + runBytes(shape, segment, 1);
      this.#received(port, into, length, nowNs, unreadIf(slot));
    }
    if (area !== -1) pool.superFrames.release(area);
    return shape.segments * shape.headerBytes + shape.payloadBytes;
  }

  /** Counts a frame that came in. `unread`: why it is dropped at once; it then stands in the scratch slot. */
  #received(port: Port, slot: number, length: number, nowNs: number, unread: DropReason | undefined): void {
    const counters = this.#arena.interfaceCounters(port.index);
    this.#arena.f64[counters + RECEIVE_FRAMES]!++;
    this.#arena.f64[counters + RECEIVE_BYTES]! += length;
    this.#carry(port, slot, length, nowNs, unread);
  }

  /** Shows a frame that came in, and hands it to the link. */
  #carry(port: Port, slot: number, length: number, nowNs: number, unread: DropReason | undefined): void {
    const { pool } = this;
    // A frame that fills a whole slot was longer: slots have room to spare (daemon/layout.ts).
    const stored = Math.min(length, pool.slotBytes);
    pool.length[slot] = stored;
    if (bpfPeersPresent(this.#arena, port.index)) this.#tap(port.index, slot, stored, DIRECTION_IN, nowNs);
    const { direction } = port;
    if (unread !== undefined) {
      direction?.link.dropUnread(slot, stored, unread);
      // It stood in the scratch slot, and nothing of it may hold for what stands there next.
      pool.partial[slot] = 0;
    } else if (!direction) {
      pool.release(slot);
    } else if (length >= pool.slotBytes) {
      direction.link.dropUnread(slot, stored, 'mtu');
      pool.release(slot);
    } else {
      direction.link.offer(slot, nowNs);
    }
  }

  /** Last step: out of the far device, or into the switch. Returns why it did not, if so. */
  #deliver(
    port: Port,
    slot: number,
    dueNs: number,
    link: LinkDirection | undefined,
    shown = true,
  ): DropReason | undefined {
    const { pool } = this;
    const length = pool.length[slot]!;
    if (length > port.frameBytes && length > port.frameBytes + this.#tagBytes(port, slot)) return 'mtu';
    const counters = this.#arena.interfaceCounters(port.index);
    const { device, bridge } = port;
    if ((!device && !bridge) || this.#arena.f64[counters + INTERFACE_UP] === 0) return 'carrier';
    if (shown) this.#show(port.index, slot, DIRECTION_OUT);
    if (!device) {
      this.#countTransmitted(counters, length);
      bridge!.accept(port.bridgePort, slot, dueNs);
      return undefined;
    }
    if (link !== undefined && device.offload && pool.isSegment(slot)) {
      this.#joiner.append(port, slot, link);
      return undefined;
    }
    this.#joiner.close(port);
    const written = this.#write(device, slot, length);
    if (written < 0) return this.#refused(port, written);
    this.#countTransmitted(counters, length);
    return undefined;
  }

  #countTransmitted(counters: number, length: number): void {
    this.#arena.f64[counters + TRANSMIT_FRAMES]!++;
    this.#arena.f64[counters + TRANSMIT_BYTES]! += length;
  }

  #write(device: Device, slot: number, length: number): number {
    const { pool } = this;
    if (!device.offload) return device.write(this.#seen(slot), length);
    const at = pool.partial[slot] === 0 ? this.#seen(slot) : pool.place(slot);
    if (pool.partial[slot] === 0) clearVnetHeader(this.#arena.u8, at - VNET_HEADER);
    return device.write(at, length);
  }

  /** A run of segments was written, or not. */
  #runWritten(port: Port, written: number, frames: number, bytes: number, link: LinkDirection): void {
    if (written < 0) {
      link.takeBack(frames, bytes, this.#refused(port, written));
      return;
    }
    const counters = this.#arena.interfaceCounters(port.index);
    this.#arena.f64[counters + TRANSMIT_FRAMES]! += frames;
    this.#arena.f64[counters + TRANSMIT_BYTES]! += bytes;
  }

  /** Why a device did not take a frame. */
  #refused(port: Port, written: number): DropReason {
    if (written === GONE) this.#gone(port);
    return written === GONE || written === NO_CARRIER ? 'carrier' : 'device';
  }

  /** Where a frame can be seen as on a wire. A segment stays one: it is cut into the scratch slot. */
  #seen(slot: number): number {
    const { pool } = this;
    return pool.isSegment(slot) ? pool.cut(slot, pool.scratch) : pool.offset(slot);
  }

  /** Shows a frame to those who listen at an interface. */
  #show(interfaceIndex: number, slot: number, direction: number): void {
    if (!bpfPeersPresent(this.#arena, interfaceIndex)) return;
    this.#tap(interfaceIndex, slot, this.pool.length[slot]!, direction, this.#clock.nowNs());
  }

  /** Shows a frame once more that came in at an interface and is now dropped. */
  #tapDropped(interfaceIndex: number, slot: number, length: number, reason: DropReason): void {
    if (!bpfPeersPresent(this.#arena, interfaceIndex)) return;
    const origin = droppedBecause(DROP_REASONS.indexOf(reason));
    this.#tap(interfaceIndex, slot, length, origin, this.#clock.nowNs());
  }

  #tap(interfaceIndex: number, slot: number, length: number, direction: number, nowNs: number): void {
    this.#clock.stampAt(nowNs, this.#stamp);
    const offset = this.#seen(slot);
    const filters = this.#filters[interfaceIndex];
    const counters = this.#arena.workerCounters(this.#worker);
    const { f64 } = this.#arena;
    const count = f64[counters + WORKER_TAPS]!++;
    const timed = count % TIMED_TAPS === 0;
    const startNs = timed ? this.#clock.nowNs() : 0;
    bpfTap(this.#arena, this.#self, interfaceIndex, offset, length, direction, this.#stamp, filters);
    if (!timed) return;
    f64[counters + WORKER_TIMED_TAPS]!++;
    f64[counters + WORKER_TIMED_TAPS_NS]! += this.#clock.nowNs() - startNs;
  }

  /** Bytes by which a frame may exceed the MTU for its VLAN tag (IEEE 802.1Q, 802.1ad). */
  #tagBytes(port: Port, slot: number): number {
    const offset = this.#seen(slot);
    const type = (this.#arena.u8[offset + 12]! << 8) | this.#arena.u8[offset + 13]!;
    return port.ethernet && (type === 0x8100 || type === 0x88a8) ? VLAN_TAG : 0;
  }

  #gone(port: Port): void {
    if (!port.device) return;
    port.device = undefined;
    this.#onGone(port);
  }
}

function setCarrier(port: Port, hasCarrier: boolean): void {
  if (hasCarrier === port.hasCarrier) return;
  port.hasCarrier = hasCarrier;
  port.device?.setCarrier?.(hasCarrier);
}

/** Of the direction whose frames come in at a port. */
function numberOf({ direction }: Port): number {
  return direction === undefined ? NOBODY : direction.number;
}

/** Why a frame is dropped for which there is no slot. */
function unreadIf(slot: number): DropReason | undefined {
  return slot === -1 ? 'pool' : undefined;
}
