/** The file descriptor behind a connection of node:net, for the system calls that Node does not offer on one. */
import type { Server, Socket } from 'node:net';

/** Node keeps it in a property it does not document. */
type WithHandle = { readonly _handle?: { readonly fd?: number } | null };

/** Undefined when the socket is closed, or the system has no file descriptors. */
export function fdOf(socket: Socket | Server): number | undefined {
  const fd = (socket as unknown as WithHandle)._handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
