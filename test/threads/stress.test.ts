/**
 * bpf_if under stress on real threads: four workers at full speed, descriptors attached, detached, filtered anew and
 * closed under their readers, an interface removed and made again, all at once.
 *
 * STRESS_CYCLES is how often descriptors are attached and detached; 5,000 unless set. 100,000 took 94 s of a busy machine of two cores.
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
import { RECORD_HEADER } from '../../src/bpf/record.ts';
import { BpfError, CONTROL_OWNER } from '../../src/bpf/types.ts';
import { Topology } from '../../src/daemon/topology.ts';
import type { Command } from '../../src/engine/commands.ts';
import type { PlaneHost } from '../../src/engine/host.ts';
import { CommandSender } from '../../src/engine/mailbox.ts';
import { assemble } from '../../vm/index.ts';
import { distPath, ROOT } from '../helpers/dist.ts';
import { memoryInterface, pairLab } from '../helpers/lab.ts';

distPath('src/bpf/bpf-if.js');

const CYCLES = Number(process.env.STRESS_CYCLES ?? 5_000);
/** Of a machine that has other things to do. */
const TIMEOUT_MS = 60_000 + 20 * CYCLES;
const WORKERS = 4;
/** How often at least the interface is removed and made again. */
const REMAKES = 10;
/** Tasks that attach and detach at the same time. */
const TASKS = 16;
const MIB = 2 ** 20;

const ALL = assemble('ret #16');
const ODD = assemble('ldb [4]\njset #1, yes, no\nyes: ret #16\nno: ret #0');
const EVEN = assemble('ldb [4]\njset #1, no, yes\nyes: ret #16\nno: ret #0');

/**
 * Tells of every frame of stress.mjs in a batch. Nothing is made for a frame: whoever reads slowly here keeps the
 * workers waiting.
 */
function eachShown(batch: Uint8Array, tell: (worker: number, number: number, mtu: number) => void): void {
  const words = new Int32Array(batch.buffer, batch.byteOffset, batch.byteLength >>> 2);
  for (let at = 0; at < words.length; at += words[at]! >>> 2) {
    const frame = at + RECORD_HEADER / 4;
    tell(words[frame]!, words[frame + 1]!, words[frame + 2]!);
  }
}

/** Reads a descriptor to its end, without copies: what they take would hide what leaks. */
async function readAll(descriptor: Descriptor, onBatch: (batch: Uint8Array) => void): Promise<void> {
  for (let held = await descriptor.take(); held; held = await descriptor.take()) {
    onBatch(held.bytes);
    await held.release();
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
  const events = { onSend: (_command: Command): void => {} };
  const host: PlaneHost = {
    send: (worker, commands) => {
      for (const command of commands) events.onSend(command);
      return senders[worker]!.send(commands);
    },
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
  return { arena, words, heap, table, topology, events, attach, stop, running: Promise.all(threads) };
}

it(
  'delivers every frame once to who is attached throughout, and counts add up',
  async () => {
    const { arena, words, heap, table, topology, events, attach, stop, running } = setUp();
    await topology.addInterface({ ...memoryInterface('steady'), mtu: 100 });
    const consumed = new Int32Array(WORKERS);
    const readers: Promise<number[]>[] = [];
    /** Reads a descriptor to its end; each worker's frames must come in order, none twice. Counts them. */
    const follow = (descriptor: Descriptor, onBatch: (last: number[]) => void = () => {}): void => {
      const last = new Array(WORKERS).fill(-1);
      const count = new Array(WORKERS).fill(0);
      const read = async (): Promise<number[]> => {
        await readAll(descriptor, (batch) => {
          eachShown(batch, (worker, number) => {
            if (number <= last[worker]) throw new Error(`worker ${worker}: ${number} after ${last[worker]}`);
            last[worker] = number;
            count[worker]++;
          });
          onBatch(last);
        });
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
    /**
     * Removes an interface and makes it again: what is attached to one never sees a frame of another. The next takes the
     * place of the last in the turn in which that is free, and is attached to before the workers have heard of it, so
     * that it sees whoever was not waited for.
     */
    const remake = async (): Promise<void> => {
      let ending: Promise<void>[] = [];
      while (!isOver()) {
        const mtu = 200 + (incarnations++ % 1000);
        const attaching = new Promise<Descriptor>((resolve, reject) => {
          events.onSend = (command) => {
            if (command.do !== 'port') return;
            events.onSend = () => {};
            attach('churn:eth0', ALL, 65_536).then(resolve, reject);
          };
        });
        await Promise.all([...ending, topology.addInterface({ ...memoryInterface('churn'), mtu })]);
        const descriptor = await attaching;
        await descriptor.poll();
        ending = [topology.removeInterface('churn:eth0'), readIncarnation(descriptor, mtu)];
      }
      await Promise.all(ending);
    };
    const readIncarnation = async (descriptor: Descriptor, mtu: number): Promise<void> => {
      await readAll(descriptor, (batch) => {
        eachShown(batch, (_worker, _number, shown) => {
          if (shown !== mtu) throw new Error(`a frame of ${shown} on the interface that was made as ${mtu}`);
        });
      });
      await descriptor.close();
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
  },
  TIMEOUT_MS,
);

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
