/**
 * A thread of race-2006.test.ts: shows frames, or attaches and detaches, by the protocol that workerData names.
 * Runs until the stop word is set. Posts what it did, and what went wrong.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { dist, job, handle, self, words } = workerData;
const load = (file) => import(`${dist}/${file}`);
const { Arena } = await load('src/arena/arena.js');
const { lock, unlock } = await load('src/arena/mutex.js');
const { bpfTap, bpfPeersPresent } = await load('src/bpf/bpf-if.js');
const arena = Arena.open(handle);
const { i32 } = arena;

/** ifp->if_bpf of 2006: the word index of the listener's record, 0 for null. */
const { ifBpf, record, lockWord, stop, alive, poison } = words;

const jobs = {
  /** BPF_TAP(ifp, m): if (ifp->if_bpf) bpf_tap(ifp->if_bpf, m). The pointer is read twice. */
  oldTapper() {
    let tapped = 0;
    while (Atomics.load(i32, stop) === 0) {
      if (Atomics.load(i32, ifBpf) === 0) continue;
      const found = Atomics.load(i32, ifBpf);
      if (found === 0) return { tapped, panic: 'null pointer' };
      lock(arena, lockWord, self);
      const value = i32[found];
      unlock(arena, lockWord);
      if (value !== alive) return { tapped, panic: 'freed memory' };
      tapped++;
    }
    return { tapped };
  },

  /** bpf_attachd() and bpf_detachd(): both under the lock, which is of no help. */
  oldControl() {
    let cycles = 0;
    while (Atomics.load(i32, stop) === 0) {
      lock(arena, lockWord, self);
      i32[record] = alive;
      Atomics.store(i32, ifBpf, record);
      unlock(arena, lockWord);
      lock(arena, lockWord, self);
      Atomics.store(i32, ifBpf, 0);
      i32[record] = poison;
      unlock(arena, lockWord);
      cycles++;
    }
    return { cycles };
  },

  newTapper() {
    const stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };
    const frame = arena.frames + (self - 2) * 2048;
    let tapped = 0;
    while (Atomics.load(i32, stop) === 0) {
      if (!bpfPeersPresent(arena, 0)) continue;
      bpfTap(arena, self, 0, frame, 64, 1, stamp);
      tapped++;
    }
    return { tapped };
  },
};

const result = jobs[job]();
// Who panics takes the machine with it.
Atomics.store(i32, stop, 1);
parentPort.postMessage(result);
