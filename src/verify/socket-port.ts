/** A device of a lab that is being measured: a pair of sockets, of which taplab has one, as of a TAP, and we the other. */
import { LINKTYPE_ETHERNET } from '../device/link-type.ts';
import {
  AF_UNIX,
  addressOf,
  check,
  close,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  socketpair,
  write,
} from '../sys/libc.ts';

const MAX_FRAME_BYTES = 16_384;

export class SocketPort {
  readonly fd: number;
  readonly linkType: number = LINKTYPE_ETHERNET;
  readonly #own: number;
  readonly #buffer: Uint8Array = new Uint8Array(MAX_FRAME_BYTES);
  readonly #address: number = addressOf(this.#buffer);

  /** @throws SystemError */
  constructor() {
    const fds = new Int32Array(2);
    check(
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
      'socketpair',
      'of a measured interface',
    );
    [this.fd, this.#own] = [fds[0]!, fds[1]!];
  }

  /** Sends a frame as the node. False when there is no room for it now. */
  send(frame: Uint8Array): boolean {
    return write(this.#own, addressOf(frame), frame.length) === frame.length;
  }

  /** Takes what has come out, and forgets it. */
  drain(): void {
    while (read(this.#own, this.#address, MAX_FRAME_BYTES) > 0);
  }

  close(): void {
    close(this.fd);
    close(this.#own);
  }
}
