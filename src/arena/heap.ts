/**
 * Allocates blocks of the arena's heap: first fit, neighbours joined when freed.
 *
 * Only the control thread allocates and frees, so the book-keeping is ordinary JavaScript and never under a lock.
 * A block may be freed once no other thread can still be using it; see bpf/descriptor.ts.
 */

const ALIGN = 64;
const PAGE = 4096;
/** Blocks smaller than this keep their pages: the next to come uses them. */
const GIVEN_BACK_BYTES = 65_536;

export class Heap {
  /** Free blocks by ascending offset; no two touch. */
  readonly #free: { offset: number; bytes: number }[];
  readonly #used: Map<number, number> = new Map();
  readonly #giveBack: (offset: number, bytes: number) => void;

  /**
   * @param giveBack takes whole pages of a large block that was freed, for the system to have until they are touched
   * again; they may be zero then
   */
  constructor(offset: number, bytes: number, giveBack: (offset: number, bytes: number) => void = () => {}) {
    this.#free = [{ offset, bytes }];
    this.#giveBack = giveBack;
  }

  /** Byte offset of a new block of at least `bytes`, a multiple of 64; undefined when no hole is large enough. */
  allocate(bytes: number): number | undefined {
    const size = Math.max(ALIGN, Math.ceil(bytes / ALIGN) * ALIGN);
    const at = this.#free.findIndex((block) => block.bytes >= size);
    const block = this.#free[at];
    if (!block) return undefined;
    const offset = block.offset;
    block.offset += size;
    block.bytes -= size;
    if (block.bytes === 0) this.#free.splice(at, 1);
    this.#used.set(offset, size);
    return offset;
  }

  /** Gives a block back. Throws when `offset` is not one that was allocated: that is a bug. */
  free(offset: number): void {
    const bytes = this.#used.get(offset);
    if (bytes === undefined) throw new Error(`heap: ${offset} is not allocated`);
    this.#used.delete(offset);
    if (bytes >= GIVEN_BACK_BYTES) {
      const first = Math.ceil(offset / PAGE) * PAGE;
      this.#giveBack(first, Math.floor((offset + bytes) / PAGE) * PAGE - first);
    }
    let at = this.#free.findIndex((block) => block.offset > offset);
    if (at === -1) at = this.#free.length;
    this.#free.splice(at, 0, { offset, bytes });
    this.#join(at);
    this.#join(at - 1);
  }

  /** Bytes in use. */
  get usedBytes(): number {
    let sum = 0;
    for (const bytes of this.#used.values()) sum += bytes;
    return sum;
  }

  #join(at: number): void {
    const [block, next] = [this.#free[at], this.#free[at + 1]];
    if (!block || !next || block.offset + block.bytes !== next.offset) return;
    block.bytes += next.bytes;
    this.#free.splice(at + 1, 1);
  }
}
