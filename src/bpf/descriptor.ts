/**
 * Descriptors: the control thread's side of bpf(4). Opening, reading, changing and closing them.
 *
 * All changes of the shared record happen under the bpf_if lock; memory is allocated before it is taken and freed
 * after it is given back. Every `await` is a window: after it, `#attached` and `#closed` are looked at again.
 */
import type { Program } from '../../vm/index.ts';
import { type Arena, CONTROL_THREAD } from '../arena/arena.ts';
import type { Heap } from '../arena/heap.ts';
import { waitWhile } from '../arena/wait.ts';
import { detach, framesSeen, newVersion, withBpfIf } from './bpf-if.ts';
import {
  hasHold,
  holdLength,
  holdOffset,
  isStoreEmpty,
  release,
  reset,
  rotate,
  wakeReader,
} from './buffers.ts';
import {
  D_ACCEPTED,
  D_BUFFER_BYTES,
  D_BUFFERS,
  D_CAPTURED_BYTES,
  D_DIRECTION,
  D_DROPPED,
  D_INSTRUCTIONS,
  D_PROGRAM,
  D_WAIT,
  WAIT_HOLD,
  WAIT_RECORD,
} from './layout.ts';
import { type Direction, directionBits } from './record.ts';
import {
  type AttachOptions,
  BpfError,
  type DescriptorHandle,
  type DescriptorStatus,
  type Owner,
} from './types.ts';

/** The interface a descriptor is opened on, as the registry knows it. */
export type Attachment = {
  readonly name: string;
  readonly index: number;
  readonly generation: number;
  readonly linkType: number;
  /** Sends a frame out of the interface. Throws BpfError. */
  readonly write: (frame: Uint8Array) => Promise<void>;
};

/** What a descriptor takes up: its record, and byte offsets in the heap, 0 for none. */
export type Room = { readonly slot: number; readonly buffers: number; readonly filter: number };

/**
 * Throws EINVAL for a program of the linux dialect: its ancillary loads ask for what a frame here does not carry.
 */
export function checkDialect(program: Program): void {
  if (program.dialect === 'bsd') return;
  throw new BpfError('EINVAL', `a descriptor takes programs of the bsd dialect, not ${program.dialect}`);
}

/** Copies a program into the heap; 0 for the empty one, undefined when there is no room. */
export function storeProgram(arena: Arena, heap: Heap, program: Program): number | undefined {
  const words = program.words;
  if (words.length === 0) return 0;
  const offset = heap.allocate(words.byteLength);
  if (offset !== undefined) arena.i32.set(words, offset >>> 2);
  return offset;
}

/** What the table wants to know of a descriptor. */
export type Events = { readonly changed: () => void; readonly closed: () => void };

export class Descriptor implements DescriptorHandle {
  readonly id: number;
  readonly interface: string;
  readonly interfaceIndex: number;
  readonly linkType: number;
  readonly owner: Owner;
  readonly closed: Promise<void>;
  readonly #arena: Arena;
  readonly #heap: Heap;
  readonly #slot: number;
  readonly #d: number;
  readonly #write: (frame: Uint8Array) => Promise<void>;
  readonly #buffers: number;
  readonly #bufferBytes: number;
  readonly #events: Events;
  /** Byte offset of the packed filter in the heap, 0 for the empty program. */
  #stored: number;
  #program: Program;
  #filter: string;
  #direction: Direction;
  #immediate: boolean;
  #readTimeoutMs: number;
  #written = 0;
  /** Frames received up to begin(), and what the interface had seen by then. */
  #receivedBefore = 0;
  #seenBefore = 0;
  #attached = true;
  #closed = false;
  /** The last status, once the record may belong to somebody else. */
  #final: DescriptorStatus | undefined;
  /** How often the buffers were emptied; a batch taken before that is no longer the hold buffer. */
  #resets = 0;
  #resolveClosed!: () => void;
  /** Readers queue up, so that two of them never share a hold buffer. */
  #lastRead: Promise<unknown> = Promise.resolve();
  #readers = 0;
  /** What #takeHold() found; one reader at a time uses it. */
  readonly #hold = { offset: 0, length: 0, wait: WAIT_RECORD as number, resets: 0, gone: false };

