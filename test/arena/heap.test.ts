import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../src/arena/heap.ts';

describe('heap', () => {
  it('gives aligned blocks that do not overlap, and everything back', () => {
    const bytes = 64 * 200;
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat({ max: 2000 }), fc.constant(-1)), { maxLength: 100 }),
        (operations) => {
          const heap = new Heap(128, bytes);
          const live: { offset: number; end: number }[] = [];
          for (const operation of operations) {
            if (operation === -1) {
              const block = live.shift();
              if (block) heap.free(block.offset);
              continue;
            }
            const offset = heap.allocate(operation);
            if (offset === undefined) continue;
            const end = offset + operation;
            expect(offset % 64).toBe(0);
            expect(offset >= 128 && end <= 128 + bytes).toBe(true);
            expect(live.every((other) => end <= other.offset || offset >= other.end)).toBe(true);
            live.push({ offset, end });
          }
          for (const { offset } of live) heap.free(offset);
          expect(heap.usedBytes).toBe(0);
          expect(heap.allocate(bytes)).toBe(128);
        },
      ),
    );
  });

  it('refuses to free what it did not give', () => {
    const heap = new Heap(0, 1024);
    const offset = heap.allocate(10)!;
    heap.free(offset);
    expect(() => heap.free(offset)).toThrow(/not allocated/);
  });
});
