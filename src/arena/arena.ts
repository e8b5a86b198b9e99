/**
 * The arena: the one block of memory that all threads share.
 *
 * It is a shared WebAssembly.Memory, so that compiled filters can read frames where they are. It is made whole at
 * the start and never grows; the system gives pages only to what is touched, so its size costs address space, not
 * memory. Sections, in this order:
 *
 *   threads      one record per thread: is it alive, how far is it with commands
 *   mailboxes    one per worker: the command being given to it (engine/mailbox.ts)
 *   bpfIfs       one record per interface (bpf/layout.ts)
 *   descriptors  one record per BPF descriptor (bpf/layout.ts)
 *   interfaces   counters per interface and worker, and state per interface (engine/counters.ts)
 *   directions   counters per link direction (link/counters.ts)
 *   delayErrors  one histogram per link direction (engine/histogram.ts)
 *   switches     counters of each switch (switch/counters.ts)
 *   macTables    what each switch has learned (switch/mac-table.ts)
 *   workers      what each worker says of itself (engine/counters.ts)
 *   matches      one area per worker: what its compiled filters found in the frame at hand (bpf/compiled.ts)
 *   frames       one pool of frame slots per worker (engine/frame-pool.ts)
 *   superFrames  one pool of super-frames per worker (engine/super-frames.ts)
 *   decisions    one ring per worker: what its links decided, while that is recorded (decisions/ring.ts)
 *   heap         programs and capture buffers; the control thread allocates (arena/heap.ts)
 *
 * Each section's records say who writes and who reads them, and under which lock.
 */
import { MATCH_BYTES } from '../../vm/fused.ts';

/** How much of everything an arena has room for. */
export type Capacity = {
  readonly workers: number;
  readonly interfaces: number;
  readonly directions: number;
  readonly descriptors: number;
  /** None unless said. */
  readonly switches?: number;
  readonly slotsPerWorker: number;
  /** Bytes of one frame slot, a multiple of 64. */
  readonly slotBytes: number;
  readonly superFramesPerWorker: number;
  /** None unless said; a power of two. */
  readonly decisionsPerWorker?: number;
  readonly heapBytes: number;
};

/** Byte sizes of the records. */
export const THREAD_BYTES = 64;
export const MAILBOX_BYTES = 1_048_576;
export const BPF_IF_BYTES = 64;
export const DESCRIPTOR_BYTES = 192;
export const INTERFACE_BYTES = 64;
export const DIRECTION_BYTES = 640;
export const DELAY_ERROR_BYTES = 192;
export const WORKER_BYTES = 256;
export const SWITCH_BYTES = 64;
export const MAC_TABLE_BYTES = 131_072;
export const DECISION_BYTES = 40;
const DECISION_RING_HEAD = 64;

/** A shared `WebAssembly.Memory`. Named without the global, which not every consumer's types have. */
type SharedMemory = { readonly buffer: SharedArrayBuffer };

/** What a thread needs to find its way in an arena that another thread made; goes through structured clone. */
export type ArenaHandle = { readonly memory: SharedMemory; readonly capacity: Capacity };

/** The largest frame the kernel passes on whole is 64 KiB and its link header; its virtio_net_hdr comes in addition. */
export const SUPER_FRAME_BYTES: number = 65_536 + 256;

const PAGE = 65_536;

/** Words of a thread record; the thread's number is its index. Thread 0 does not exist: 0 is "nobody" in a lock. */
export const THREAD_STATE = 0; // written by the control thread; read by whoever waits for a lock this thread holds
export const THREAD_STOP = 1; // set by the control thread when the process ends: leave at once
export const THREAD_COMMAND = 2; // written by the control thread: number of the newest command
export const THREAD_ACK = 3; // written by the worker: number of the newest command it has carried out
export const THREAD_EVENT = 4; // incremented by the worker when it has news for the control thread

export const THREAD_ALIVE = 1;
export const THREAD_DEAD = 2;

/** Thread number of the control thread; worker i has number FIRST_WORKER + i. */
export const CONTROL_THREAD = 1;
export const FIRST_WORKER = 2;

export class Arena {
  readonly memory: SharedMemory;
  readonly capacity: Capacity;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** Byte offsets of the sections. */
  readonly threads: number;
  readonly mailboxes: number;
  readonly bpfIfs: number;
  readonly descriptors: number;
  readonly interfaces: number;
  readonly directions: number;
  readonly delayErrors: number;
  readonly switches: number;
  readonly macTables: number;
  readonly workers: number;
  readonly matches: number;
  readonly frames: number;
  readonly superFrames: number;
  readonly decisions: number;
  readonly heap: number;

