/**
 * A device that is one end of a socket pair: frame boundaries are kept, nothing is lost unseen, no privilege is
 * needed. The test holds the other end.
 */
import koffi from 'koffi';
import { addressOf, check, close, read, write } from '../../src/sys/libc.ts';

const socketpair = koffi.load(null).func('int socketpair(int, int, int, void *)') as (
  domain: number,
  type: number,
  protocol: number,
  fds: Int32Array,
) => number;
const AF_UNIX = 1;
const SOCK_SEQPACKET_NONBLOCK_CLOEXEC = 5 | 0o4000 | 0o2000000;

export type SocketDevice = {
  /** What the emulator is given. */
  readonly port: { readonly fd: number; readonly linkType: number };
  /** Sends a frame as the node; false when there is no room for it now. */
  send(frame: Uint8Array): boolean;
  /** The next frame that the node gets; undefined when there is none now. A copy. */
  receive(): Uint8Array | undefined;
  /** Closes the emulator's end. */
  closePort(): void;
  /** Closes the node's end: the device is gone for the emulator. */
  close(): void;
};

export function socketDevice(): SocketDevice {
  const fds = new Int32Array(2);
  check(socketpair(AF_UNIX, SOCK_SEQPACKET_NONBLOCK_CLOEXEC, 0, fds), 'socketpair', 'test device');
  const [fd, own] = [fds[0]!, fds[1]!];
  const buffer = new Uint8Array(2048);
  const closeOnce = (which: number): (() => void) => {
    let open = true;
    return () => {
      if (open) close(which);
      open = false;
    };
  };
  return {
    port: { fd, linkType: 1 },
    send: (frame) => write(own, addressOf(frame), frame.length) === frame.length,
    receive: () => {
      const length = read(own, addressOf(buffer), buffer.length);
      return length > 0 ? buffer.slice(0, length) : undefined;
    },
    closePort: closeOnce(fd),
    close: closeOnce(own),
  };
}
