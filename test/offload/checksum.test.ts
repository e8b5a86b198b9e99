import fc from 'fast-check';
import { expect, it } from 'vitest';
import { addWords, fold } from '../../src/offload/checksum.ts';

/** RFC 1071, a word after the other. */
function simple(bytes: Uint8Array, sum: number): number {
  let total = sum;
  for (let at = 0; at < bytes.length; at += 2) {
    total += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
    total = (total & 0xffff) + (total >>> 16);
  }
  return (total & 0xffff) + (total >>> 16);
}

it('sums words of any number of bytes, wherever they stand', () => {
  const lengths = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2000 }), fc.constantFrom(65_535, 65_536));
  const fill = fc.oneof(fc.constantFrom(0, 0xff), fc.integer({ min: 1, max: 2 ** 31 - 1 }));
  fc.assert(
    fc.property(
      lengths,
      fc.nat({ max: 9 }),
      fc.nat({ max: 5 }),
      fill,
      fc.nat(65_535),
      (length, from, before, seed, sum) => {
        const memory = new Uint8Array(new ArrayBuffer(66_000), before);
        let state = seed;
        for (let i = 0; i < length; i++) {
          if (seed > 0xff) state = Math.imul(state, 1_103_515_245) + 12_345;
          memory[from + i] = seed > 0xff ? state >>> 16 : seed;
        }
        const expected = simple(memory.subarray(from, from + length), sum);
        expect(fold(addWords(memory, from, from + length, sum))).toBe(expected);
      },
    ),
    { numRuns: 400 },
  );
});
