/**
 * A device that is an open file: a TAP or TUN, opened here or handed over by somebody else, non-blocking. One read(2)
 * yields one frame, one write(2) takes one (Linux, Documentation/networking/tuntap.rst).
 */
import { constants } from 'node:os';
import type { Arena } from '../arena/arena.ts';
import { addressOf, errno, read, write } from '../sys/libc.ts';
import { type Device, GONE, NO_CARRIER, NO_FRAME, REFUSED } from './device.ts';

const { EAGAIN, EBADF, EINTR, EIO } = constants.errno;
/** The device behind the file was deleted. */
const EBADFD = 77;

export class FdDevice implements Device {
  readonly fd: number;
  readonly #base: number;

  constructor(arena: Arena, fd: number) {
    this.fd = fd;
    this.#base = addressOf(arena.u8);
  }

  read(offset: number, capacity: number): number {
    const length = read(this.fd, this.#base + offset, capacity);
    if (length > 0) return length;
    // There are no empty frames: the other end of what is no TAP was closed.
    if (length === 0) return GONE;
    const error = errno();
    return error === EAGAIN || error === EINTR ? NO_FRAME : GONE;
  }

  write(offset: number, length: number): number {
    const written = write(this.fd, this.#base + offset, length);
    if (written !== -1) return written;
    const error = errno();
    // The kernel answers EIO while the interface is down.
    if (error === EIO) return NO_CARRIER;
    return error === EBADFD || error === EBADF ? GONE : REFUSED;
  }
}
