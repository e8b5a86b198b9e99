/**
 * Random numbers that can be repeated: xoshiro128** (Blackman and Vigna, 2018), seeded from a text.
 *
 * Every stage of every direction has a generator of its own, named after its place, so that adding a stage or a
 * link does not change what the others draw.
 */

/** Returns a number in [0, 1) at each call. */
export type Random = () => number;

/** The generator named by `seed` and a path such as `wan/forward/loss`. */
export function createRandom(seed: number, path: string): Random {
  // Four variables rather than an array: with a thousand links what counts is how much memory a draw touches.
  let s0 = splitmix32(hash(`${seed}/${path}`)) | 0;
  let s1 = splitmix32(s0) | 0;
  let s2 = splitmix32(s1) | 0;
  let s3 = splitmix32(s2) | 0;
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9);
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotateLeft(s3, 11);
    return (result >>> 0) / 4_294_967_296;
  };
}

/** Numbers in [0, 1) that are found by their place, two whole numbers below 2^32, in any order; a generator names them. */
export function scattered(random: Random): (row: number, column: number) => number {
  const key = random() * 4_294_967_296;
  return (row, column) => splitmix32(splitmix32(splitmix32(key ^ row) ^ column)) / 4_294_967_296;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

function splitmix32(state: number): number {
  let z = (state + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
