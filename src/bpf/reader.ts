/**
 * The reader's side of a descriptor's buffers: FreeBSD's bpfread(), bpfpoll() and zero-copy buffers (sys/net/bpf.c).
 *
 * Belongs to the control thread. Roles and lengths are looked at under the bpf_if lock; the bytes of a hold buffer are
 * read outside of it. A hold buffer has one holder at a time (bd_hbuf_in_use): as long as it is in use nobody else
 * takes it, flushing leaves it alone, and closing leaves it its memory.
 *
 * Every `await` is a window: what is found under the lock is acted on in the same critical section, and `closed` is
 * looked at again before the record is touched, for it may be somebody else's.
 * test/model/buffers.pml follows take(), release() and poll() step by step.
 */
import { type Arena, CONTROL_THREAD } from '../arena/arena.ts';
import { waitWhile } from '../arena/wait.ts';
import { withBpfIf } from './bpf-if.ts';
import { hasHold, holdLength, holdOffset, isStoreEmpty, release, rotate, wakeReader } from './buffers.ts';
import { D_WAIT, WAIT_HOLD, WAIT_NOTHING, WAIT_RECORD } from './layout.ts';
import { BpfError, type HeldBatch, type ReadOptions } from './types.ts';

const NOTHING: HeldBatch = { bytes: new Uint8Array(0), release: async () => {} };

const HOLD = 1; // a hold buffer, now in use
const EMPTY = 2; // nothing to hand over
const BUSY = 3; // somebody else has the hold buffer
const GONE = 4; // detached, and everything captured was read
const CLOSED = 5;
const READY = 6; // there is something to read

/** What one look under the lock found. Each caller has its own: others look while it resolves. */
type Found = {
  what: number;
  /** The hold buffer. */
  offset: number;
  length: number;
  storeEmpty: boolean;
  /** What the record then said that readers wait for. */
  wish: number;
};

export class DescriptorReader {
  /** BIOCIMMEDIATE and BIOCSRTIMEOUT. Wake readers after a change. */
  immediate: boolean;
  readTimeoutMs: number;
  /** False once detached, as when the interface goes away. Changed under the lock. */
  attached = true;
  /** Set before the descriptor is detached. */
  closed = false;
  readonly #arena: Arena;
  readonly #d: number;
  readonly #interfaceIndex: number;
  /** Somebody holds the hold buffer. */
  #inUse = false;
  /** The read timeout has run out in a poll(): the next record is handed over at once (BPF_TIMED_OUT). */
  #timedOut = false;
  /** Readers queue up; how many there are. */
  #last: Promise<unknown> = Promise.resolve();
  #readers = 0;
  #freeBuffers: (() => void) | undefined;

  constructor(arena: Arena, d: number, interfaceIndex: number, immediate: boolean, readTimeoutMs: number) {
    this.#arena = arena;
    this.#d = d;
    this.#interfaceIndex = interfaceIndex;
    this.immediate = immediate;
    this.readTimeoutMs = readTimeoutMs;
  }

  /** Whether the hold buffer is in a reader's hands. */
  get inUse(): boolean {
    return this.#inUse;
  }

  /** A reader is waiting its turn while tappers have no buffer to go on with. */
  get backlogged(): boolean {
    return this.#readers > 0 && hasHold(this.#arena, this.#d);
  }

