/**
 * A thread that shows a TCP frame to a number of descriptors with the filter `tcp port 80`. Their buffers are emptied
 * by the same thread when they are nearly full, which takes two stores. Answers each number of frames with the
 * nanoseconds of CPU time that one took.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Arena, CONTROL_THREAD } from '../../src/arena/arena.ts';
import { Heap } from '../../src/arena/heap.ts';
import { bpfTap, versionOf } from '../../src/bpf/bpf-if.ts';
import { release, rotate } from '../../src/bpf/buffers.ts';
import type { CompiledFilters } from '../../src/bpf/compiled.ts';
import { DescriptorTable } from '../../src/bpf/descriptor-table.ts';
import { DIRECTION_IN, RECORD_HEADER } from '../../src/bpf/record.ts';
import { compileFilter, encodeFused, instantiateFused } from '../../vm/index.ts';
import { attachOptions } from './attach.ts';
import { threadCpuNs } from './cpu-time.ts';

export type DeliveryJob = {
  readonly engine: 'wasm' | 'interpreter';
  readonly frameBytes: number;
  readonly descriptors: number;
};

const { engine, frameBytes, descriptors } = workerData as DeliveryJob;
const BUFFER_BYTES = 131_072;
const capacity = { workers: 1, interfaces: 1, directions: 1, descriptors: 64 };
const arena = Arena.create({
  ...capacity,
  slotsPerWorker: 1,
  slotBytes: 1536,
  superFramesPerWorker: 0,
  heapBytes: 64 * 2 ** 20,
});
const table = new DescriptorTable(arena, new Heap(arena.heap, arena.capacity.heapBytes));
const program = compileFilter('tcp port 80');
const records: number[] = [];
for (let i = 0; i < descriptors; i++) {
  const to = { name: 'bench', index: 0, generation: 0, linkType: 1, mtu: 1500, write: async () => {} };
  const descriptor = await table.attach(to, attachOptions(program, BUFFER_BYTES));
  records.push(descriptor.filter.record);
}

/** An IPv4 frame with TCP from port 1024 to port 80. */
const frame = new Uint8Array(frameBytes);
frame.set([0x08, 0x00, 0x45], 12);
frame[23] = 6;
frame.set([4, 0, 0, 80], 34);
arena.u8.set(frame, arena.frames);

async function compiledFilters(): Promise<CompiledFilters> {
  const bytes = encodeFused(
    records.map(() => program),
    { shared: true },
  );
  return {
    version: versionOf(arena, 0),
    match: instantiateFused(await WebAssembly.compile(bytes), arena.memory),
    descriptors: Int32Array.from(records),
    matchArea: arena.matchArea(0),
  };
}
const compiled = engine === 'wasm' ? await compiledFilters() : undefined;
const stamp = { seconds: 1, nanoseconds: 2, uptimeSeconds: 3, uptimeNanoseconds: 4 };
/** Records that a buffer has room for. */
const perBuffer = Math.floor(BUFFER_BYTES / (RECORD_HEADER + frameBytes + 8));

function run(frames: number): void {
  for (let sent = 0; sent < frames; ) {
    const batch = Math.min(perBuffer, frames - sent);
    for (let i = 0; i < batch; i++) {
      bpfTap(arena, CONTROL_THREAD, 0, arena.frames, frameBytes, DIRECTION_IN, stamp, compiled);
    }
    sent += batch;
    for (const record of records) {
      rotate(arena, record);
      release(arena, record);
    }
  }
}

parentPort!.on('message', (frames: number) => {
  const before = table.list().reduce((sum, each) => sum + each.status().accepted - each.status().dropped, 0);
  const startNs = threadCpuNs();
  run(frames);
  const nanoseconds = threadCpuNs() - startNs;
  const after = table.list().reduce((sum, each) => sum + each.status().accepted - each.status().dropped, 0);
  if (after - before !== frames * descriptors) throw new Error(`${after - before} frames were delivered`);
  parentPort!.postMessage(nanoseconds / frames);
});
