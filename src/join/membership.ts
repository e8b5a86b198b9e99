/**
 * The node's side of `taplab join`, once its devices are open: handing them over, and knowing for how long the
 * emulator has them.
 */
import { createConnection, type Socket } from 'node:net';
import { VERSION } from '../package.ts';
import { send } from '../sys/ancillary.ts';
import { fdOf } from '../sys/socket-fd.ts';
import { type Answer, answerSchema, type Hello, MAX_LINE_BYTES, PROTOCOL } from './protocol.ts';
import { RefusedError } from './read-hello.ts';

/** Nobody takes devices on the socket, or the connection broke off; `code` is the errno name. */
export class JoinConnectionError extends Error {
  readonly code: string;

  constructor(path: string, code: string) {
    super(`cannot join at ${path}: ${code}`);
    this.name = 'JoinConnectionError';
    this.code = code;
  }
}

export type Membership = {
  readonly lab: string;
  /** Of the emulator. */
  readonly pid: number;
  /** Resolves when the emulator has gone, or has let the node go. */
  readonly ended: Promise<void>;
  /** Leaves. Resolves true when the emulator has let go of the devices, false when it does not answer. */
  leave(): Promise<boolean>;
};

/** Longer than the emulator waits for a connection of the same node to end. */
const ANSWER_TIMEOUT_MS = 5000;
const LEAVE_TIMEOUT_MS = 2000;

/**
 * Hands devices over for a node: an open file for each of its interfaces, by name.
 *
 * @throws RefusedError, JoinConnectionError, SystemError
 */
export async function handOver(
  path: string,
  node: string,
  devices: ReadonlyMap<string, number>,
): Promise<Membership> {
  const hello: Hello = { protocol: PROTOCOL, version: VERSION, node, interfaces: [...devices.keys()] };
  const socket = await connect(path);
  try {
    send(fdOf(socket)!, Buffer.from(`${JSON.stringify(hello)}\n`), [...devices.values()]);
    const answer = await readAnswer(socket, path);
    if ('error' in answer) throw new RefusedError(answer.error, answer.retry);
    const ended = whenClosed(socket);
    return { lab: answer.lab, pid: answer.pid, ended, leave: () => leave(socket, ended) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket));
    // Its 'close' follows; what was to be read before is read.
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      reject(new JoinConnectionError(path, code ?? message));
    });
  });
}

function readAnswer(socket: Socket, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const give = (): void => {
      clearTimeout(timer);
      socket.off('data', read).off('close', closed);
    };
    const closed = (): void => {
      give();
      reject(new JoinConnectionError(path, 'ECONNRESET'));
    };
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!text.includes('\n') && text.length < MAX_LINE_BYTES) return;
      give();
      try {
        resolve(answerSchema.parse(JSON.parse(text)));
      } catch {
        reject(new RefusedError(`${path} does not answer as taplab does; is it another program's?`));
      }
    };
    const timer = setTimeout(() => {
      give();
      reject(new JoinConnectionError(path, 'ETIMEDOUT'));
    }, ANSWER_TIMEOUT_MS);
    socket.on('data', read).on('close', closed);
  });
}

function whenClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    if (socket.destroyed) resolve();
    socket.resume();
  });
}

async function leave(socket: Socket, ended: Promise<void>): Promise<boolean> {
  // The emulator closes its side when it has let go of the devices.
  socket.end();
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), LEAVE_TIMEOUT_MS);
  });
  const isFree = await Promise.race([ended.then(() => true), tooLong]);
  clearTimeout(timer);
  socket.destroy();
  return isFree;
}