  /** See DescriptorHandle. */
  read(options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    return this.#inTurn(options, async () => {
      const held = await this.#take(options);
      if (held === undefined) return undefined;
      const batch = held.bytes.slice();
      await held.release();
      return batch;
    });
  }

  /** See DescriptorHandle. */
  take(options: ReadOptions = {}): Promise<HeldBatch | undefined> {
    return this.#inTurn(options, () => this.#take(options));
  }

  /** See DescriptorHandle. */
  async poll(timeoutMs: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    const beganMs = performance.now();
    for (;;) {
      const found = await this.#look((into) => this.#isReady(into));
      if (this.closed || found.what === READY) return true;
      const elapsedMs = performance.now() - beganMs;
      if (elapsedMs >= timeoutMs) return false;
      let leftMs = timeoutMs - elapsedMs;
      if (this.readTimeoutMs > 0 && !this.#timedOut) {
        const untilTimedOutMs = this.readTimeoutMs - elapsedMs;
        if (untilTimedOutMs <= 0) {
          this.#timedOut = true;
          continue;
        }
        leftMs = Math.min(leftMs, untilTimedOutMs);
      }
      await this.#wait(found, leftMs);
    }
  }

  /** Has those who wait look again. With the record still the descriptor's. */
  wake(): void {
    wakeReader(this.#arena, this.#d);
  }

  /** Resolves when no reader is left; `free` is called once no hold buffer is in use. After `closed` was set. */
  async end(free: () => void): Promise<void> {
    await this.#last;
    if (this.#inUse) this.#freeBuffers = free;
    else free();
  }

  /** Those who would wait queue up, so that the first to come is the first served. */
  #inTurn<T>({ nonblocking = false }: ReadOptions, action: () => Promise<T>): Promise<T> {
    if (nonblocking) return action();
    this.#readers++;
    const turn = this.#last.then(action).finally(() => {
      this.#readers--;
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #take({ nonblocking = false, emptyOnTimeout = false }: ReadOptions): Promise<HeldBatch | undefined> {
    // When the read timeout began: with the call, or with the first record that is waiting.
    let sinceMs = emptyOnTimeout ? performance.now() : undefined;
    let handOver = nonblocking || this.#timedOut;
    this.#timedOut = false;
    for (;;) {
      const found = await this.#look((into) => this.#takeHold(into, handOver, !nonblocking));
      const { what } = found;
      if (what === HOLD) {
        const held = this.#held(found);
        if (!this.closed) return held;
        await held.release();
      }
      if (this.closed || what === GONE) return undefined;
      if (nonblocking) throw new BpfError('EWOULDBLOCK', 'nothing has been captured that can be read now');
      if (handOver && emptyOnTimeout && what === EMPTY) return NOTHING;
      if (!emptyOnTimeout) sinceMs = found.storeEmpty ? undefined : (sinceMs ?? performance.now());
      const timed = sinceMs !== undefined && this.readTimeoutMs > 0 && what !== BUSY;
      const leftMs = timed ? sinceMs! + this.readTimeoutMs - performance.now() : Number.POSITIVE_INFINITY;
      if (leftMs > 0) await this.#wait(found, leftMs);
      handOver = timed && performance.now() - sinceMs! >= this.readTimeoutMs;
    }
  }

  /** Looks at the buffers with the lock held. Of a closed descriptor there is nothing left to look at. */
  async #look(find: (into: Found) => void): Promise<Found> {
    const found: Found = { what: CLOSED, offset: 0, length: 0, storeEmpty: true, wish: WAIT_NOTHING };
    await withBpfIf(this.#arena, CONTROL_THREAD, this.#interfaceIndex, () => {
      if (!this.closed) find(found);
    });
    return found;
  }

  /**
   * Takes the hold buffer, after rotating if what is in the store is to be handed over. If there is none and `wait`,
   * the record then says what is waited for. With the lock held.
   */
  #takeHold(found: Found, handOver: boolean, wait: boolean): void {
    const [arena, d] = [this.#arena, this.#d];
    found.storeEmpty = isStoreEmpty(arena, d);
    if (this.#inUse) {
      found.what = BUSY;
      if (wait) this.#wishFor(found, WAIT_HOLD);
      return;
    }
    // What was seen before waiting for the lock may have changed meanwhile.
    if ((handOver || this.immediate || !this.attached) && !found.storeEmpty) rotate(arena, d);
    if (hasHold(arena, d)) {
      found.what = HOLD;
      found.offset = holdOffset(arena, d);
      found.length = holdLength(arena, d);
      this.#inUse = true;
      return;
    }
    found.what = this.attached ? EMPTY : GONE;
    if (wait && this.attached) this.#wishFor(found, found.storeEmpty ? WAIT_RECORD : WAIT_HOLD);
  }

  /** bpf_ready(). If not, the record then says what is waited for. With the lock held. */
  #isReady(found: Found): void {
    const [arena, d] = [this.#arena, this.#d];
    const atOnce = this.immediate || this.#timedOut;
    const readable = !this.#inUse && (hasHold(arena, d) || (atOnce && !isStoreEmpty(arena, d)));
    found.what = readable || !this.attached ? READY : EMPTY;
    if (found.what === EMPTY) this.#wishFor(found, atOnce && !this.#inUse ? WAIT_RECORD : WAIT_HOLD);
  }

  /** Several may wait: who is content with less decides, the others only look once too often. */
  #wishFor(found: Found, what: number): void {
    const word = this.#d + D_WAIT;
    const now = this.#arena.i32[word]!;
    found.wish = now === WAIT_NOTHING ? what : Math.min(now, what);
    Atomics.store(this.#arena.i32, word, found.wish);
  }

  async #wait({ wish }: Found, timeoutMs: number): Promise<void> {
    const limitMs = timeoutMs === Number.POSITIVE_INFINITY ? undefined : timeoutMs;
    await waitWhile(this.#arena.i32, this.#d + D_WAIT, wish, limitMs);
  }

  /** The hold buffer that #takeHold() has found. */
  #held({ offset, length }: Found): HeldBatch {
    let released = false;
    return {
      bytes: this.#arena.u8.subarray(offset, offset + length),
      release: async () => {
        if (released) return;
        released = true;
        await this.#release();
      },
    };
  }

  async #release(): Promise<void> {
    const arena = this.#arena;
    await withBpfIf(arena, CONTROL_THREAD, this.#interfaceIndex, () => {
      this.#inUse = false;
      if (this.closed) return;
      release(arena, this.#d);
      // Others may have waited for this, with frames in the store.
      wakeReader(arena, this.#d);
    });
    this.#freeBuffers?.();
    this.#freeBuffers = undefined;
  }
}