  /** Fills the record in `room.slot`; nobody sees it before it is attached. */
  constructor(
    arena: Arena,
    heap: Heap,
    id: number,
    to: Attachment,
    options: AttachOptions,
    room: Room,
    events: Events,
  ) {
    this.#arena = arena;
    this.#heap = heap;
    this.#slot = room.slot;
    this.#d = arena.descriptorWord(room.slot);
    this.#buffers = room.buffers;
    this.#stored = room.filter;
    this.#program = options.program;
    this.#events = events;
    this.#write = to.write;
    this.id = id;
    this.interface = to.name;
    this.interfaceIndex = to.index;
    this.linkType = to.linkType;
    this.owner = options.owner;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#bufferBytes = options.bufferBytes;
    this.#filter = options.filter;
    this.#direction = options.direction;
    this.#immediate = options.immediate;
    this.#readTimeoutMs = options.readTimeoutMs;
    const { i32 } = arena;
    const d = this.#d;
    i32.fill(0, d, arena.descriptorWord(room.slot + 1));
    i32[d + D_DIRECTION] = directionBits(options.direction);
    i32[d + D_BUFFER_BYTES] = options.bufferBytes;
    i32[d + D_BUFFERS] = room.buffers;
    i32[d + D_PROGRAM] = this.#stored;
    i32[d + D_INSTRUCTIONS] = options.program.length;
  }

