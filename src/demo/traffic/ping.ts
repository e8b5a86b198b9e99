/** Round-trip times by UDP echo (RFC 862): like ping(8), without the right to open raw sockets. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type PingOptions = {
  readonly address: string;
  readonly port: number;
  readonly count: number;
  readonly intervalMs: number;
  /** Bytes of UDP payload, at least 12. */
  readonly size: number;
};

/** Milliseconds. */
export type RoundTrips = {
  readonly min: number;
  readonly median: number;
  readonly mean: number;
  readonly max: number;
};

export type PingResult = {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** Absent when nothing came back. */
  readonly rttMs?: RoundTrips;
};

/** Marks our requests, so that a stray datagram is not taken for a reply. */
const MARK = 0x7461_706c_6162_0001n;
/** How long a reply may take after the last request was sent. */
const PATIENCE_MS = 1000;

/** Sends `count` requests and waits for the replies, or until the signal is aborted. */
export async function ping(options: PingOptions, signal: AbortSignal): Promise<PingResult> {
  const socket = createSocket(isIPv6(options.address) ? 'udp6' : 'udp4');
  const sentAtMs: number[] = [];
  const roundTripsMs = new Map<number, number>();
  let complete: () => void = () => undefined;
  const allReceived = new Promise<void>((resolve) => {
    complete = resolve;
  });
  socket.on('message', (message) => {
    const nowMs = performance.now();
    const sequence = sequenceOf(message);
    const sentMs = sequence === undefined ? undefined : sentAtMs[sequence];
    if (sequence === undefined || sentMs === undefined || roundTripsMs.has(sequence)) return;
    roundTripsMs.set(sequence, nowMs - sentMs);
    if (roundTripsMs.size === options.count) complete();
  });
  try {
    socket.bind();
    await once(socket, 'listening');
    await sendAll(socket, options, sentAtMs, signal);
    await Promise.race([allReceived, pause(PATIENCE_MS, signal)]);
  } finally {
    socket.close();
  }
  const received = roundTripsMs.size;
  const sent = sentAtMs.length;
  const rttMs = summary([...roundTripsMs.values()]);
  return { sent, received, lost: sent - received, ...(rttMs === undefined ? {} : { rttMs }) };
}

/** At even intervals from the first, so that a late timer does not push the others back. */
async function sendAll(
  socket: Socket,
  options: PingOptions,
  sentAtMs: number[],
  signal: AbortSignal,
): Promise<void> {
  const startMs = performance.now();
  for (let sequence = 0; sequence < options.count && !signal.aborted; sequence++) {
    const request = Buffer.alloc(options.size);
    request.writeBigUInt64BE(MARK, 0);
    request.writeUInt32BE(sequence, 8);
    sentAtMs.push(performance.now());
    // An error (no route yet, a full queue) is a lost request.
    socket.send(request, options.port, options.address, () => undefined);
    const nextMs = startMs + (sequence + 1) * options.intervalMs;
    if (sequence + 1 < options.count) await pause(nextMs - performance.now(), signal);
  }
}

function sequenceOf(message: Buffer): number | undefined {
  if (message.byteLength < 12 || message.readBigUInt64BE(0) !== MARK) return undefined;
  return message.readUInt32BE(8);
}

/** Least, median, mean and largest, rounded to microseconds; undefined of nothing. */
export function summary(roundTripsMs: readonly number[]): RoundTrips | undefined {
  if (roundTripsMs.length === 0) return undefined;
  const sorted = roundTripsMs.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? 0;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  const mean = sorted.reduce((sum, each) => sum + each, 0) / sorted.length;
  return {
    min: toMicroseconds(at(0)),
    median: toMicroseconds(median),
    mean: toMicroseconds(mean),
    max: toMicroseconds(at(sorted.length - 1)),
  };
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Returns early, without an error, when the signal is aborted.
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
}
