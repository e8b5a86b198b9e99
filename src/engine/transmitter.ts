/**
 * The last step of a frame: out of a device, or into a switch.
 */
import type { Arena } from '../arena/arena.ts';
import { DIRECTION_OUT } from '../bpf/record.ts';
import { type Device, GONE, NO_CARRIER } from '../device/device.ts';
import type { LinkDirection } from '../link/direction.ts';
import type { DropReason } from '../link/settings.ts';
import { runBytes } from '../offload/super-frame.ts';
import type { WriteRing } from '../sys/write-ring.ts';
import { INTERFACE_UP, TRANSMIT_BYTES, TRANSMIT_FRAMES } from './counters.ts';
import type { FramePool } from './frame-pool.ts';
import { bytesToWrite, Joiner, type OnWritten } from './joiner.ts';
import type { Port } from './port.ts';
import type { Taps } from './taps.ts';
import { type OnRefused, WriteBatch } from './write-batch.ts';

const VLAN_TAG = 4;

export class Transmitter {
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #taps: Taps;
  readonly #joiner: Joiner;
  readonly #batch: WriteBatch | undefined;
  readonly #onGone: (port: Port) => void;

  /** @param ring for frames to be written together; without it each is written by itself */
  constructor(
    arena: Arena,
    pool: FramePool,
    taps: Taps,
    onGone: (port: Port) => void,
    ring: WriteRing | undefined,
  ) {
    this.#arena = arena;
    this.#pool = pool;
    this.#taps = taps;
    this.#batch = ring && new WriteBatch(ring, pool, this.#refusedLate);
    this.#joiner = new Joiner(arena, pool, () => this.#batch?.flush(), this.#runWritten);
    this.#onGone = onGone;
  }

  /** Writes what waits to be joined to others, or written with them. */
  flush(): void {
    this.#joiner.closeAll();
    this.#batch?.flush();
  }

  /** Forgets a port. */
  forget(port: Port): void {
    this.#joiner.remove(port);
  }

  /**
   * Sends a frame, and returns why it could not, if so.
   * @param link the direction that it leaves; none for a frame that was written to the port
   * @param shown whether the interface's descriptors see it
   */
  deliver(
    port: Port,
    slot: number,
    dueNs: number,
    link: LinkDirection | undefined,
    shown = true,
  ): DropReason | undefined {
    const pool = this.#pool;
    const length = pool.length[slot]!;
    if (length > port.frameBytes && length > port.frameBytes + this.#tagBytes(port, slot)) return 'mtu';
    const { device, bridge } = port;
    if ((!device && !bridge) || this.#arena.f64[port.state + INTERFACE_UP] === 0) return 'carrier';
    if (shown) this.#taps.show(port.index, slot, DIRECTION_OUT);
    if (!device) {
      this.#countTransmitted(port, 1, length);
      bridge!.accept(port.bridgePort, slot, dueNs);
      return undefined;
    }
    if (link !== undefined && device.offload && this.#joiner.append(port, slot, link)) return undefined;
    this.#joiner.close(port);
    if (link !== undefined && this.#batch && device.enqueue && !pool.isSegment(slot)) {
      this.#batch.add(port, device, slot, this.#toWrite(device, slot), link);
    } else {
      this.#batch?.flush();
      const written = device.write(this.#toWrite(device, slot), length);
      if (written < 0) return this.#refused(port, written);
    }
    this.#countTransmitted(port, 1, length);
    return undefined;
  }

  /**
   * Sends all segments of a super-frame that leave a clear link. Returns false, having done nothing, when they must go
   * one by one.
   */
  deliverWhole(port: Port, area: number, link: LinkDirection): boolean {
    const { device } = port;
    const shape = this.#pool.superFrames.shape(area);
    if (!device?.offload || this.#arena.f64[port.state + INTERFACE_UP] === 0) return false;
    if (shape.headerBytes + runBytes(shape, 0, 1) > port.frameBytes || this.#taps.hasListeners(port.index))
      return false;
    this.#joiner.appendWhole(port, area, link);
    return true;
  }

  #countTransmitted({ counters }: Port, frames: number, bytes: number): void {
    this.#arena.f64[counters + TRANSMIT_FRAMES]! += frames;
    this.#arena.f64[counters + TRANSMIT_BYTES]! += bytes;
  }

  /** Byte offset of a frame as the device is to have it. */
  #toWrite(device: Device, slot: number): number {
    return device.offload ? bytesToWrite(this.#arena.u8, this.#pool, slot) : this.#pool.seen(slot);
  }

  /** A frame that was written with others was not taken. */
  readonly #refusedLate: OnRefused = (port, slot, link, why) => {
    const length = this.#pool.length[slot]!;
    this.#countTransmitted(port, -1, -length);
    link.takeBack(1, length, this.#refused(port, why), slot);
  };

  /** A run of segments was written, or not. */
  readonly #runWritten: OnWritten = (port, written, frames, bytes, link) => {
    if (written < 0) {
      link.takeBack(frames, bytes, this.#refused(port, written));
      return;
    }
    this.#countTransmitted(port, frames, bytes);
  };

  /** Why a device did not take a frame. */
  #refused(port: Port, written: number): DropReason {
    if (written === GONE) this.#onGone(port);
    return written === GONE || written === NO_CARRIER ? 'carrier' : 'device';
  }

  /** Bytes by which a frame may exceed the MTU for its VLAN tag (IEEE 802.1Q, 802.1ad). */
  #tagBytes(port: Port, slot: number): number {
    const offset = this.#pool.seen(slot);
    const type = (this.#arena.u8[offset + 12]! << 8) | this.#arena.u8[offset + 13]!;
    return port.ethernet && (type === 0x8100 || type === 0x88a8) ? VLAN_TAG : 0;
  }
}
