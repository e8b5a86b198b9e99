/**
 * bpf_if under stress on real threads: four workers at full speed, descriptors attached, detached, filtered anew and
 * closed under their readers, an interface removed and made again, all at once.
 *
 * STRESS_CYCLES is how often descriptors are attached and detached; 5,000 unless set.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished } from 'vitest';
import { Arena, FIRST_WORKER, THREAD_ALIVE, THREAD_STATE } from '../../src/arena/arena.ts';
import { Heap } from '../../src/arena/heap.ts';
import type { Descriptor } from '../../src/bpf/descriptor.ts';
import { DescriptorTable } from '../../src/bpf/descriptor-table.ts';
import { frames } from '../../src/bpf/record.ts';
import { BpfError, CONTROL_OWNER } from '../../src/bpf/types.ts';
import { Topology } from '../../src/daemon/topology.ts';
import type { PlaneHost } from '../../src/engine/host.ts';
import { CommandSender } from '../../src/engine/mailbox.ts';
import { assemble } from '../../vm/index.ts';
import { distPath, ROOT } from '../helpers/dist.ts';
import { memoryInterface, pairLab } from '../helpers/lab.ts';

distPath('src/bpf/bpf-if.js');

const CYCLES = Number(process.env.STRESS_CYCLES ?? 5_000);
const WORKERS = 4;
/** How often at least the interface is removed and made again. */
const REMAKES = 10;
/** Tasks that attach and detach at the same time. */
const TASKS = 16;
const MIB = 2 ** 20;

const ALL = assemble('ret #16');
const ODD = assemble('ldb [4]\njset #1, yes, no\nyes: ret #16\nno: ret #0');
const EVEN = assemble('ldb [4]\njset #1, no, yes\nyes: ret #16\nno: ret #0');

/** What a frame of stress.mjs says. */
type Shown = { readonly worker: number; readonly number: number; readonly mtu: number };

function* shownIn(batch: Uint8Array): Generator<Shown> {
  for (const { bytes } of frames(batch)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    yield { worker: view.getInt32(0, true), number: view.getInt32(4, true), mtu: view.getInt32(8, true) };
  }
}

function setUp() {
  const capacity = { workers: WORKERS, interfaces: 3, directions: 2, descriptors: 64 };
  const arena = Arena.create({
    ...capacity,
    slotsPerWorker: 1,
    slotBytes: 2048,
    superFramesPerWorker: 0,
    heapBytes: 128 * MIB,
  });
  const words = { stop: arena.heap / 4, consumed: arena.heap / 4 + 16, window: 40_000 };
  const heap = new Heap(arena.heap + 4096, arena.capacity.heapBytes - 4096);
  const table = new DescriptorTable(arena, heap);
  // No room: workers show nothing before all who stay are attached.
  Atomics.store(arena.i32, words.consumed, -words.window);
  const threads = Array.from({ length: WORKERS }, (_, worker) => {
    Atomics.store(arena.i32, arena.threadWord(FIRST_WORKER + worker, THREAD_STATE), THREAD_ALIVE);
    const workerData = { dist: `${ROOT}/dist`, handle: arena.handle, worker, words };
    const thread = new Worker(new URL('./stress.mjs', import.meta.url), { workerData });
    return new Promise<number>((resolve, reject) => thread.on('message', resolve).on('error', reject));
  });
  const stop = (): void => void Atomics.store(arena.i32, words.stop, 1);
  onTestFinished(stop);
  // Between two frames these workers look for commands by themselves.
  const senders = threads.map((_, worker) => new CommandSender(arena, worker, () => {}));
  const host: PlaneHost = {
    send: (worker, commands) => senders[worker]!.send(commands),
    install: async () => true,
    close: async () => {},
  };
  const lab = { ...pairLab(), nodes: [], links: [], virtual: false, workers: WORKERS };
  const topology = new Topology(arena, lab, host, (index) => table.detachAll(index), {});
  const attach = (name: string, program = ALL, bufferBytes = 4096): Promise<Descriptor> => {
    const entry = topology.registry.get(name);
    if (!entry) throw new BpfError('ENXIO', `there is no interface ${name}`);
    const attachment = { ...entry, mtu: 1500, write: async () => {}, inject: async () => {} };
    const options = { filter: '', program, direction: 'inout', immediate: false, readTimeoutMs: 1 } as const;
    return table.attach(attachment, { ...options, bufferBytes, owner: CONTROL_OWNER });
  };
  return { arena, words, heap, table, topology, attach, stop, running: Promise.all(threads) };
}

