/**
 * Who is at the other end of a unix socket: SO_PEERCRED of unix(7), taken by the kernel when the peer connected.
 * What the peer does later (setuid, passing the socket on) does not change it.
 */
import type { Socket } from 'node:net';
import { check, getsockopt, SO_PEERCRED, SOL_SOCKET } from '../sys/libc.ts';

/** `struct ucred`. */
export type PeerCredentials = { readonly pid: number; readonly uid: number; readonly gid: number };

/** Node keeps a connection's file descriptor in a property it does not document. */
type WithHandle = { readonly _handle?: { readonly fd?: number } | null };

const UCRED_WORDS = 3;

/**
 * The credentials of a connection's peer. Undefined when the system does not tell: not Linux, or the connection has
 * no file descriptor any more.
 *
 * @throws SystemError when getsockopt fails
 */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  if (process.platform !== 'linux') return undefined;
  const fd = (socket as unknown as WithHandle)._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const credentials = new Int32Array(UCRED_WORDS);
  const length = Int32Array.of(credentials.byteLength);
  check(
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length),
    'getsockopt(SO_PEERCRED)',
    'of a control connection',
  );
  const [pid, uid, gid] = credentials;
  return { pid: pid!, uid: uid! >>> 0, gid: gid! >>> 0 };
}
