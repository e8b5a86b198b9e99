/**
 * Descriptors: the control thread's side of bpf(4). Changing, looking at and closing them; reader.ts reads them and
 * writer.ts writes through them.
 *
 * All changes of the shared record happen under the bpf_if lock; memory is allocated before it is taken and freed
 * after it is given back. Every `await` is a window: after it, `attached` and `closed` are looked at again.
 */
import type { Program } from '../../vm/index.ts';
import { type Arena, CONTROL_THREAD } from '../arena/arena.ts';
import type { Heap } from '../arena/heap.ts';
import { detach, framesSeen, newVersion, withBpfIf } from './bpf-if.ts';
import { holdBytes, reset, storeBytes } from './buffers.ts';
import { checkSettings } from './check-settings.ts';
import {
  D_ACCEPTED,
  D_BUFFER_BYTES,
  D_BUFFERS,
  D_CAPTURED_BYTES,
  D_DIRECTION,
  D_DROPPED,
  D_INSTRUCTIONS,
  D_PROGRAM,
  D_TIMESTAMP,
} from './layout.ts';
import { DescriptorReader } from './reader.ts';
import { type Direction, directionBits, type Timestamp, timestampBits } from './record.ts';
import {
  type AttachOptions,
  BpfError,
  type DescriptorHandle,
  type DescriptorStatus,
  type HeldBatch,
  type NamedProgram,
  type Owner,
  type ReadOptions,
} from './types.ts';
import { checkDialect, DescriptorWriter, type Outlet } from './writer.ts';

/** The interface a descriptor is opened on, as the registry knows it. */
export type Attachment = Outlet & {
  readonly index: number;
  readonly generation: number;
};

