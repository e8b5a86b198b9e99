/**
 * A data plane with two devices and a clear link between them, of the build that it is told to take. Answers each
 * number of frames with the nanoseconds of CPU time that one of them took.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Arena } from '../../src/arena/arena.ts';
import type { Device } from '../../src/device/device.ts';
import { threadCpuNs } from './cpu-time.ts';

export type ForwardingJob = { readonly root: string; readonly device: 'memory' | 'kernel' };

const FRAME_BYTES = 60;
const { root, device } = workerData as ForwardingJob;
const { Arena: ArenaClass } = (await import(
  `${root}/arena/arena.js`
)) as typeof import('../../src/arena/arena.ts');
const { SystemClock } = (await import(
  `${root}/engine/clock.js`
)) as typeof import('../../src/engine/clock.ts');
const { INTERFACE_UP } = (await import(
  `${root}/engine/counters.js`
)) as typeof import('../../src/engine/counters.ts');
const { DataPlane } = (await import(
  `${root}/engine/data-plane.js`
)) as typeof import('../../src/engine/data-plane.ts');
const { CLEAR_LINK } = (await import(
  `${root}/link/settings.js`
)) as typeof import('../../src/link/settings.ts');
const libc = (await import(`${root}/sys/libc.js`)) as typeof import('../../src/sys/libc.ts');

/** Gives as many frames as it is told to, and takes any. */
interface Source extends Device {
  left: number;
}

class MemorySource implements Source {
  readonly fd = -1;
  readonly offload = false;
  left = 0;
  readonly #arena: Arena;
  readonly #frame: Uint8Array = new Uint8Array(FRAME_BYTES);

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  read(offset: number): number {
    if (this.left === 0) return 0;
    this.left--;
    this.#arena.u8.set(this.#frame, offset);
    return FRAME_BYTES;
  }

  write(_offset: number, length: number): number {
    return length;
  }

  writeParts(): number {
    throw new Error('a device without offload');
  }
}

class KernelSource implements Source {
  readonly fd: number = libc.open('/dev/zero', libc.O_RDWR);
  readonly offload = false;
  left = 0;
  readonly #sink: number = libc.open('/dev/null', libc.O_RDWR);
  readonly #base: number;

  constructor(arena: Arena) {
    this.#base = libc.addressOf(arena.u8);
  }

  read(offset: number): number {
    if (this.left === 0) return 0;
    this.left--;
    return libc.read(this.fd, this.#base + offset, FRAME_BYTES);
  }

  write(offset: number, length: number): number {
    return libc.write(this.#sink, this.#base + offset, length);
  }

  writeParts(): number {
    throw new Error('a device without offload');
  }
}

const arena = ArenaClass.create({
  workers: 1,
  interfaces: 2,
  directions: 2,
  descriptors: 16,
  slotsPerWorker: 1024,
  slotBytes: 1536,
  superFramesPerWorker: 0,
  heapBytes: 65_536,
});
const clock = new SystemClock(() => {});
const plane = new DataPlane(arena, 0, clock, () => {});
const source: Source = device === 'memory' ? new MemorySource(arena) : new KernelSource(arena);
const [near, far] = [plane.addPort(0, 1500, true, [0]), plane.addPort(1, 1500, true, [0])];
for (const port of [near, far]) {
  port.device = source;
  arena.f64[arena.interfaceCounters(port.index) + INTERFACE_UP] = 1;
}
plane.addLink(0, 0, 1, CLEAR_LINK, 1, 'bench/forward');

parentPort!.on('message', (frames: number) => {
  source.left = frames;
  const startNs = threadCpuNs();
  while (plane.receive(near) > 0);
  parentPort!.postMessage((threadCpuNs() - startNs) / frames);
});
