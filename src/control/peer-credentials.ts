/**
 * Who is at the other end of a unix socket: SO_PEERCRED and SO_PEERGROUPS of unix(7), taken by the kernel when the
 * peer connected. What the peer does later (setuid, setgroups, passing the socket on) does not change it.
 */
import type { Socket } from 'node:net';
import { check, getsockopt, SO_PEERCRED, SO_PEERGROUPS, SOL_SOCKET } from '../sys/libc.ts';
import { fdOf } from '../sys/socket-fd.ts';

/** `struct ucred`, and every group of the peer: the one in `gid` and the supplementary ones. */
export type PeerCredentials = {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
};

const UCRED_WORDS = 3;

/**
 * The credentials of a connection's peer. Undefined when the system does not tell: not Linux, or the connection has
 * no file descriptor any more.
 *
 * @throws SystemError when getsockopt fails
 */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  if (process.platform !== 'linux') return undefined;
  const fd = fdOf(socket);
  if (fd === undefined) return undefined;
  const credentials = new Int32Array(UCRED_WORDS);
  const length = Int32Array.of(credentials.byteLength);
  check(
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length),
    'getsockopt(SO_PEERCRED)',
    'of a control connection',
  );
  const [pid, uid, gid] = credentials;
  const primary = gid! >>> 0;
  return { pid: pid!, uid: uid! >>> 0, gid: primary, groups: [primary, ...supplementaryGroups(fd)] };
}

function supplementaryGroups(fd: number): number[] {
  // With no room the kernel refuses (ERANGE), and says how much there has to be; with no groups it does not refuse.
  const length = Int32Array.of(0);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, new Int32Array(1), length) === 0) return [];
  const groups = new Int32Array(length[0]! / Int32Array.BYTES_PER_ELEMENT);
  check(
    getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, length),
    'getsockopt(SO_PEERGROUPS)',
    'of a control connection',
  );
  return Array.from(groups, (group) => group >>> 0);
}