/** What a descriptor takes up: its record, and byte offsets in the heap, 0 for none. */
export type Room = { readonly slot: number; readonly buffers: number; readonly filter: number };

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
  readonly #reader: DescriptorReader;
  readonly #writer: DescriptorWriter;
  readonly #buffers: number;
  readonly #bufferBytes: number;
  readonly #events: Events;
  /** Byte offset of the packed filter in the heap, 0 for the empty program. */
  #stored: number;
  #program: Program;
  #filter: string;
  #direction: Direction;
  #promiscuous: boolean;
  #timestamp: Timestamp;
  /** Name of the BIOCLOCK state: bd_locked. */
  #locked = false;
  /** Frames received up to begin(), and what the interface had seen by then. */
  #receivedBefore = 0;
  #seenBefore = 0;
  /** The last status, once the record may belong to somebody else. */
  #final: DescriptorStatus | undefined;
  #resolveClosed!: () => void;

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
    this.id = id;
    this.interface = to.name;
    this.interfaceIndex = to.index;
    this.linkType = to.linkType;
    this.owner = options.owner;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#reader = new DescriptorReader(arena, this.#d, to.index, options.immediate, options.readTimeoutMs);
    this.#writer = new DescriptorWriter(to, options);
    this.#bufferBytes = options.bufferBytes;
    this.#filter = options.filter;
    this.#direction = options.direction;
    this.#promiscuous = options.promiscuous ?? true;
    this.#timestamp = options.timestamp ?? 'microtime';
    const { i32 } = arena;
    const d = this.#d;
    i32.fill(0, d, arena.descriptorWord(room.slot + 1));
    i32[d + D_DIRECTION] = this.#directions;
    i32[d + D_BUFFER_BYTES] = options.bufferBytes;
    i32[d + D_BUFFERS] = room.buffers;
    i32[d + D_PROGRAM] = this.#stored;
    i32[d + D_INSTRUCTIONS] = options.program.length;
    i32[d + D_TIMESTAMP] = timestampBits(this.#timestamp);
  }

  /** The read filter and the index of its record, for whoever compiles it. */
  get filter(): { readonly program: Program; readonly record: number } {
    return { program: this.#program, record: this.#d };
  }

  get attached(): boolean {
    return this.#reader.attached;
  }

  /** A reader is waiting its turn while tappers have no buffer to go on with. */
  get backlogged(): boolean {
    return this.#reader.backlogged;
  }

  /** From now on frames of the interface count as received. With the lock held. */
  begin(): void {
    this.#seenBefore = framesSeen(this.#arena, this.interfaceIndex, this.#directions);
  }

  status(): DescriptorStatus {
    if (this.#final) return this.#final;
    const counter = (field: number): number => this.#arena.f64[(this.#d >>> 1) + field]!;
    // Read before what was received, so that it is never more.
    const accepted = counter(D_ACCEPTED);
    return {
      id: this.id,
      interface: this.interface,
      linkType: this.linkType,
      filter: this.#filter,
      instructions: this.#program.length,
      writeFilter: this.#writer.filter?.filter ?? null,
      direction: this.#direction,
      immediate: this.#reader.immediate,
      readTimeoutMs: this.#reader.readTimeoutMs,
      bufferBytes: this.#bufferBytes,
      promiscuous: this.#promiscuous,
      headerComplete: this.#writer.headerComplete,
      feedback: this.#writer.feedback,
      timestamp: this.#timestamp,
      locked: this.#locked,
      owner: this.owner,
      attached: this.attached,
      received: this.#received(),
      accepted,
      dropped: counter(D_DROPPED),
      capturedBytes: counter(D_CAPTURED_BYTES),
      storeBytes: storeBytes(this.#arena, this.#d),
      holdBytes: holdBytes(this.#arena, this.#d),
      written: this.#writer.written,
      writeFiltered: this.#writer.filtered,
      writeDropped: this.#writer.dropped,
    };
  }

  async setFilter(filter: string, program: Program, keep: boolean): Promise<void> {
    this.#refuseIfLocked(keep ? 'BIOCSETFNR' : 'BIOCSETF');
    checkDialect(program);
    const stored = storeProgram(this.#arena, this.#heap, program);
    if (stored === undefined) throw new BpfError('ENOBUFS', 'no room for the filter; detach something');
    const old = await this.#change(() => {
      const { i32 } = this.#arena;
      i32[this.#d + D_PROGRAM] = stored;
      i32[this.#d + D_INSTRUCTIONS] = program.length;
      // Without an interface there is no list to change: the bpf_if may be another's.
      if (this.attached) newVersion(this.#arena, this.interfaceIndex);
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

  setWriteFilter(writeFilter: NamedProgram | undefined): void {
    this.#refuseIfLocked('BIOCSETWF');
    if (writeFilter !== undefined) checkDialect(writeFilter.program);
    this.#writer.filter = writeFilter;
  }

  linkTypes(): number[] {
    this.#refuseIfDetached();
    return [this.linkType];
  }

  setLinkType(linkType: number): void {
    this.#refuseIfLocked('BIOCSDLT');
    checkLinkType(this.interface, this.linkTypes(), linkType);
  }

  async setDirection(direction: Direction): Promise<void> {
    this.#refuseIfLocked('BIOCSDIRECTION');
    checkSettings({ direction });
    await this.#change(() => this.#look(direction, this.#promiscuous));
  }

  async setPromiscuous(promiscuous: boolean): Promise<void> {
    this.#refuseIfLocked('BIOCPROMISC');
    await this.#change(() => {
      this.#refuseIfDetached();
      this.#look(this.#direction, promiscuous);
    });
  }

  setImmediate(immediate: boolean): void {
    this.#reader.immediate = immediate;
    this.lookAgain();
  }

  setReadTimeout(readTimeoutMs: number): void {
    checkSettings({ readTimeoutMs });
    this.#reader.readTimeoutMs = readTimeoutMs;
    this.lookAgain();
  }

  setHeaderComplete(headerComplete: boolean): void {
    this.#refuseIfLocked('BIOCSHDRCMPLT');
    this.#writer.headerComplete = headerComplete;
  }

  setFeedback(feedback: boolean): void {
    this.#writer.feedback = feedback;
  }

  async setTimestamp(timestamp: Timestamp): Promise<void> {
    checkSettings({ timestamp });
    await this.#change(() => {
      this.#arena.i32[this.#d + D_TIMESTAMP] = timestampBits(timestamp);
      this.#timestamp = timestamp;
    });
  }

  async flush(): Promise<void> {
    await this.#change(() => this.#reset());
  }

  lock(): void {
    this.#locked = true;
  }

  read(options?: ReadOptions): Promise<Uint8Array | undefined> {
    return this.#reader.read(options);
  }

  take(options?: ReadOptions): Promise<HeldBatch | undefined> {
    return this.#reader.take(options);
  }

  poll(timeoutMs?: number): Promise<boolean> {
    return this.#reader.poll(timeoutMs);
  }

  write(frame: Uint8Array): Promise<void> {
    const both = this.#direction === 'inout' || this.#direction === 'all';
    return this.#writer.write(frame, () => this.attached && !this.#reader.closed, both);
  }

  async detach(): Promise<void> {
    await withBpfIf(this.#arena, CONTROL_THREAD, this.interfaceIndex, () => {
      if (this.attached) {
        detach(this.#arena, this.interfaceIndex, this.#slot);
        this.#receivedBefore = this.#received();
        this.#reader.attached = false;
      }
      this.#reader.wake();
    });
    this.#events.changed();
  }

  async close(): Promise<void> {
    if (this.#reader.closed) return this.closed;
    this.#reader.closed = true;
    await this.detach();
    // A reader that was woken must have left, and who holds a buffer given it back, before the memory is used again.
    await this.#reader.end(() => this.#heap.free(this.#buffers));
    this.#final = this.status();
    this.#freeProgram(this.#stored);
    this.#events.closed();
    this.#resolveClosed();
  }

  /**
   * Has a waiting reader look again: after a change of how it reads, or when a worker has died, perhaps before it
   * could wake the reader. Does nothing after close(): the record may be somebody else's.
   */
  lookAgain(): void {
    if (!this.#reader.closed) this.#reader.wake();
  }

  /** What the descriptor is to see from now on. With the lock held. */
  #look(direction: Direction, promiscuous: boolean): void {
    this.#receivedBefore = this.#received();
    this.#direction = direction;
    this.#promiscuous = promiscuous;
    this.#arena.i32[this.#d + D_DIRECTION] = this.#directions;
    this.begin();
  }

  get #directions(): number {
    return directionBits(this.#direction, this.#promiscuous);
  }

  #received(): number {
    if (!this.attached) return this.#receivedBefore;
    return (
      this.#receivedBefore + framesSeen(this.#arena, this.interfaceIndex, this.#directions) - this.#seenBefore
    );
  }

  /** reset_d(). A hold buffer that a reader has stays its, as a zero-copy buffer in user space does there. */
  #reset(): void {
    reset(this.#arena, this.#d, this.#reader.inUse);
    const counters = this.#d >>> 1;
    for (const field of [D_ACCEPTED, D_DROPPED, D_CAPTURED_BYTES]) this.#arena.f64[counters + field] = 0;
    this.#writer.resetCounters();
    this.#receivedBefore = 0;
    this.begin();
  }

  #refuseIfLocked(ioctl: string): void {
    if (this.#locked) throw new BpfError('EPERM', `descriptor ${this.id} is locked: no ${ioctl} any more`);
  }

  #refuseIfDetached(): void {
    if (this.attached) return;
    throw new BpfError('EINVAL', `descriptor ${this.id} is no longer attached to ${this.interface}`);
  }

  /** Runs `critical` under the lock. Throws ENXIO when the descriptor is closed. */
  async #change<T>(critical: () => T): Promise<T> {
    return withBpfIf(this.#arena, CONTROL_THREAD, this.interfaceIndex, () => {
      if (this.#reader.closed) throw new BpfError('ENXIO', `descriptor ${this.id} is closed`);
      return critical();
    });
  }

  #freeProgram(offset: number): void {
    if (offset !== 0) this.#heap.free(offset);
  }
}

/** Throws EINVAL for a link type that is not among those an interface offers. */
export function checkLinkType(name: string, offered: readonly number[], linkType: number): void {
  if (offered.includes(linkType)) return;
  throw new BpfError('EINVAL', `${name} does not offer link type ${linkType}, only ${offered.join(', ')}`);
}
