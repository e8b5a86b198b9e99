/**
 * Entries of the heap that are not due soon: a timing wheel (Varghese and Lauck, 1987), with a slot for each tick as far
 * as it reaches, two seconds. What is due within a tick stands in its slot in any order, and is put in order by the
 * heap, to which a whole slot goes once its first entry is the earliest of all. So what an entry costs depends on how many
 * are due within a tick, not on how many there are.
 *
 * The entries of a slot stand side by side, in chunks that slots take and give back: putting one in touches one cache
 * line, emptying a slot reads memory in a row. There are never more chunks than one for each slot in use and one for
 * every CHUNK entries.
 */
import type { DeadlineHeap } from './deadline-heap.ts';

const TICK_NS = 131_072;
const SLOTS = 16_384;
/** Entries of a chunk. */
const CHUNK_LOG2 = 4;
const CHUNK: number = 1 << CHUNK_LOG2;
/** In float64: deadline and order, then frame and waiter, 32 bits each. */
const ENTRY = 3;
const NONE = -1;

export class DeadlineWheel {
  #size = 0;
  /** The earliest deadline, Infinity when there is none. */
  #deadlineNs: number = Number.POSITIVE_INFINITY;
  /** Where it begins: no entry is due before this tick. */
  #tick = 0;
  /** By slot: how many entries, and the chunk that is being filled; from there `links` leads to those before. */
  readonly #counts: Int32Array = new Int32Array(SLOTS);
  readonly #chunks: Int32Array = new Int32Array(SLOTS);
  /** A bit for each slot that has entries. */
  readonly #occupied: Int32Array = new Int32Array(SLOTS / 32);
  #entries: Float64Array = new Float64Array(0);
  /** The same memory. */
  #words: Int32Array = new Int32Array(0);
  /** By chunk: the one before it in its slot, or in the list of free ones. */
  #links: Int32Array = new Int32Array(0);
  #free: number = NONE;

  /**
   * Takes an entry. Returns false when it is due before the wheel begins, or after it ends, or next of all.
   * @param earliestNs when the first of the heap is due; all that the wheel has is due later
   */
  take(deadlineNs: number, order: number, frame: number, waiter: number, earliestNs: number): boolean {
    const tick = Math.floor(deadlineNs / TICK_NS);
    if (tick < this.#tick || !(deadlineNs > earliestNs)) return false;
    if (!(tick - this.#tick < SLOTS)) {
      // It may begin later now than when it was emptied last.
      this.#tick = Math.max(this.#tick, Math.floor(earliestNs / TICK_NS));
      if (!(tick - this.#tick < SLOTS)) return false;
    }
    const slot = tick & (SLOTS - 1);
    const count = this.#counts[slot]!++;
    const within = count & (CHUNK - 1);
    if (within === 0) this.#extend(slot, count === 0);
    const at = ENTRY * ((this.#chunks[slot]! << CHUNK_LOG2) + within);
    this.#entries[at] = deadlineNs;
    this.#entries[at + 1] = order;
    this.#words[2 * at + 4] = frame;
    this.#words[2 * at + 5] = waiter;
    this.#size++;
    if (deadlineNs < this.#deadlineNs) this.#deadlineNs = deadlineNs;
    return true;
  }

  /** Has the heap begin with whatever is due next; all that is due at that moment is in the heap then. */
  turn(heap: DeadlineHeap): void {
    while (this.#size > 0 && this.#deadlineNs <= heap.deadlineNs) this.#empty(heap);
  }

  /** Moves everything. */
  empty(heap: DeadlineHeap): void {
    while (this.#size > 0) this.#empty(heap);
    // With nothing in it it may begin anywhere.
    this.#tick = 0;
  }

  /** Moves the slot that is due first. */
  #empty(heap: DeadlineHeap): void {
    const tick = Math.floor(this.#deadlineNs / TICK_NS);
    const slot = tick & (SLOTS - 1);
    const [entries, words] = [this.#entries, this.#words];
    let chunk = this.#chunks[slot]!;
    for (let left = this.#counts[slot]!; left > 0; ) {
      const first = ENTRY * (chunk << CHUNK_LOG2);
      const count = inLastChunk(left);
      for (let at = first; at < first + ENTRY * count; at += ENTRY)
        heap.push(entries[at]!, entries[at + 1]!, words[2 * at + 4]!, words[2 * at + 5]!);
      left -= count;
      const before = this.#links[chunk]!;
      this.#links[chunk] = this.#free;
      this.#free = chunk;
      chunk = before;
    }
    this.#size -= this.#counts[slot]!;
    this.#counts[slot] = 0;
    this.#occupied[slot >>> 5]! &= ~(1 << (slot & 31));
    this.#tick = tick + 1;
    this.#deadlineNs = this.#size === 0 ? Number.POSITIVE_INFINITY : this.#earliestOf(this.#firstOccupied());
  }

  #earliestOf(slot: number): number {
    const entries = this.#entries;
    let least = Number.POSITIVE_INFINITY;
    let chunk = this.#chunks[slot]!;
    for (let left = this.#counts[slot]!; left > 0; ) {
      const first = ENTRY * (chunk << CHUNK_LOG2);
      const count = inLastChunk(left);
      for (let at = first; at < first + ENTRY * count; at += ENTRY)
        if (entries[at]! < least) least = entries[at]!;
      left -= count;
      chunk = this.#links[chunk]!;
    }
    return least;
  }

  /** From where the wheel begins, all around; some slot is. */
  #firstOccupied(): number {
    const occupied = this.#occupied;
    const start = this.#tick & (SLOTS - 1);
    let at = start >>> 5;
    let word = occupied[at]! & (-1 << (start & 31));
    while (word === 0) {
      at = (at + 1) & (occupied.length - 1);
      word = occupied[at]!;
    }
    return 32 * at + 31 - Math.clz32(word & -word);
  }

  /** Gives a slot one more chunk. */
  #extend(slot: number, isFirst: boolean): void {
    if (this.#free === NONE) this.#grow();
    const chunk = this.#free;
    this.#free = this.#links[chunk]!;
    this.#links[chunk] = this.#chunks[slot]!;
    this.#chunks[slot] = chunk;
    if (isFirst) this.#occupied[slot >>> 5]! |= 1 << (slot & 31);
  }

  /** Twice as many chunks, 8 at least. */
  #grow(): void {
    const had = this.#links.length;
    const links = Int32Array.from({ length: Math.max(8, 2 * had) }, (_, chunk) => chunk + 1);
    links.set(this.#links);
    links[links.length - 1] = NONE;
    const entries = new Float64Array(ENTRY * CHUNK * links.length);
    entries.set(this.#entries);
    this.#links = links;
    this.#entries = entries;
    this.#words = new Int32Array(entries.buffer);
    this.#free = had;
  }
}

/** Of so many entries of a slot, how many its last chunk has. */
function inLastChunk(count: number): number {
  return ((count - 1) & (CHUNK - 1)) + 1;
}
