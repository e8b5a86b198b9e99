/**
 * The race of June 2006 on real threads: the old protocol, in which the tap path tests a pointer that the last detach
 * sets to null before it is used, panics within moments; today's, under the same load, never does. What
 * test/model/bpf_2006_old.pml and bpf_if.pml show for every order of steps, this shows for those that happen.
 */
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Arena, FIRST_WORKER, THREAD_ALIVE, THREAD_STATE } from '../../src/arena/arena.ts';
import { Heap } from '../../src/arena/heap.ts';
import { bpfPeersPresent } from '../../src/bpf/bpf-if.ts';
import { DescriptorTable } from '../../src/bpf/descriptor-table.ts';
import { distPath, ROOT } from '../helpers/dist.ts';
import { EVERY_FRAME } from '../helpers/lab.ts';

distPath('src/bpf/bpf-if.js');

const TAPPERS = 2;
/** The old protocol has failed long before this, also on a busy machine. */
const PATIENCE_MS = 20_000;
/** How long the new one must hold, and how often at least a listener that got frames must go. */
const LOAD_MS = 2_000;
const DETACHES = 50;
const ALIVE = 0x600d;
const POISON = 0x0bad0bad;

type Result = { readonly tapped?: number; readonly cycles?: number; readonly panic?: string };

function setUp() {
  const capacity = { workers: TAPPERS + 1, interfaces: 1, directions: 1, descriptors: 1 };
  const arena = Arena.create({
    ...capacity,
    slotsPerWorker: 1,
    slotBytes: 2048,
    superFramesPerWorker: 0,
    heapBytes: 2 ** 20,
  });
  const own = arena.heap / 4;
  const words = {
    stop: own,
    ifBpf: own + 16,
    record: own + 32,
    lockWord: own + 48,
    alive: ALIVE,
    poison: POISON,
  };
  onTestFinished(() => {
    Atomics.store(arena.i32, words.stop, 1);
  });
  const start = (index: number, job: string): Promise<Result> => {
    Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER + index, THREAD_STATE), THREAD_ALIVE);
    const workerData = { dist: `${ROOT}/dist`, job, handle: arena.handle, self: FIRST_WORKER + index, words };
    const worker = new Worker(new URL('./race-2006.mjs', import.meta.url), { workerData });
    return new Promise((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
    });
  };
  /** Has the threads end after `afterMs`. */
  const stopAfter = (afterMs: number): NodeJS.Timeout =>
    setTimeout(() => Atomics.store(arena.i32, words.stop, 1), afterMs);
  const tappers = (job: string): Promise<Result>[] =>
    Array.from({ length: TAPPERS }, (_, index) => start(index, job));
  return { arena, words, start, tappers, stopAfter };
}

describe('frames while the last listener comes and goes', () => {
  it('panic the protocol before June 2006: what was tested is gone when it is used', async () => {
    const { start, tappers, stopAfter } = setUp();
    const timer = stopAfter(PATIENCE_MS);
    const results = await Promise.all([...tappers('oldTapper'), start(TAPPERS, 'oldControl')]);
    clearTimeout(timer);
    const panics = results.flatMap(({ panic }) => panic ?? []);
    expect(panics, JSON.stringify(results)).not.toEqual([]);
    expect(['null pointer', 'freed memory']).toContain(panics[0]);
  });

  it('never reach a descriptor that is gone in the protocol of today', async () => {
    const { arena, tappers, stopAfter } = setUp();
    const heap = new Heap(arena.heap + 4096, arena.capacity.heapBytes - 4096);
    const table = new DescriptorTable(arena, heap);
    const attachment = { name: 'a', index: 0, generation: 0, linkType: 1, mtu: 1500, write: async () => {} };
    const options = { ...EVERY_FRAME, immediate: false, readTimeoutMs: 0, bufferBytes: 4096 };
    // With one descriptor in the arena its record and its buffers are the same every time.
    const record = arena.i32.subarray(arena.descriptorWord(0), arena.descriptorWord(1));
    const buffers = arena.i32.subarray((arena.heap + 4096) / 4, (arena.heap + 4096 + 8192) / 4);
    const untouched = (memory: Int32Array): boolean => memory.every((word) => word === POISON);

    const running = tappers('newTapper');
    const began = performance.now();
    const isOver = (): boolean => {
      const ms = performance.now() - began;
      return (ms > LOAD_MS && underFire >= DETACHES) || ms > PATIENCE_MS;
    };
    let underFire = 0;
    while (!isOver()) {
      const descriptor = await table.attach(attachment, options);
      const start = performance.now();
      while (descriptor.status().accepted === 0 && performance.now() < start + 5);
      await descriptor.close();
      // Detached and freed: whoever still used it would read poison, and what he writes would be seen.
      record.fill(POISON);
      buffers.fill(POISON);
      await new Promise((resolve) => setImmediate(resolve));
      if (!untouched(record) || !untouched(buffers)) expect.fail('a freed descriptor was written to');
      if (descriptor.status().accepted > 0) underFire++;
    }
    stopAfter(0);
    const results = await Promise.all(running);
    expect(underFire).toBeGreaterThanOrEqual(DETACHES);
    for (const { tapped } of results) expect(tapped).toBeGreaterThan(0);
    expect(bpfPeersPresent(arena, 0)).toBe(false);
    expect(heap.usedBytes).toBe(0);
  });
});
