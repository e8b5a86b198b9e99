/**
 * Writes that are submitted together: many write(2), to any files, in one system call, by io_uring(7). Linux 6.0.
 *
 *   add() ... add()   entries of the submission queue; the kernel does not look at them yet
 *   submit()          io_uring_enter(2): all are carried out, in order, before it returns
 *
 * No write waits, whatever the file's own O_NONBLOCK says: for files that know RWF_NOWAIT, as TUN and sockets do. What
 * is to be written must stay as it is until submit().
 * The queues are memory of the kernel, which looks at it only inside the call: no barriers are needed.
 */
import {
  check,
  close,
  errno,
  ioUringEnter,
  ioUringSetup,
  mapFile,
  mappedWords,
  munmap,
  type Pointer,
  RWF_NOWAIT,
} from './libc.ts';

const SETUP_SUBMIT_ALL = 1 << 7;
const SETUP_SINGLE_ISSUER = 1 << 12;
const OP_WRITE = 23;
const CQE_SKIP_SUCCESS = 1 << 6;
/** Where in the ring's file its entries are to be mapped from; its queues are at 0. */
const OFFSET_ENTRIES = 0x10000000;
/** struct io_uring_params, in words; in it the offsets of the queues' fields. */
const PARAMETER_WORDS = 30;
const FLAGS = 2;
const SQ = { tail: 11, array: 16 };
const CQ = { head: 20, tail: 21, mask: 22, entries: 25 };
/** struct io_uring_sqe and io_uring_cqe. */
const SQE_WORDS = 16;
const CQE_WORDS = 4;

/** Told of each write that failed: which one, counted from 0 in the order of add(), and its errno. */
export type OnFailed = (index: number, error: number) => void;

export class WriteRing {
  /** How many writes there is room for. */
  readonly capacity: number;
  /** Writes that have been added and not submitted. */
  pending = 0;
  readonly #fd: number;
  readonly #mapped: readonly (readonly [address: Pointer, bytes: number])[];
  readonly #queues: Int32Array;
  readonly #entries: Int32Array;
  /** Words in #queues. */
  readonly #sqTail: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #completions: number;
  /** How many have ever been submitted, which is where the submission queue stands. */
  #submitted = 0;

  /** @param capacity a power of two. Throws SystemError where the kernel does not know it or does not allow it. */
  constructor(capacity: number) {
    this.capacity = capacity;
    const parameters = new Int32Array(PARAMETER_WORDS);
    parameters[FLAGS] = SETUP_SUBMIT_ALL | SETUP_SINGLE_ISSUER;
    this.#fd = check(ioUringSetup(capacity, parameters), 'io_uring_setup', `${capacity} entries`);
    const completionBytes = 2 * capacity * CQE_WORDS * 4;
    const queueBytes = Math.max(
      parameters[CQ.entries]! + completionBytes,
      parameters[SQ.array]! + capacity * 4,
    );
    const entryBytes = capacity * SQE_WORDS * 4;
    const queues = mapFile(this.#fd, 0, queueBytes);
    const entries = mapFile(this.#fd, OFFSET_ENTRIES, entryBytes);
    this.#mapped = [
      [queues, queueBytes],
      [entries, entryBytes],
    ];
    this.#queues = mappedWords(queues, queueBytes);
    this.#entries = mappedWords(entries, entryBytes);
    this.#sqTail = parameters[SQ.tail]! >> 2;
    this.#cqHead = parameters[CQ.head]! >> 2;
    this.#cqTail = parameters[CQ.tail]! >> 2;
    this.#cqMask = this.#queues[parameters[CQ.mask]! >> 2]!;
    this.#completions = parameters[CQ.entries]! >> 2;
    // Entry i of the submission queue is always the ith there is, and always a write of which only failure is told.
    const array = parameters[SQ.array]! >> 2;
    for (let i = 0; i < capacity; i++) {
      this.#queues[array + i] = i;
      this.#entries[i * SQE_WORDS] = OP_WRITE | (CQE_SKIP_SUCCESS << 8);
      this.#entries[i * SQE_WORDS + 7] = RWF_NOWAIT;
    }
  }

  /** Adds a write of `length` bytes from `address`. There must be room. */
  add(fd: number, address: number, length: number): void {
    const entries = this.#entries;
    const at = ((this.#submitted + this.pending) & (this.capacity - 1)) * SQE_WORDS;
    entries[at + 1] = fd;
    entries[at + 4] = address % 2 ** 32;
    entries[at + 5] = Math.floor(address / 2 ** 32);
    entries[at + 6] = length;
    entries[at + 8] = this.pending++;
  }

  /** Carries out what has been added. */
  submit(onFailed: OnFailed): void {
    const { pending } = this;
    const queues = this.#queues;
    queues[this.#sqTail] = this.#submitted + pending;
    const done = ioUringEnter(this.#fd, pending, 0, 0);
    const error = done === -1 ? errno() : 0;
    const taken = Math.max(0, done);
    this.#submitted = (this.#submitted + taken) | 0;
    this.pending = 0;
    const tail = queues[this.#cqTail]!;
    for (let head = queues[this.#cqHead]!; head !== tail; head = (head + 1) | 0) {
      const at = this.#completions + (head & this.#cqMask) * CQE_WORDS;
      onFailed(queues[at]!, -queues[at + 2]!);
    }
    queues[this.#cqHead] = tail;
    // The kernel had no memory for the rest: takes them out of the queue again.
    queues[this.#sqTail] = this.#submitted;
    for (let i = taken; i < pending; i++) onFailed(i, error);
  }

  close(): void {
    for (const [address, bytes] of this.#mapped) munmap(address, bytes);
    close(this.#fd);
  }
}
