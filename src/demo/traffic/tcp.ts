/** Bulk transfer to the sink of `serve`: what was confirmed by the other end, and how fast that was. */
import { connect, type Socket } from 'node:net';
import type { SinkAnswer } from './serve.ts';

export type TcpOptions = {
  readonly address: string;
  readonly port: number;
  /** Size of a transfer; without it there is one, which ends when the time is over. */
  readonly bytes?: number;
  /** With `bytes`: transfers follow one another, each in a connection of its own, for this long; 0 is one transfer. */
  readonly seconds: number;
};

export type TcpResult = {
  readonly connections: number;
  /** Received and confirmed by the other end. */
  readonly bytes: number;
  readonly seconds: number;
  readonly bitsPerSecond: number;
};

const CHUNK = Buffer.alloc(64 * 1024, 'taplab ');
/** How long the other end may take to confirm what is still under way when the time is over. */
const PATIENCE_MS = 5000;
/** The same, when the run is interrupted. */
const INTERRUPTED_PATIENCE_MS = 500;
/** Of a transfer that is bounded by its size alone. */
const MOST_SECONDS = 600;

/** Transfers until time or bytes are used up, or the signal is aborted. Throws when no connection can be made. */
export async function tcp(options: TcpOptions, signal: AbortSignal): Promise<TcpResult> {
  const startMs = performance.now();
  const endMs = startMs + (options.seconds === 0 ? MOST_SECONDS : options.seconds) * 1000;
  let connections = 0;
  let bytes = 0;
  do {
    bytes += await transfer(options, endMs, signal);
    connections++;
  } while (repeats(options) && performance.now() < endMs && !signal.aborted);
  const seconds = (performance.now() - startMs) / 1000;
  return {
    connections,
    bytes,
    seconds: Math.round(seconds * 1000) / 1000,
    bitsPerSecond: Math.round((bytes * 8) / seconds),
  };
}

function repeats(options: TcpOptions): boolean {
  return options.bytes !== undefined && options.seconds > 0;
}

/** One connection: sends, half-closes, and returns the bytes the other end says it received; 0 if it says nothing. */
function transfer(options: TcpOptions, endMs: number, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: options.address, port: options.port, allowHalfOpen: true });
    let connected = false;
    let answer = '';
    let failure: Error | undefined;
    const giveUp = () => socket.destroy();
    let timer = setTimeout(giveUp, Math.max(0, endMs - performance.now()) + PATIENCE_MS);
    const hurry = () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, connected ? INTERRUPTED_PATIENCE_MS : 0);
    };
    signal.addEventListener('abort', hurry);
    socket.on('connect', () => {
      connected = true;
      send(socket, options.bytes ?? Number.POSITIVE_INFINITY, endMs, signal);
    });
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', hurry);
      if (!connected && failure !== undefined) {
        reject(new Error(`cannot connect to ${options.address} port ${options.port}: ${failure.message}`));
      } else resolve(confirmedBytes(answer));
    });
  });
}

/** Writes as fast as the socket takes it, until `bytes` are sent, the time is over or the signal is aborted. */
function send(socket: Socket, bytes: number, endMs: number, signal: AbortSignal): void {
  let left = bytes;
  const finish = () => {
    left = 0;
    clearTimeout(timer);
    signal.removeEventListener('abort', finish);
    socket.off('drain', fill);
    socket.end();
  };
  const timer = setTimeout(finish, Math.max(0, endMs - performance.now()));
  signal.addEventListener('abort', finish);
  const fill = () => {
    while (left > 0) {
      const chunk = left >= CHUNK.byteLength ? CHUNK : CHUNK.subarray(0, left);
      left -= chunk.byteLength;
      if (!socket.write(chunk)) return;
    }
    finish();
  };
  socket.on('drain', fill);
  socket.once('close', () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', finish);
  });
  fill();
}

function confirmedBytes(answer: string): number {
  try {
    const parsed: SinkAnswer = JSON.parse(answer);
    return typeof parsed.bytes === 'number' ? parsed.bytes : 0;
  } catch {
    return 0;
  }
}
