/**
 * Links of the build that it is told to take, all alike, on a virtual clock: frames are offered to each in turn, one a
 * microsecond. Answers each number of frames with the nanoseconds of CPU time that one of them took, from the offer to
 * the far end.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { threadCpuNs } from '../bpf/cpu-time.ts';
import { RandomOrder } from './random-order.ts';

export type LinkJob = {
  /** The folder src/ of a build. */
  readonly root: string;
  /** As text. */
  readonly impairment: string;
  readonly links: number;
  /** Room for so many frames in flight. */
  readonly slots: number;
  /** Without timers: so many frames wait, and leave in random order. */
  readonly unordered?: number;
};

const FRAME_BYTES = 1000;
const GAP_NS = 1000;
const ETHERNET = 1;

const { root, impairment, links, slots, unordered } = workerData as LinkJob;
const load = async <Module>(file: string): Promise<Module> => (await import(`${root}/${file}`)) as Module;
const { Arena } = await load<typeof import('../../src/arena/arena.ts')>('arena/arena.js');
const { FramePool } = await load<typeof import('../../src/engine/frame-pool.ts')>('engine/frame-pool.js');
const { Scheduler } = await load<typeof import('../../src/engine/scheduler.ts')>('engine/scheduler.js');
const { LinkDirection } = await load<typeof import('../../src/link/direction.ts')>('link/direction.js');
const { parseImpairment } = await load<typeof import('../../src/link/impairment.ts')>('link/impairment.js');
const { createRandom } = await load<typeof import('../../src/link/random.ts')>('link/random.js');
const { CLEAR_LINK } = await load<typeof import('../../src/link/settings.ts')>('link/settings.js');

const arena = Arena.create({
  workers: 1,
  interfaces: 1,
  directions: links,
  descriptors: 1,
  slotsPerWorker: slots,
  slotBytes: 1536,
  superFramesPerWorker: 0,
  heapBytes: 64,
});
const pool = new FramePool(arena, 0);
const scheduler = new Scheduler(slots);
const order = unordered === undefined ? undefined : new RandomOrder(unordered);
const settings = { ...CLEAR_LINK, ...parseImpairment(impairment) };
const directions = Array.from(
  { length: links },
  (_, number) =>
    new LinkDirection(
      {
        frames: pool,
        timers: order ?? scheduler.of(number),
        counters: arena.directionCounters(number),
        linkType: ETHERNET,
        random: (stage) => createRandom(number, stage),
        deliver: () => undefined,
        dropped: () => {},
        release: (frame) => pool.release(frame),
      },
      settings,
    ),
);

let nowNs = 0;
let turn = 0;

function carry(frames: number): void {
  for (let i = 0; i < frames; i++) {
    nowNs += GAP_NS;
    scheduler.run(nowNs);
    const slot = pool.take(turn);
    if (slot === -1) throw new Error(`${impairment}: more than ${slots} frames are in flight`);
    pool.length[slot] = FRAME_BYTES;
    directions[turn]!.offer(slot, nowNs);
    turn = turn + 1 === links ? 0 : turn + 1;
  }
}

parentPort!.on('message', (frames: number) => {
  const startNs = threadCpuNs();
  carry(frames);
  parentPort!.postMessage((threadCpuNs() - startNs) / frames);
});
