/**
 * Binding a server to a unix socket that nobody but owner and group can reach at any moment, and that takes the
 * place of a socket file left by a process that is gone, but never of one that is answered.
 */
import { lchown, lstat, mkdir, unlink } from 'node:fs/promises';
import { createConnection, type Server } from 'node:net';
import { dirname } from 'node:path';
import { SystemError } from '../sys/libc.ts';
import type { AccessGroups } from './access.ts';
import { allowGroup } from './socket-acl.ts';

/** sockaddr_un of unix(7): 108 bytes, the last of them zero. */
const MAX_PATH_BYTES = 107;
/** Leaves 0660 of the 0777 that bind(2) gives a socket. */
const SOCKET_UMASK = 0o117;
const PROBE_TIMEOUT_MS = 2000;

/** Why a socket cannot be listened on; the message says what to do. */
export class SocketError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SocketError';
  }
}

/**
 * Listens on `path` with mode 0660; its folder is made if it is missing. The file is removed when the server closes.
 * The file is given to `group`, so that others may use it, this process's unless given; `readGroup` may use it as well.
 *
 * @throws SocketError when the path is too long, in use, not a socket, or cannot be made, or not be given to the groups
 */
export async function listenOnSocket(
  server: Server,
  path: string,
  { group, readGroup }: AccessGroups = {},
): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw new SocketError(
      `the socket path ${path} has ${bytes} bytes, and unix(7) allows ${MAX_PATH_BYTES}; choose a shorter one with --socket`,
    );
  }
  try {
    await mkdir(dirname(path), { recursive: true });
    await removeStale(path);
    await bind(server, path);
    if (group !== undefined) await giveToGroup(server, path, group);
    if (readGroup !== undefined) await letReadGroupIn(server, path, readGroup);
  } catch (error) {
    if (error instanceof SocketError) throw error;
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new SocketError(
      `cannot listen on ${path}: ${syscall ?? 'listen'}: ${code}; choose another path with --socket`,
    );
  }
}

/** Listens on a socket that was opened for this process, as by systemd: its path, mode and group are its maker's. */
export function listenOnPassed(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = ({ code, message }: NodeJS.ErrnoException): void => {
      reject(new SocketError(`cannot listen on the socket that was passed as ${fd}: ${code ?? message}`));
    };
    server.once('error', fail);
    server.listen({ fd }, () => {
      server.removeListener('error', fail);
      resolve();
    });
  });
}

/** The umask is the whole process's, and bind(2) happens inside listen(): it is changed for that moment only. */
function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(error);
    server.once('error', fail);
    const umask = process.umask(SOCKET_UMASK);
    try {
      server.listen(path, () => {
        server.removeListener('error', fail);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Until this is done nobody but the owner's own group can connect. */
async function giveToGroup(server: Server, path: string, group: number): Promise<void> {
  try {
    await lchown(path, process.geteuid!(), group);
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    const { code } = error as NodeJS.ErrnoException;
    throw new SocketError(
      `cannot give ${path} to group ${group}: chown: ${code}; only root may choose any group, others one they belong to`,
    );
  }
}

async function letReadGroupIn(server: Server, path: string, readGroup: number): Promise<void> {
  try {
    allowGroup(path, readGroup);
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    if (!(error instanceof SystemError)) throw error;
    throw new SocketError(
      `cannot let group ${readGroup} use ${path}: ${error.message}; the file system has to know access lists (acl(5)): choose a path on another with --socket`,
    );
  }
}

async function removeStale(path: string): Promise<void> {
  const status = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (status === undefined) return;
  if (!status.isSocket()) {
    throw new SocketError(
      `${path} exists and is not a socket; remove it, or choose another path with --socket`,
    );
  }
  if (await answers(path)) {
    throw new SocketError(
      `another program is listening on ${path}; stop it (\`taplab down --socket ${path}\`), or choose another path with --socket`,
    );
  }
  await unlink(path);
}

/** Whether somebody accepts connections on a socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createConnection(path);
    probe.setTimeout(PROBE_TIMEOUT_MS, () => settle(true));
    const settle = (answer: boolean): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.on('connect', () => settle(true));
    probe.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') settle(false);
      // EAGAIN: its backlog is full, so somebody is there.
      else if (error.code === 'EAGAIN') settle(true);
      else reject(error);
    });
  });
}
