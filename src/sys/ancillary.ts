/**
 * Open files that travel over a unix socket: SCM_RIGHTS of unix(7), through sendmsg(2) and recvmsg(2), neither of
 * which Node offers. Never blocks, whatever the socket's own flags.
 *
 * What is received belongs to the caller at once, and is closed on exec. The structures are those of 64-bit Linux.
 */
import { constants } from 'node:os';
import { addressOf, check, errno, recvmsg, SOL_SOCKET, SystemError, sendmsg } from './libc.ts';

/** SCM_MAX_FD: the kernel takes no more in one message. */
export const MAX_FDS = 253;

const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** struct msghdr in 64-bit words: name, its length, iovec, their number, control, its length, flags. */
const MSGHDR_WORDS = 7;
const MSG_IOV = 2;
const MSG_IOVLEN = 3;
const MSG_CONTROL = 4;
const MSG_CONTROLLEN = 5;
const MSG_FLAGS = 6;
/** struct cmsghdr: size_t length, int level, int type; the data follows. Each begins at a multiple of 8. */
const CMSG_HEADER = 16;
const SIZEOF_INT = 4;

export type Received = {
  /** 0 at the end of the stream. */
  readonly bytes: number;
  readonly fds: readonly number[];
  /** There were more descriptors than MAX_FDS, or this process may not open as many; the rest is lost. */
  readonly truncated: boolean;
};

/**
 * Takes what has arrived, into `buffer`. Undefined when nothing has.
 *
 * @throws SystemError
 */
export function receive(socketFd: number, buffer: Uint8Array): Received | undefined {
  const control = new Uint8Array(align(CMSG_HEADER + MAX_FDS * SIZEOF_INT));
  const { message, keep } = messageHeader(buffer, control);
  const bytes = recvmsg(socketFd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (bytes === -1) {
    const why = errno();
    if (why === constants.errno.EAGAIN || why === constants.errno.EINTR) return undefined;
    throw new SystemError('recvmsg', 'of a unix socket', why);
  }
  const header = keep[0];
  const fds = descriptorsIn(control.subarray(0, Number(header[MSG_CONTROLLEN])));
  return { bytes, fds, truncated: (Number(header[MSG_FLAGS]) & MSG_CTRUNC) !== 0 };
}

/**
 * Sends bytes, at least one, with open files at the first of them. The files stay open here too.
 *
 * @throws SystemError, also when the socket does not take all of it at once
 */
export function send(socketFd: number, bytes: Uint8Array, fds: readonly number[]): void {
  const control = new Uint8Array(fds.length === 0 ? 0 : align(CMSG_HEADER + fds.length * SIZEOF_INT));
  if (fds.length > 0) {
    const view = new DataView(control.buffer);
    view.setBigUint64(0, BigInt(CMSG_HEADER + fds.length * SIZEOF_INT), true);
    view.setInt32(8, SOL_SOCKET, true);
    view.setInt32(12, SCM_RIGHTS, true);
    for (const [i, fd] of fds.entries()) view.setInt32(CMSG_HEADER + i * SIZEOF_INT, fd, true);
  }
  const { message, keep } = messageHeader(bytes, control);
  const object = `of ${fds.length} open files over a unix socket`;
  const sent = check(sendmsg(socketFd, message, MSG_DONTWAIT | MSG_NOSIGNAL), 'sendmsg', object);
  if (sent !== keep[2].length) throw new SystemError('sendmsg', object, constants.errno.EAGAIN);
}

type Kept = readonly [header: BigUint64Array, vector: BigUint64Array, bytes: Uint8Array, control: Uint8Array];

/** A msghdr, its address, and all that must stay alive while the kernel uses it. */
function messageHeader(bytes: Uint8Array, control: Uint8Array): { message: number; keep: Kept } {
  const vector = BigUint64Array.of(BigInt(addressOf(bytes)), BigInt(bytes.length));
  const header = new BigUint64Array(MSGHDR_WORDS);
  header[MSG_IOV] = BigInt(addressOf(words(vector)));
  header[MSG_IOVLEN] = 1n;
  if (control.length > 0) {
    header[MSG_CONTROL] = BigInt(addressOf(control));
    header[MSG_CONTROLLEN] = BigInt(control.length);
  }
  return { message: addressOf(words(header)), keep: [header, vector, bytes, control] };
}

/** All descriptors in the control messages of a received message. */
function descriptorsIn(control: Uint8Array): number[] {
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  const fds: number[] = [];
  for (let at = 0; at + CMSG_HEADER <= control.length; ) {
    const length = Number(view.getBigUint64(at, true));
    if (length < CMSG_HEADER) break;
    if (view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS) {
      const end = Math.min(at + length, control.length);
      for (let i = at + CMSG_HEADER; i + SIZEOF_INT <= end; i += SIZEOF_INT) fds.push(view.getInt32(i, true));
    }
    at += align(length);
  }
  return fds;
}

function words(array: BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function align(length: number): number {
  return (length + 7) & ~7;
}