  /** The read filter and the index of its record, for whoever compiles it. */
  get filter(): { readonly program: Program; readonly record: number } {
    return { program: this.#program, record: this.#d };
  }

  get attached(): boolean {
    return this.#attached;
  }

  /** From now on frames of the interface count as received. With the lock held. */
  begin(): void {
    this.#seenBefore = framesSeen(this.#arena, this.interfaceIndex, directionBits(this.#direction));
  }

  status(): DescriptorStatus {
    if (this.#final) return this.#final;
    const counter = (field: number): number => this.#arena.f64[(this.#d >>> 1) + field]!;
    // Read before what was received, so that it is never more.
    const accepted = counter(D_ACCEPTED);
    return {
      id: this.id,
      interface: this.interface,
      filter: this.#filter,
      instructions: this.#program.length,
      direction: this.#direction,
      immediate: this.#immediate,
      readTimeoutMs: this.#readTimeoutMs,
      bufferBytes: this.#bufferBytes,
      owner: this.owner,
      attached: this.#attached,
      received: this.#received(),
      accepted,
      dropped: counter(D_DROPPED),
      capturedBytes: counter(D_CAPTURED_BYTES),
      written: this.#written,
    };
  }

  async setFilter(filter: string, program: Program, keep: boolean): Promise<void> {
    checkDialect(program);
    const stored = storeProgram(this.#arena, this.#heap, program);
    if (stored === undefined) throw new BpfError('ENOBUFS', 'no room for the filter; detach something');
    const old = await this.#locked(() => {
      const { i32 } = this.#arena;
      i32[this.#d + D_PROGRAM] = stored;
      i32[this.#d + D_INSTRUCTIONS] = program.length;
      newVersion(this.#arena, this.interfaceIndex);
      if (!keep) this.#reset();
      const before = this.#stored;
      this.#stored = stored;
      this.#program = program;
      this.#filter = filter;
      return before;
    }).catch((error: unknown) => {
      this.#freeProgram(stored);
      throw error;
    });
    // Programs run under the lock, so nobody runs the old one any more.
    this.#freeProgram(old);
    this.#events.changed();
  }

  async setDirection(direction: Direction): Promise<void> {
    await this.#locked(() => {
      this.#receivedBefore = this.#received();
      this.#arena.i32[this.#d + D_DIRECTION] = directionBits(direction);
      this.#direction = direction;
      this.begin();
    });
  }

  setImmediate(immediate: boolean): void {
    this.#immediate = immediate;
    this.lookAgain();
  }

  setReadTimeout(readTimeoutMs: number): void {
    this.#readTimeoutMs = readTimeoutMs;
    this.lookAgain();
  }

  async flush(): Promise<void> {
    await this.#locked(() => this.#reset());
  }

  read(): Promise<Uint8Array | undefined> {
    this.#readers++;
    const turn = this.#lastRead
      .then(() => this.#readNext())
      .finally(() => {
        this.#readers--;
      });
    this.#lastRead = turn.catch(() => {});
    return turn;
  }

  async write(frame: Uint8Array): Promise<void> {
    if (this.#closed || !this.#attached) throw new BpfError('ENXIO', `interface ${this.interface} is gone`);
    await this.#write(frame);
    this.#written++;
  }

  /** A reader is waiting its turn while tappers have no buffer to go on with. */
  get backlogged(): boolean {
    return this.#readers > 0 && hasHold(this.#arena, this.#d);
  }

  async interfaceGone(): Promise<void> {
    await this.#detach();
  }

  async close(): Promise<void> {
    if (this.#closed) return this.closed;
    this.#closed = true;
    await this.#detach();
    // A reader that was woken must have left before the buffers can be used for something else.
    await this.#lastRead;
    this.#final = this.status();
    this.#heap.free(this.#buffers);
    this.#freeProgram(this.#stored);
    this.#events.closed();
    this.#resolveClosed();
  }

  /** Takes the record out of the list; afterwards no thread is delivering to it. */
  async #detach(): Promise<void> {
    await withBpfIf(this.#arena, CONTROL_THREAD, this.interfaceIndex, () => {
      if (this.#attached) {
        detach(this.#arena, this.interfaceIndex, this.#slot);
        this.#receivedBefore = this.#received();
        this.#attached = false;
      }
      wakeReader(this.#arena, this.#d);
    });
    this.#events.changed();
  }

  /** One batch: waits for a first record, then until the buffer is full or the read timeout is over. */
  async #readNext(): Promise<Uint8Array | undefined> {
    const hold = this.#hold;
    let handOver = false;
    while (!this.#closed) {
      await this.#takeHold(handOver);
      if (hold.offset !== 0) {
        const batch = this.#closed ? undefined : await this.#copyHold();
        if (batch) return batch;
        continue; // flushed meanwhile
      }
      if (this.#closed || hold.gone) return undefined;
      const timeoutMs = hold.wait === WAIT_HOLD && this.#readTimeoutMs > 0 ? this.#readTimeoutMs : undefined;
      const woken = await waitWhile(this.#arena.i32, this.#d + D_WAIT, hold.wait, timeoutMs);
      handOver = woken === 'timed-out';
    }
    return undefined;
  }

  /**
   * Looks for a hold buffer, after rotating if `handOver` and there is something in the store. When there is none,
   * `offset` is 0 and `wait` is what the record now says its reader waits for.
   */
  #takeHold(handOver: boolean): Promise<void> {
    const [arena, d, hold] = [this.#arena, this.#d, this.#hold];
    return withBpfIf(arena, CONTROL_THREAD, this.interfaceIndex, () => {
      const empty = isStoreEmpty(arena, d);
      // With the lock held: what was seen before waiting for it may have changed meanwhile.
      hold.gone = !this.#attached;
      if ((handOver || this.#immediate || hold.gone) && !empty) rotate(arena, d);
      hold.offset = hasHold(arena, d) ? holdOffset(arena, d) : 0;
      hold.length = hold.offset === 0 ? 0 : holdLength(arena, d);
      hold.wait = empty ? WAIT_RECORD : WAIT_HOLD;
      hold.resets = this.#resets;
      if (hold.offset === 0) Atomics.store(arena.i32, d + D_WAIT, hold.wait);
    });
  }

  /** Copies the hold buffer, which nobody writes to, and gives it back; undefined when it was flushed meanwhile. */
  async #copyHold(): Promise<Uint8Array | undefined> {
    const { offset, length, resets } = this.#hold;
    if (this.#resets !== resets) return undefined;
    const batch = this.#arena.u8.slice(offset, offset + length);
    await withBpfIf(this.#arena, CONTROL_THREAD, this.interfaceIndex, () => {
      if (this.#resets === resets) release(this.#arena, this.#d);
    });
    return this.#resets === resets ? batch : undefined;
  }

  #received(): number {
    if (!this.#attached) return this.#receivedBefore;
    const seen = framesSeen(this.#arena, this.interfaceIndex, directionBits(this.#direction));
    return this.#receivedBefore + seen - this.#seenBefore;
  }

  /**
   * Has a waiting reader look again: after a change of how it reads, or when a worker has died, perhaps before it
   * could wake the reader. Does nothing after close(): the record may be somebody else's.
   */
  lookAgain(): void {
    if (!this.#closed) wakeReader(this.#arena, this.#d);
  }

  #reset(): void {
    this.#resets++;
    reset(this.#arena, this.#d);
    const counters = this.#d >>> 1;
    for (const field of [D_ACCEPTED, D_DROPPED, D_CAPTURED_BYTES]) this.#arena.f64[counters + field] = 0;
    this.#receivedBefore = 0;
    this.begin();
  }

  async #locked<T>(critical: () => T): Promise<T> {
    return withBpfIf(this.#arena, CONTROL_THREAD, this.interfaceIndex, () => {
      if (this.#closed) throw new BpfError('ENXIO', `descriptor ${this.id} is closed`);
      return critical();
    });
  }

  #freeProgram(offset: number): void {
    if (offset !== 0) this.#heap.free(offset);
  }
}
