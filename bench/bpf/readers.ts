/**
 * How fast captured bytes are read, while a worker captures 1,536-byte frames as fast as it can from /dev/zero: in this
 * process, and by another process over the control socket. Beside the streams, what the socket carries when the same
 * server has nothing to do but send.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { frames as walk } from '../../src/bpf/record.ts';
import type { DescriptorHandle } from '../../src/bpf/types.ts';
import { Captures } from '../../src/capture/captures.ts';
import { CAPTURE_FORMATS, type CaptureFormat, encoder } from '../../src/capture/formats.ts';
import { createControlServer } from '../../src/control/server.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { check, close, O_RDWR, open } from '../../src/sys/libc.ts';
import { compileFilter } from '../../vm/index.ts';
import { attachOptions } from './attach.ts';
import { threadCpuNs } from './cpu-time.ts';
import { labOf } from './lab.ts';
import { median, takeTurns } from './turns.ts';

export type ReaderTiming = {
  readonly reader: string;
  /** Of captured frames, without the headers of records and formats. */
  readonly capturedBytesPerSecond: number;
  /** The same per second of CPU time of the control thread, which reads, encodes and sends. */
  readonly capturedBytesPerCpuSecond: number;
  /** Part of the accepted frames that found no room, because the worker captures faster than anybody reads. */
  readonly dropped: number;
};

/** How many captured bytes one thread turns into a format in a second of CPU time. */
export type EncodeTiming = { readonly format: CaptureFormat; readonly capturedBytesPerSecond: number };

export type ReaderResults = {
  readonly readers: ReaderTiming[];
  readonly encoders: EncodeTiming[];
};

const INTERFACE = 'n0:eth0';
const BUFFER_BYTES = 4 * 2 ** 20;
const ETHERNET = 1;

type Sample = {
  readonly bytesPerSecond: number;
  readonly bytesPerCpuSecond: number;
  readonly dropped: number;
};

/** Reads for so long in a way of its own; returns captured bytes per second. */
type Read = (descriptor: DescriptorHandle, milliseconds: number) => Promise<number>;

