/** The lock and the bpf_if on real threads over shared memory. */
import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  Arena,
  CONTROL_THREAD,
  FIRST_WORKER,
  THREAD_ALIVE,
  THREAD_DEAD,
  THREAD_STATE,
} from '../../src/arena/arena.ts';
import { Heap } from '../../src/arena/heap.ts';
import { tryLock, unlock, whileLocked } from '../../src/arena/mutex.ts';
import { bpfPeersPresent } from '../../src/bpf/bpf-if.ts';
import { DescriptorTable } from '../../src/bpf/descriptor-table.ts';
import { frames } from '../../src/bpf/record.ts';
import { distPath, ROOT } from '../helpers/dist.ts';
import { EVERY_FRAME } from '../helpers/lab.ts';

distPath('src/bpf/bpf-if.js');

/** Frames that each thread taps. */
const FRAMES = 200_000;

function setUp(workers: number) {
  const capacity = { workers, interfaces: 1, directions: 1, descriptors: 64 };
  const arena = Arena.create({
    ...capacity,
    slotsPerWorker: 1,
    slotBytes: 2048,
    superFramesPerWorker: 0,
    heapBytes: 64 * 2 ** 20,
  });
  for (let i = 0; i < workers; i++) {
    Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER + i, THREAD_STATE), THREAD_ALIVE);
  }
  const start = (index: number, job: string, more: object = {}): { done: Promise<unknown> } => {
    const workerData = {
      dist: `${ROOT}/dist`,
      job,
      handle: arena.handle,
      self: FIRST_WORKER + index,
      ...more,
    };
    const worker = new Worker(new URL('./tapper.mjs', import.meta.url), { workerData });
    return {
      done: new Promise((resolve, reject) => {
        let message: unknown;
        worker.on('message', (value) => {
          message = value;
        });
        worker.on('error', reject);
        worker.on('exit', () => {
          Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER + index, THREAD_STATE), THREAD_DEAD);
          resolve(message);
        });
      }),
    };
  };
  return { arena, start };
}

describe('the mutex', () => {
  it('lets one thread in at a time, the control thread among them', async () => {
    const { arena, start } = setUp(3);
    const word = arena.bpfIfWord(0);
    const times = 50_000;
    const running = [0, 1, 2].map((index) => start(index, 'count', { word, times }).done);
    let own = 0;
    const stillRunning = Promise.all(running).then(() => false);
    while (await Promise.race([stillRunning, new Promise((resolve) => setImmediate(resolve, true))])) {
      await whileLocked(arena, word, CONTROL_THREAD, () => {
        arena.i32[arena.heap / 4]!++;
        own++;
      });
    }
    expect(own).toBeGreaterThan(0);
    expect(arena.i32[arena.heap / 4]).toBe(3 * times + own);
  });

  it('is taken over from a thread that died with it', async () => {
    const { arena, start } = setUp(2);
    const word = arena.bpfIfWord(0);
    await start(0, 'die', { word }).done;
    expect(arena.i32[word]).not.toBe(0);
    await start(1, 'count', { word, times: 10 }).done;
    expect(await whileLocked(arena, word, CONTROL_THREAD, () => arena.i32[arena.heap / 4])).toBe(10);
  });
});

describe('a thread that waits for the lock', () => {
  it('is woken when it is given back, not only when it looks again', async () => {
    const { arena, start } = setUp(1);
    const word = arena.bpfIfWord(0);
    const waits: number[] = [];
    for (let round = 0; round < 5; round++) {
      Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER, THREAD_STATE), THREAD_ALIVE);
      expect(tryLock(arena, word, CONTROL_THREAD)).toBe(true);
      const { done } = start(0, 'count', { word, times: 1 });
      // The waiter has marked the word, and has begun to sleep shortly after.
      while ((arena.i32[word]! & 0x10000) === 0) await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setTimeout(resolve, 10));
      const before = performance.now();
      unlock(arena, word);
      while (arena.i32[arena.heap / 4] === round) await new Promise((resolve) => setImmediate(resolve));
      waits.push(performance.now() - before);
      await done;
    }
    // Looking again takes 100 ms.
    expect(waits.sort((a, b) => a - b)[2]).toBeLessThan(50);
  });
});

describe('the threads of a data plane', () => {
  it('do not keep a process from ending', async () => {
    const script = `
      const { Arena } = await import('${ROOT}/dist/src/arena/arena.js');
      const { ThreadHost } = await import('${ROOT}/dist/src/engine/threads.js');
      const arena = Arena.create({ workers: 2, interfaces: 1, directions: 1, descriptors: 1, slotsPerWorker: 4, slotBytes: 2048, superFramesPerWorker: 0, heapBytes: 4096 });
      const host = new ThreadHost(arena, { onInterfacesChanged() {}, onFailure() {} });
      await host.send(0, []);
      setTimeout(() => process.exit(7), 200);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const timer = setTimeout(() => child.kill('SIGKILL'), 8_000);
    const status = await new Promise((resolve) => child.on('exit', resolve));
    clearTimeout(timer);
    expect(status).toBe(7);
  });
});

describe('a bpf_if under fire', () => {
  it('delivers every frame once, in order, to who is attached throughout, while others come and go', async () => {
    const { arena, start } = setUp(2);
    const heap = new Heap(arena.heap + 4096, arena.capacity.heapBytes - 4096);
    const table = new DescriptorTable(arena, heap);
    const attachment = { name: 'a', index: 0, generation: 0, linkType: 1, mtu: 1500, write: async () => {} };
    const options = { ...EVERY_FRAME, immediate: false, readTimeoutMs: 1, bufferBytes: 16 * 2 ** 20 };
    const constant = await table.attach(attachment, options);
    const next = [0, 0];
    const pump = (async () => {
      for (let batch = await constant.read(); batch; batch = await constant.read()) checkOrder(batch, next);
    })();
    const tappers = [0, 1].map((index) => start(index, 'tap', { atMost: FRAMES }).done);
    const stillRunning = Promise.all(tappers).then(() => false);
    let cycles = 0;
    while (await Promise.race([stillRunning, new Promise((resolve) => setImmediate(resolve, true))])) {
      const passing = await table.attach(attachment, { ...options, bufferBytes: 4096 });
      await passing.close();
      cycles++;
    }
    const counts = (await Promise.all(tappers)) as { tapped: number }[];
    await table.detachAll(0);
    await pump;
    expect(next).toEqual(counts.map((each) => each.tapped));
    expect(cycles).toBeGreaterThan(20);
    const { received, accepted, dropped } = constant.status();
    expect({ received, accepted, dropped }).toEqual({
      received: 2 * FRAMES,
      accepted: 2 * FRAMES,
      dropped: 0,
    });
    await constant.close();
    expect(bpfPeersPresent(arena, 0)).toBe(false);
    expect(heap.usedBytes).toBe(0);
  });
});

/** Each thread's frames carry its number and count up by one. */
function checkOrder(batch: Uint8Array, next: number[]): void {
  for (const { bytes } of frames(batch)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const thread = view.getInt32(0, true) - FIRST_WORKER;
    const number = view.getInt32(4, true);
    if (number !== next[thread]) expect({ thread, number }).toEqual({ thread, number: next[thread] });
    next[thread] = number + 1;
  }
}
