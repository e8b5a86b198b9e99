/**
 * How much of a pool each link direction may hold: at most SHARE times what is free, the dynamic thresholds of Choudhury
 * and Hahne (IEEE/ACM Transactions on Networking 6(2), 1998) that switches with a shared buffer use. One direction alone
 * gets four fifths of the pool; of several that want more than there is, each gets as much as the others, and a
 * fifth of what one gets stays free for those that come later. Nothing is set aside that nobody uses.
 */

/** In place of a direction: whoever is not one may take all. */
export const NOBODY = -1;
const SHARE = 4;

export class Shares {
  /** Of the pool, not held by anybody. */
  free: number;
  /** By direction. */
  readonly #held: Int32Array;

  constructor(size: number, directions: number) {
    this.free = size;
    this.#held = new Int32Array(directions);
  }

  heldBy(direction: number): number {
    return this.#held[direction]!;
  }

  /** Counts one more for a direction. Returns false when it must not have it. */
  take(direction: number): boolean {
    if (this.free === 0) return false;
    if (direction !== NOBODY) {
      if (this.#held[direction]! >= SHARE * this.free) return false;
      this.#held[direction]!++;
    }
    this.free--;
    return true;
  }

  /** Counts one less. */
  give(direction: number): void {
    if (direction !== NOBODY) this.#held[direction]!--;
    this.free++;
  }
}