export async function benchReaders(rounds: number, seconds: number): Promise<ReaderResults> {
  const fd = check(open('/dev/zero', O_RDWR), 'open', '/dev/zero');
  const ports = new Map([[INTERFACE, { fd, linkType: ETHERNET }]]);
  const emulator = await Emulator.start(labOf(1, false), { ports });
  const folder = mkdtempSync(join(tmpdir(), 'taplab-bench-'));
  const socket = join(folder, 'control.sock');
  const captures = new Captures('taplab bench');
  const server = createControlServer({
    emulator,
    captures,
    metrics: createMetrics(emulator),
    logger: pino({ level: 'silent' }),
    onShutdown: () => {},
  });
  try {
    await server.listen(socket);
    const ways: [string, Read][] = [
      ['in-process, take(): no copy', readHeld],
      ['in-process, read(): a copy', readCopies],
      ...CAPTURE_FORMATS.map((format): [string, Read] => [
        `over the socket, ${format}`,
        (descriptor, milliseconds) => readStream(socket, descriptor, format, milliseconds),
      ]),
    ];
    const turn = (read: Read) => (): Promise<Sample> => measure(emulator, read, seconds * 1000);
    const plain = async (): Promise<Sample> => ({
      ...(await withCpuTime(() => readPlain(join(folder, 'plain.sock'), seconds * 1000))),
      dropped: 0,
    });
    const names = [
      ...ways.map(([name]) => name),
      'the socket alone: the server sends the same bytes again and again',
    ];
    const samples = await takeTurns([...ways.map(([, read]) => turn(read)), plain], rounds);
    const readers = names.map((reader, i) => ({
      reader,
      capturedBytesPerSecond: median(samples[i]!.map(({ bytesPerSecond }) => bytesPerSecond)),
      capturedBytesPerCpuSecond: median(samples[i]!.map(({ bytesPerCpuSecond }) => bytesPerCpuSecond)),
      dropped: median(samples[i]!.map(({ dropped }) => dropped)),
    }));
    return { readers, encoders: await benchEncoders(emulator, rounds) };
  } finally {
    await emulator.close();
    await server.close();
    close(fd);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(emulator: Emulator, read: Read, milliseconds: number): Promise<Sample> {
  const descriptor = await emulator.attach(INTERFACE, attachOptions(compileFilter(''), BUFFER_BYTES));
  const rates = await withCpuTime(() => read(descriptor, milliseconds));
  const { accepted, dropped } = descriptor.status();
  await descriptor.close();
  return { ...rates, dropped: dropped / accepted };
}

/** A rate, and what it would be if this thread had nothing to wait for. */
async function withCpuTime(
  read: () => Promise<number>,
): Promise<{ bytesPerSecond: number; bytesPerCpuSecond: number }> {
  const [cpuNs, startNs] = [threadCpuNs(), process.hrtime.bigint()];
  const bytesPerSecond = await read();
  const share = (threadCpuNs() - cpuNs) / Number(process.hrtime.bigint() - startNs);
  return { bytesPerSecond, bytesPerCpuSecond: bytesPerSecond / share };
}

/** Calls `batch` until the time is over, and adds up the bytes that it returns. */
async function ratePerSecond(milliseconds: number, batch: () => Promise<number>): Promise<number> {
  const beganMs = performance.now();
  let bytes = 0;
  let elapsedMs = 0;
  for (; elapsedMs < milliseconds; elapsedMs = performance.now() - beganMs) bytes += await batch();
  return (bytes / elapsedMs) * 1000;
}

/** Looks at every frame of a batch. */
function capturedBytes(batch: Uint8Array): number {
  let bytes = 0;
  for (const frame of walk(batch)) bytes += frame.bytes.length;
  return bytes;
}

function readHeld(descriptor: DescriptorHandle, milliseconds: number): Promise<number> {
  return ratePerSecond(milliseconds, async () => {
    const held = (await descriptor.take())!;
    const bytes = capturedBytes(held.bytes);
    await held.release();
    return bytes;
  });
}

function readCopies(descriptor: DescriptorHandle, milliseconds: number): Promise<number> {
  return ratePerSecond(milliseconds, async () => capturedBytes((await descriptor.read())!));
}

/** Another process reads a stream; what it got is scaled from bytes of the format to bytes captured. */
async function readStream(
  socket: string,
  descriptor: DescriptorHandle,
  format: CaptureFormat,
  milliseconds: number,
): Promise<number> {
  const path = `/v1/descriptors/${descriptor.id}/stream?format=${format}`;
  const batch = (await descriptor.read())!;
  const share = capturedBytes(batch) / encoderOf(format).batch(batch).byteLength;
  return (await readOutside(socket, path, milliseconds)) * share;
}

/** The same reader, from a server that sends 512 KiB it has ready whenever there is room. */
async function readPlain(socket: string, milliseconds: number): Promise<number> {
  const chunk = Buffer.alloc(524_288);
  const server = createServer((_request, response) => {
    const send = (): void => {
      while (response.write(chunk));
    };
    response.on('drain', send);
    send();
  });
  server.listen(socket);
  await once(server, 'listening');
  try {
    return await readOutside(socket, '/', milliseconds);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Bytes per second that a process gets of an HTTP response, over so many milliseconds from its first byte. */
async function readOutside(socket: string, path: string, milliseconds: number): Promise<number> {
  const script = join(import.meta.dirname, 'stream-reader.js');
  const child: ChildProcess = spawn(process.execPath, [script, socket, path, String(milliseconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`the reader of ${path} ended with ${status}`);
  return Number(output);
}

function encoderOf(format: CaptureFormat): ReturnType<typeof encoder> {
  return encoder(format, { application: 'bench', interface: INTERFACE, linkType: ETHERNET, filter: '' });
}

async function benchEncoders(emulator: Emulator, rounds: number): Promise<EncodeTiming[]> {
  const descriptor = await emulator.attach(INTERFACE, attachOptions(compileFilter(''), BUFFER_BYTES));
  const batch = (await descriptor.read())!;
  await descriptor.close();
  // From here on nobody captures, and the worker only reads.
  const captured = capturedBytes(batch);
  const contenders = CAPTURE_FORMATS.map((format) => () => {
    const startNs = threadCpuNs();
    encoderOf(format).batch(batch);
    return (captured * 1e9) / (threadCpuNs() - startNs);
  });
  await takeTurns(contenders, 10);
  const samples = await takeTurns(contenders, 5 * rounds);
  return CAPTURE_FORMATS.map((format, i) => ({ format, capturedBytesPerSecond: median(samples[i]!) }));
}
