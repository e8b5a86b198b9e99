import { describe, expect, test } from 'vitest';
import { ln, ln1p } from '../../src/link/logarithm.ts';

/** Differences to the engine's own, relative. */
const CLOSE = 4e-15;

describe('logarithms that are the same everywhere', () => {
  test('ln: powers of ten from 1e-300 to 1e300, and a thousand fractions', () => {
    const arguments_ = [
      ...Array.from({ length: 601 }, (_, i) => Number(`1e${i - 300}`)),
      ...Array.from({ length: 999 }, (_, i) => (i + 1) / 1000),
      ...Array.from({ length: 999 }, (_, i) => 1 + (i + 1) * 1e-6),
    ];
    for (const x of arguments_) {
      expect(Math.abs(ln(x) - Math.log(x)), String(x)).toBeLessThanOrEqual(CLOSE * Math.abs(Math.log(x)));
    }
  });

  test('ln1p: bit-error rates from 1e-15 to 0.99', () => {
    for (const rate of [1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.24, 0.25, 0.26, 0.5, 0.9, 0.99]) {
      const expected = Math.log1p(-rate);
      expect(Math.abs(ln1p(-rate) - expected), String(rate)).toBeLessThanOrEqual(CLOSE * Math.abs(expected));
    }
  });

  test('the bits are these', () => {
    const view = new DataView(new ArrayBuffer(8));
    const bits = (value: number): string => {
      view.setFloat64(0, value);
      return view.getBigUint64(0).toString(16);
    };
    expect([ln(0.001), ln(2 ** -32), ln1p(-1e-9)].map(bits)).toMatchInlineSnapshot(`
      [
        "c01ba18a998fffa0",
        "c0362e42fefa39ef",
        "be112e0be84bbb51",
      ]
    `);
  });
});
