/** A thread that holds, counts or taps, as told by workerData; see threads.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';

const { dist, job, handle, self } = workerData;
const load = (file) => import(`${dist}/${file}`);
const { Arena } = await load('src/arena/arena.js');
const { lock, unlock } = await load('src/arena/mutex.js');
const { bpfTap, bpfPeersPresent } = await load('src/bpf/bpf-if.js');
const arena = Arena.open(handle);

/** Word 0 of the heap is a counter that only the lock protects; word 16 is set when it is time to stop. */
const counter = arena.heap / 4;
const stop = counter + 16;

if (job === 'count') {
  for (let i = 0; i < workerData.times; i++) {
    lock(arena, workerData.word, self);
    arena.i32[counter]++;
    unlock(arena, workerData.word);
  }
} else if (job === 'die') {
  lock(arena, workerData.word, self);
} else if (job === 'tap') {
  const frame = arena.frames + (self - 2) * 2048;
  let sent = 0;
  let tapped = 0;
  while (Atomics.load(arena.i32, stop) === 0 && tapped < workerData.atMost) {
    sent++;
    if (!bpfPeersPresent(arena, 0)) continue;
    arena.i32[frame / 4] = self;
    arena.i32[frame / 4 + 1] = tapped++;
    bpfTap(arena, self, 0, frame, 64, 1, { seconds: sent, nanoseconds: 0 });
  }
  parentPort.postMessage({ sent, tapped });
}
