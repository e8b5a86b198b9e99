/**
 * Reading what a node says first, and the open files that come with it. Bounded in time and size. Node does not offer
 * this: what it reads from a socket arrives without the files. So the connection is not read by it until this is done
 * (pauseOnConnect), and is looked at now and then, which never blocks.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_FDS, type Received, receive } from '../sys/ancillary.ts';
import { close } from '../sys/libc.ts';
import { fdOf } from '../sys/socket-fd.ts';
import { HELLO_TIMEOUT_MS, type Hello, helloSchema, MAX_LINE_BYTES, PROTOCOL } from './protocol.ts';

/** The node may not join; the message is for it. */
export class RefusedError extends Error {
  /** The same may succeed later. */
  readonly retry: boolean;

  constructor(message: string, retry = false) {
    super(message);
    this.name = 'RefusedError';
    this.retry = retry;
  }
}

/** A node's Hello, and files that now belong to the caller. */
export type HelloWithFiles = { readonly hello: Hello; readonly fds: readonly number[] };

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
const NEWLINE = 0x0a;

/**
 * Reads the Hello of a connection that nobody else reads. Throws RefusedError, SystemError; then every file that came
 * is closed. Undefined when the peer has gone without a word.
 */
export async function readHello(
  socket: Socket,
  timeoutMs: number = HELLO_TIMEOUT_MS,
): Promise<HelloWithFiles | undefined> {
  const fds: number[] = [];
  try {
    const line = await readLine(socket, fds, timeoutMs);
    if (line === undefined) return undefined;
    return { hello: parseHello(line, fds.length), fds: fds.splice(0) };
  } finally {
    for (const fd of fds) close(fd);
  }
}

async function readLine(socket: Socket, fds: number[], timeoutMs: number): Promise<string | undefined> {
  const deadline = Date.now() + timeoutMs;
  const buffer = new Uint8Array(MAX_LINE_BYTES);
  let length = 0;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    for (let got = take(socket, buffer.subarray(length)); got; got = take(socket, buffer.subarray(length))) {
      fds.push(...got.fds);
      if (got.truncated || fds.length > MAX_FDS)
        throw new RefusedError('too many open files were handed over');
      if (got.bytes === 0) {
        if (length === 0) return undefined;
        throw new RefusedError('the connection ended in the middle of what the node says first');
      }
      length += got.bytes;
      const end = buffer.subarray(0, length).indexOf(NEWLINE);
      if (end !== -1) return Buffer.from(buffer.subarray(0, end)).toString();
      if (length === buffer.length) {
        throw new RefusedError(`what a node says first has at most ${MAX_LINE_BYTES} bytes`);
      }
    }
    if (Date.now() > deadline) {
      throw new RefusedError(`a node has to say who it is within ${timeoutMs / 1000} seconds`);
    }
    await sleep(pauseMs);
  }
}

/** What has arrived; undefined when nothing has. A connection that is closed here is at its end. */
function take(socket: Socket, buffer: Uint8Array): Received | undefined {
  const fd = fdOf(socket);
  return fd === undefined ? { bytes: 0, fds: [], truncated: false } : receive(fd, buffer);
}

function parseHello(line: string, files: number): Hello {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    throw new RefusedError('what the node said first is not JSON; nodes join with `taplab join`');
  }
  const parsed = helloSchema.safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RefusedError(`what the node said first is wrong: ${issue!.path.join('.')}: ${issue!.message}`);
  }
  const hello = parsed.data;
  if (hello.protocol !== PROTOCOL) {
    throw new RefusedError(
      `the node has taplab ${hello.version} (protocol ${hello.protocol}), the emulator expects protocol ${PROTOCOL}; use the same version of taplab`,
    );
  }
  if (files !== hello.interfaces.length) {
    throw new RefusedError(
      `${files === 0 ? 'no open file was' : `${files} open files were`} handed over for ${hello.interfaces.length} interfaces`,
    );
  }
  return hello;
}
