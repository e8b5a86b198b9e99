/** Counts in shared memory, with or without the lock of bpf_if 0. */
import { parentPort, workerData } from 'node:worker_threads';
import { Arena, type ArenaHandle } from '../../src/arena/arena.ts';
import { lock, unlock } from '../../src/arena/mutex.ts';
import { IF_LOCK } from '../../src/bpf/layout.ts';
import { threadCpuNs } from './cpu-time.ts';

/** Nanoseconds that one took: of CPU time, and on the clock on the wall. */
export type LockAnswer = { readonly cpuNs: number; readonly elapsedNs: number };

export type LockJob = { readonly arena: ArenaHandle; readonly self: number };

const { arena: handle, self } = workerData as LockJob;
const arena = Arena.open(handle);
const word = arena.bpfIfWord(0) + IF_LOCK;
const counter = arena.heap >>> 2;

function count(times: number): void {
  for (let i = 0; i < times; i++) arena.i32[counter]!++;
}

function countLocked(times: number): void {
  for (let i = 0; i < times; i++) {
    lock(arena, word, self);
    arena.i32[counter]!++;
    unlock(arena, word);
  }
}

parentPort!.on('message', ({ times, locked }: { times: number; locked: boolean }) => {
  const [cpuNs, startNs] = [threadCpuNs(), process.hrtime.bigint()];
  if (locked) countLocked(times);
  else count(times);
  const elapsedNs = Number(process.hrtime.bigint() - startNs);
  parentPort!.postMessage({
    cpuNs: (threadCpuNs() - cpuNs) / times,
    elapsedNs: elapsedNs / times,
  } satisfies LockAnswer);
});
