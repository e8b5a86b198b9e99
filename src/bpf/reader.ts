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

/** What was found under the lock. */
const HOLD = 0; // a hold buffer, now in use
const EMPTY = 1; // nothing to hand over
const BUSY = 2; // somebody else has the hold buffer
const GONE = 3; // the interface is gone and everything captured was read
const CLOSED = 4;

export class DescriptorReader {
  /** BIOCIMMEDIATE and BIOCSRTIMEOUT. Wake readers after a change. */
  immediate: boolean;
  readTimeoutMs: number;
  /** False once the interface is gone. Changed under the lock. */
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
  /** What look() found; one caller at a time uses it, in the turn in which it resolves. */
  #offset = 0;
  #length = 0;
  #storeEmpty = true;
  /** What the record now says its readers wait for. */
  #wish = WAIT_NOTHING;

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
      if (this.closed || (await this.#isReady())) return true;
      if (this.closed) return true;
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
      await this.#wait(leftMs);
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
      const found = await this.#look(handOver, !nonblocking);
      if (found === HOLD) {
        const held = this.#held();
        if (!this.closed) return held;
        await held.release();
      }
      if (this.closed || found === GONE || found === CLOSED) return undefined;
      if (nonblocking) throw new BpfError('EWOULDBLOCK', 'nothing has been captured that can be read now');
      if (handOver && emptyOnTimeout && found === EMPTY) return NOTHING;
      if (!emptyOnTimeout) sinceMs = this.#storeEmpty ? undefined : (sinceMs ?? performance.now());
      const timed = sinceMs !== undefined && this.readTimeoutMs > 0 && found !== BUSY;
      const leftMs = timed ? sinceMs! + this.readTimeoutMs - performance.now() : Number.POSITIVE_INFINITY;
      if (leftMs > 0) await this.#wait(leftMs);
      handOver = timed && performance.now() - sinceMs! >= this.readTimeoutMs;
    }
  }

  /**
   * Takes the hold buffer, after rotating if something is to be handed over. If there is none and `wait`, the
   * record says what the reader waits for, and so does #wish.
   */
  #look(handOver: boolean, wait: boolean): Promise<number> {
    const [arena, d] = [this.#arena, this.#d];
    return withBpfIf(arena, CONTROL_THREAD, this.#interfaceIndex, () => {
      if (this.closed) return CLOSED;
      const empty = isStoreEmpty(arena, d);
      this.#storeEmpty = empty;
      if (this.#inUse) {
        if (wait) this.#wishFor(WAIT_HOLD);
        return BUSY;
      }
      // With the lock held: what was seen before waiting for it may have changed meanwhile.
      if ((handOver || this.immediate || !this.attached) && !empty) rotate(arena, d);
      if (hasHold(arena, d)) {
        this.#offset = holdOffset(arena, d);
        this.#length = holdLength(arena, d);
        this.#inUse = true;
        return HOLD;
      }
      if (!this.attached) return GONE;
      if (wait) this.#wishFor(empty ? WAIT_RECORD : WAIT_HOLD);
      return EMPTY;
    });
  }

  /** bpf_ready(). If not, the record says that a record or a hold buffer is waited for. */
  #isReady(): Promise<boolean> {
    const [arena, d] = [this.#arena, this.#d];
    return withBpfIf(arena, CONTROL_THREAD, this.#interfaceIndex, () => {
      if (this.closed || !this.attached) return true;
      const atOnce = this.immediate || this.#timedOut;
      if (!this.#inUse && (hasHold(arena, d) || (atOnce && !isStoreEmpty(arena, d)))) return true;
      this.#wishFor(atOnce && !this.#inUse ? WAIT_RECORD : WAIT_HOLD);
      return false;
    });
  }

  /** Several may wait: whoever is content with less decides, the others only look once too often. */
  #wishFor(what: number): void {
    const word = this.#d + D_WAIT;
    const now = this.#arena.i32[word]!;
    this.#wish = now === WAIT_NOTHING ? what : Math.min(now, what);
    Atomics.store(this.#arena.i32, word, this.#wish);
  }

  async #wait(timeoutMs: number): Promise<void> {
    const limitMs = timeoutMs === Number.POSITIVE_INFINITY ? undefined : timeoutMs;
    await waitWhile(this.#arena.i32, this.#d + D_WAIT, this.#wish, limitMs);
  }

  /** The hold buffer that look() has taken. */
  #held(): HeldBatch {
    let released = false;
    return {
      bytes: this.#arena.u8.subarray(this.#offset, this.#offset + this.#length),
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
