/** Sending datagrams to a unix socket, which Node does not offer: socket(2), sendto(2). Never blocks. */
import { AF_UNIX, check, close, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, sendto, socket } from './libc.ts';

const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_un: the family, then 108 bytes. */
const SUN_PATH = 2;
const MAX_PATH_BYTES = 107;

export class DatagramSender {
  readonly #fd: number;
  readonly #address: Uint8Array;

  /**
   * `address` is a path, or `@` and a name in the abstract namespace (unix(7)).
   *
   * @throws SystemError
   */
  constructor(address: string) {
    const name = Buffer.from(address).subarray(0, MAX_PATH_BYTES);
    if (name[0] === '@'.charCodeAt(0)) name[0] = 0;
    this.#address = new Uint8Array(SUN_PATH + name.length);
    new DataView(this.#address.buffer).setUint16(0, AF_UNIX, true);
    this.#address.set(name, SUN_PATH);
    this.#fd = check(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), 'socket', 'of datagrams');
  }

  /** False when nobody takes it. */
  send(text: string): boolean {
    const bytes = Buffer.from(text);
    return sendto(this.#fd, bytes, bytes.length, MSG_NOSIGNAL, this.#address, this.#address.length) !== -1;
  }

  close(): void {
    close(this.#fd);
  }
}
