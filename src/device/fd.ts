/**
 * A device that is an open file: a TAP or TUN, opened here or handed over by somebody else, non-blocking. One read(2)
 * yields one frame, one write(2) takes one (Linux, Documentation/networking/tuntap.rst). With offload, the file was
 * opened with IFF_VNET_HDR.
 *
 * O_NONBLOCK belongs to the open file, not to who has it: whoever handed a file over can make it blocking at any time,
 * and a worker would wait in read(2) for as long as it likes, deaf to all other devices and commands. So of a file
 * that is shared each call says itself that it must not wait (RWF_NOWAIT; TUN knows it since Linux 5.12).
 */
import { constants } from 'node:os';
import type { Arena } from '../arena/arena.ts';
import { VNET_HEADER } from '../offload/virtio-net.ts';
import { addressOf, errno, preadv2, pwritev2, RWF_NOWAIT, read, write, writev } from '../sys/libc.ts';
import type { WriteRing } from '../sys/write-ring.ts';
import { type Device, GONE, NO_CARRIER, NO_FRAME, type Parts, REFUSED } from './device.ts';
import { setCarrier } from './tap.ts';

const { EAGAIN, EBADF, EINTR, EIO, EOPNOTSUPP } = constants.errno;
/** The device behind the file was deleted. */
const EBADFD = 77;
/** struct iovec in 32-bit words. */
const IOVEC_WORDS = 4;

export class FdDevice implements Device {
  readonly fd: number;
  readonly offload: boolean;
  /** Bytes in front of each frame. */
  readonly #header: number;
  readonly #base: number;
  /** Of struct iovec: address and length, 64 bits each. */
  #parts: Int32Array = new Int32Array(2 * IOVEC_WORDS);
  #partsAddress: number = addressOf(this.#parts);
  readonly #isShared: boolean;
  /** RWF_NOWAIT; 0 where the file does not know it. */
  #flags: number = RWF_NOWAIT;

  /** @param offload whether the file was opened with IFF_VNET_HDR @param isShared whether others may have it open */
  constructor(arena: Arena, fd: number, offload: boolean, isShared: boolean) {
    this.fd = fd;
    this.offload = offload;
    this.#isShared = isShared;
    this.#header = offload ? VNET_HEADER : 0;
    this.#base = addressOf(arena.u8);
  }

  setCarrier(hasCarrier: boolean): void {
    setCarrier(this.fd, hasCarrier);
  }

  read(offset: number, capacity: number): number {
    const length = this.#read(this.#base + offset - this.#header, capacity + this.#header);
    if (length > this.#header) return length - this.#header;
    // There are no empty frames: the other end of what is no TAP was closed.
    if (length >= 0) return GONE;
    const error = errno();
    return error === EAGAIN || error === EINTR ? NO_FRAME : GONE;
  }

  write(offset: number, length: number): number {
    const written = this.#write(this.#base + offset - this.#header, length + this.#header);
    return written === -1 ? whyNot(errno()) : length;
  }

  enqueue(ring: WriteRing, offset: number, length: number): void {
    ring.add(this.fd, this.#base + offset - this.#header, length + this.#header);
  }

  writeParts(headers: number, headerBytes: number, { count, offsets, bytes }: Parts): number {
    if ((count + 1) * IOVEC_WORDS > this.#parts.length) {
      this.#parts = new Int32Array((offsets.length + 1) * IOVEC_WORDS);
      this.#partsAddress = addressOf(this.#parts);
    }
    this.#setPart(0, this.#base + headers - this.#header, headerBytes + this.#header);
    for (let i = 0; i < count; i++) this.#setPart(i + 1, this.#base + offsets[i]!, bytes[i]!);
    const parts = count + 1;
    const written = this.#isShared
      ? this.#notWaiting(pwritev2, parts)
      : writev(this.fd, this.#partsAddress, parts);
    return written === -1 ? whyNot(errno()) : written - this.#header;
  }

  #read(address: number, length: number): number {
    if (!this.#isShared) return read(this.fd, address, length);
    this.#setPart(0, address, length);
    return this.#notWaiting(preadv2, 1);
  }

  #write(address: number, length: number): number {
    if (!this.#isShared) return write(this.fd, address, length);
    this.#setPart(0, address, length);
    return this.#notWaiting(pwritev2, 1);
  }

  /** Reads into, or writes, the first `count` parts. */
  #notWaiting(call: typeof preadv2, count: number): number {
    const moved = call(this.fd, this.#partsAddress, count, -1, this.#flags);
    if (moved !== -1 || this.#flags === 0 || errno() !== EOPNOTSUPP) return moved;
    this.#flags = 0;
    return call(this.fd, this.#partsAddress, count, -1, 0);
  }

  #setPart(part: number, address: number, length: number): void {
    const word = part * IOVEC_WORDS;
    this.#parts[word] = address % 2 ** 32;
    this.#parts[word + 1] = Math.floor(address / 2 ** 32);
    this.#parts[word + 2] = length;
  }
}

/** What an errno says of a frame that was not written. */
export function whyNot(error: number): number {
  // The kernel answers EIO while the interface is down.
  if (error === EIO) return NO_CARRIER;
  return error === EBADFD || error === EBADF ? GONE : REFUSED;
}
