/**
 * Who waits for what, by deadline, and equal deadlines by a second key: a heap in typed arrays, with four children to a
 * node and both keys side by side, so that a step down looks at one or two cache lines. It grows when it must.
 */

const CHILDREN_LOG2 = 2;
const CHILDREN: number = 1 << CHILDREN_LOG2;

export class DeadlineHeap {
  size = 0;
  /** Deadline and order of each entry. A float64 counts exactly for longer than any run. */
  #keys: Float64Array;
  /** Frame and waiter of each entry. */
  #values: Int32Array;

  constructor(capacity: number) {
    this.#keys = new Float64Array(2 * capacity);
    this.#values = new Int32Array(2 * capacity);
  }

  /** The earliest deadline, Infinity when there is none. */
  get deadlineNs(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.#keys[0]!;
  }

  /** Of the earliest. */
  get frame(): number {
    return this.#values[0]!;
  }

  get waiter(): number {
    return this.#values[1]!;
  }

  push(deadlineNs: number, order: number, frame: number, waiter: number): void {
    if (2 * this.size === this.#values.length) this.#grow();
    const keys = this.#keys;
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >>> CHILDREN_LOG2;
      const parentNs = keys[2 * parent]!;
      if (parentNs < deadlineNs || (parentNs === deadlineNs && keys[2 * parent + 1]! < order)) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#place(hole, deadlineNs, order, frame, waiter);
  }

  /** Takes the earliest away. */
  pop(): void {
    const last = --this.size;
    const [keys, values] = [this.#keys, this.#values];
    this.replace(keys[2 * last]!, keys[2 * last + 1]!, values[2 * last]!, values[2 * last + 1]!);
  }

  /** Puts another entry in the place of the earliest. */
  replace(deadlineNs: number, order: number, frame: number, waiter: number): void {
    const keys = this.#keys;
    const { size } = this;
    let hole = 0;
    for (;;) {
      const first = CHILDREN * hole + 1;
      if (first >= size) break;
      let least = first;
      let leastNs = keys[2 * first]!;
      const end = Math.min(first + CHILDREN, size);
      for (let child = first + 1; child < end; child++) {
        const childNs = keys[2 * child]!;
        if (childNs > leastNs || (childNs === leastNs && keys[2 * child + 1]! > keys[2 * least + 1]!))
          continue;
        least = child;
        leastNs = childNs;
      }
      if (leastNs > deadlineNs || (leastNs === deadlineNs && keys[2 * least + 1]! > order)) break;
      this.#move(least, hole);
      hole = least;
    }
    this.#place(hole, deadlineNs, order, frame, waiter);
  }

  /** Keeps only what waits for a waiter that `keeps` says. */
  filter(keeps: (waiter: number) => boolean): void {
    const count = this.size;
    this.size = 0;
    for (let i = 0; i < count; i++) {
      // What is kept goes to a place that was looked at before: there are never more of them than have been read.
      const waiter = this.#values[2 * i + 1]!;
      if (keeps(waiter)) this.push(this.#keys[2 * i]!, this.#keys[2 * i + 1]!, this.#values[2 * i]!, waiter);
    }
  }

  #move(from: number, to: number): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#place(to, keys[2 * from]!, keys[2 * from + 1]!, values[2 * from]!, values[2 * from + 1]!);
  }

  #place(at: number, deadlineNs: number, order: number, frame: number, waiter: number): void {
    this.#keys[2 * at] = deadlineNs;
    this.#keys[2 * at + 1] = order;
    this.#values[2 * at] = frame;
    this.#values[2 * at + 1] = waiter;
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = new Float64Array(2 * keys.length);
    this.#values = new Int32Array(2 * values.length);
    this.#keys.set(keys);
    this.#values.set(values);
  }
}