it('delivers every frame once to who is attached throughout, and counts add up', async () => {
  const { arena, words, heap, table, topology, attach, stop, running } = setUp();
  await topology.addInterface({ ...memoryInterface('steady'), mtu: 100 });
  const consumed = new Int32Array(WORKERS);
  const readers: Promise<number[]>[] = [];
  /** Reads a descriptor to its end; each worker's frames must come in order, none twice. Counts them. */
  const follow = (descriptor: Descriptor, onBatch: (last: number[]) => void = () => {}): void => {
    const last = new Array(WORKERS).fill(-1);
    const count = new Array(WORKERS).fill(0);
    const read = async (): Promise<number[]> => {
      for (let batch = await descriptor.read(); batch; batch = await descriptor.read()) {
        for (const { worker, number } of shownIn(batch)) {
          if (number <= last[worker]) throw new Error(`worker ${worker}: ${number} after ${last[worker]}`);
          last[worker] = number;
          count[worker]++;
        }
        onBatch(last);
      }
      return count;
    };
    readers.push(read());
  };
  const every = await attach('steady:eth0', ALL, 16 * MIB);
  const odd = await attach('steady:eth0', ODD, 16 * MIB);
  const lossy = await attach('steady:eth0', ALL, 4096);
  const swapped = await attach('steady:eth0', ODD, 4096);
  follow(every, (last) => {
    last.forEach((number, worker) => {
      consumed[worker] = number + 1;
    });
    Atomics.store(arena.i32, words.consumed, Math.min(...consumed));
  });
  for (const each of [odd, lossy, swapped]) follow(each);

  Atomics.store(arena.i32, words.consumed, 0);

  let cycles = 0;
  let incarnations = 0;
  let failed = false;
  const isOver = (): boolean => failed || (cycles >= CYCLES && incarnations >= REMAKES);
  /** One task that fails ends the others. */
  const task = (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => {
      failed = true;
      throw error;
    });
  /** Attaches and detaches, mostly with a reader waiting, on either interface. */
  const comeAndGo = async (number: number): Promise<void> => {
    for (let i = 0; !isOver(); i++) {
      const name = number % 4 === 0 ? 'churn:eth0' : 'steady:eth0';
      try {
        const descriptor = await attach(name);
        const reading = i % 2 === 0 ? descriptor.read() : undefined;
        await descriptor.close();
        await reading;
        cycles++;
        // Uncontended all that takes one turn of the event loop, in which nothing else would happen.
        if (i % 4 === 0) await turn();
        const { received, accepted, dropped } = descriptor.status();
        expect(accepted).toBe(received);
        expect(dropped).toBeLessThanOrEqual(accepted);
      } catch (error) {
        if (!(error instanceof BpfError && error.code === 'ENXIO')) throw error;
        await turn();
      }
    }
  };
  /** Removes an interface and makes it again: what is attached to one never sees a frame of another. */
  const remake = async (): Promise<void> => {
    while (!isOver()) {
      const mtu = 200 + (incarnations++ % 1000);
      await topology.addInterface({ ...memoryInterface('churn'), mtu });
      const descriptor = await attach('churn:eth0', ALL, 65_536);
      const batch = await descriptor.read();
      await topology.removeInterface('churn:eth0');
      for (let next = batch; next; next = await descriptor.read()) {
        for (const shown of shownIn(next)) if (shown.mtu !== mtu) expect(shown.mtu).toBe(mtu);
      }
      await descriptor.close();
    }
  };
  const swap = async (): Promise<void> => {
    for (let i = 0; !isOver(); i++) {
      await swapped.setFilter('', i % 2 === 0 ? EVEN : ODD, true);
      await turn();
    }
  };
  const memory: number[] = [];
  const watchMemory = async (): Promise<void> => {
    for (const part of [0.5, 1]) {
      while (cycles < part * CYCLES && !failed) await new Promise((resolve) => setTimeout(resolve, 5));
      memory.push(liveBytes());
    }
  };
  const coming = Array.from({ length: TASKS }, (_, number) => comeAndGo(number));
  await Promise.all([...coming, remake(), swap(), watchMemory()].map(task));
  stop();
  const shown = await running;
  await table.detachAll(topology.registry.get('steady:eth0')!.index);
  const [everyCount, oddCount, lossyCount, swappedCount] = await Promise.all(readers);

  const total = sum(shown);
  expect(total).toBeGreaterThan(CYCLES);
  expect(everyCount).toEqual(shown);
  expect(oddCount).toEqual(shown.map((count) => Math.floor(count / 2)));
  const counts = [
    [every, total, everyCount],
    [odd, sum(shown.map((count) => Math.floor(count / 2))), oddCount],
    [lossy, total, lossyCount],
    [swapped, undefined, swappedCount],
  ] as const;
  for (const [descriptor, expected, delivered] of counts) {
    const { received, accepted, dropped } = descriptor.status();
    expect(received).toBe(total);
    if (expected !== undefined) expect(accepted).toBe(expected);
    expect(sum(delivered!) + dropped).toBe(accepted);
    await descriptor.close();
  }
  expect(heap.usedBytes).toBe(0);
  expect(table.list()).toEqual([]);
  expect(memory[1]! - memory[0]!).toBeLessThan(8 * MIB);
}, 120_000);

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** Memory in use after a full collection. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
