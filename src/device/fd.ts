/**
 * A device that is an open file: a TAP or TUN, opened here or handed over by somebody else, non-blocking. One read(2)
 * yields one frame, one write(2) takes one (Linux, Documentation/networking/tuntap.rst). With offload, the file was
 * opened with IFF_VNET_HDR.
 */
import { constants } from 'node:os';
import type { Arena } from '../arena/arena.ts';
import { VNET_HEADER } from '../offload/virtio-net.ts';
import { addressOf, errno, read, write, writev } from '../sys/libc.ts';
import { type Device, GONE, NO_CARRIER, NO_FRAME, REFUSED } from './device.ts';
import { setCarrier } from './tap.ts';

const { EAGAIN, EBADF, EINTR, EIO } = constants.errno;
/** The device behind the file was deleted. */
const EBADFD = 77;

export class FdDevice implements Device {
  readonly fd: number;
  readonly offload: boolean;
  /** Bytes in front of each frame. */
  readonly #header: number;
  readonly #base: number;
  /** Two struct iovec: address and length, 64 bits each. */
  readonly #parts: Int32Array = new Int32Array(8);
  readonly #partsAddress: number = addressOf(this.#parts);

  /** @param offload whether the file was opened with IFF_VNET_HDR */
  constructor(arena: Arena, fd: number, offload: boolean) {
    this.fd = fd;
    this.offload = offload;
    this.#header = offload ? VNET_HEADER : 0;
    this.#base = addressOf(arena.u8);
  }

  setCarrier(hasCarrier: boolean): void {
    setCarrier(this.fd, hasCarrier);
  }

  read(offset: number, capacity: number): number {
    const length = read(this.fd, this.#base + offset - this.#header, capacity + this.#header);
    if (length > this.#header) return length - this.#header;
    // There are no empty frames: the other end of what is no TAP was closed.
    if (length >= 0) return GONE;
    const error = errno();
    return error === EAGAIN || error === EINTR ? NO_FRAME : GONE;
  }

  write(offset: number, length: number): number {
    const written = write(this.fd, this.#base + offset - this.#header, length + this.#header);
    return written === -1 ? whyNot() : length;
  }

  writeParts(headers: number, headerBytes: number, payload: number, payloadBytes: number): number {
    this.#setPart(0, this.#base + headers - this.#header, headerBytes + this.#header);
    this.#setPart(4, this.#base + payload, payloadBytes);
    const written = writev(this.fd, this.#partsAddress, 2);
    return written === -1 ? whyNot() : headerBytes + payloadBytes;
  }

  #setPart(word: number, address: number, length: number): void {
    this.#parts[word] = address % 2 ** 32;
    this.#parts[word + 1] = Math.floor(address / 2 ** 32);
    this.#parts[word + 2] = length;
  }
}

/** What errno says of a frame that was not written. */
function whyNot(): number {
  const error = errno();
  // The kernel answers EIO while the interface is down.
  if (error === EIO) return NO_CARRIER;
  return error === EBADFD || error === EBADF ? GONE : REFUSED;
}