  private constructor(capacity: Capacity, memory?: SharedMemory) {
    let at = 0;
    const section = (bytes: number): number => {
      const start = at;
      at = Math.ceil((at + bytes) / 64) * 64;
      return start;
    };
    this.capacity = capacity;
    this.threads = section((FIRST_WORKER + capacity.workers) * THREAD_BYTES);
    this.mailboxes = section(capacity.workers * MAILBOX_BYTES);
    this.bpfIfs = section(capacity.interfaces * BPF_IF_BYTES);
    this.descriptors = section(capacity.descriptors * DESCRIPTOR_BYTES);
    this.interfaces = section(capacity.interfaces * capacity.workers * INTERFACE_BYTES);
    this.directions = section(capacity.directions * DIRECTION_BYTES);
    this.delayErrors = section(capacity.directions * DELAY_ERROR_BYTES);
    this.switches = section((capacity.switches ?? 0) * SWITCH_BYTES);
    this.macTables = section((capacity.switches ?? 0) * MAC_TABLE_BYTES);
    this.workers = section(capacity.workers * WORKER_BYTES);
    this.matches = section(capacity.workers * capacity.descriptors * MATCH_BYTES);
    this.frames = section(capacity.workers * capacity.slotsPerWorker * capacity.slotBytes);
    this.superFrames = section(capacity.workers * capacity.superFramesPerWorker * SUPER_FRAME_BYTES);
    this.decisions = section(capacity.workers * this.#decisionRingBytes);
    this.heap = section(capacity.heapBytes);
    const pages = Math.ceil(at / PAGE);
    // Offsets are kept in int32 fields.
    if (at >= 2 ** 31) throw new RangeError(`an arena of ${at} bytes does not fit into 2 GiB`);
    this.memory = memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.u8 = new Uint8Array(this.memory.buffer);
    this.i32 = new Int32Array(this.memory.buffer);
    this.f64 = new Float64Array(this.memory.buffer);
  }

  /** Makes an arena, all zero. Throws RangeError when it would exceed 2 GiB or the system refuses the memory. */
  static create(capacity: Capacity): Arena {
    return new Arena(capacity);
  }

  /** The same arena, seen from another thread. */
  static open(handle: ArenaHandle): Arena {
    return new Arena(handle.capacity, handle.memory);
  }

  /** Room for decisions of each worker. */
  get decisionsPerWorker(): number {
    return this.capacity.decisionsPerWorker ?? 0;
  }

  /** Byte offset of a worker's ring of decisions. */
  decisionRing(worker: number): number {
    return this.decisions + worker * this.#decisionRingBytes;
  }

  get #decisionRingBytes(): number {
    return DECISION_RING_HEAD + this.decisionsPerWorker * DECISION_BYTES;
  }

  get handle(): ArenaHandle {
    return { memory: this.memory, capacity: this.capacity };
  }

  /** Index in `i32` of a field of a thread's record. */
  threadWord(thread: number, field: number): number {
    return (this.threads + thread * THREAD_BYTES) / 4 + field;
  }

  /** Index in `i32` of an interface's bpf_if record. */
  bpfIfWord(interfaceIndex: number): number {
    return (this.bpfIfs + interfaceIndex * BPF_IF_BYTES) >>> 2;
  }

  /** Index in `i32` of a descriptor's record. */
  descriptorWord(descriptor: number): number {
    return (this.descriptors + descriptor * DESCRIPTOR_BYTES) >>> 2;
  }

  /** Index in `f64` of what a worker counts of an interface; the interface's state stands with the first worker's. */
  interfaceCounters(interfaceIndex: number, worker = 0): number {
    return (this.interfaces + (interfaceIndex * this.capacity.workers + worker) * INTERFACE_BYTES) >>> 3;
  }

  /** Index in `f64` of the delay errors of a link direction. */
  delayError(direction: number): number {
    return (this.delayErrors + direction * DELAY_ERROR_BYTES) >>> 3;
  }

  /** Index in `f64` of a worker's counters. */
  workerCounters(worker: number): number {
    return (this.workers + worker * WORKER_BYTES) >>> 3;
  }

  /** Byte offset of a worker's match area: room for one match of every descriptor. */
  matchArea(worker: number): number {
    return this.matches + worker * this.capacity.descriptors * MATCH_BYTES;
  }

  /** Byte offset of what a switch has learned. */
  macTable(index: number): number {
    return this.macTables + index * MAC_TABLE_BYTES;
  }

  /** The counters of a switch, as a view. */
  switchCounters(index: number): Float64Array {
    return new Float64Array(this.memory.buffer, this.switches + index * SWITCH_BYTES, SWITCH_BYTES / 8);
  }

  /** Index in `i32` of how far a direction is on its way to another worker (engine/handover.ts). */
  handoverWord(direction: number): number {
    return (this.directions + (direction + 1) * DIRECTION_BYTES - 16) >>> 2;
  }

  /** Index in `f64` of the time of the last frame of the worker that has left it. */
  handoverTime(direction: number): number {
    return (this.directions + (direction + 1) * DIRECTION_BYTES - 8) >>> 3;
  }

  /** The counters of a link direction, as a view. */
  directionCounters(direction: number): Float64Array {
    return new Float64Array(
      this.memory.buffer,
      this.directions + direction * DIRECTION_BYTES,
      DIRECTION_BYTES / 8,
    );
  }
}
