/**
 * Natural logarithms that are the same on every machine. ECMAScript leaves the last bits of Math.log() to the engine;
 * what is here uses only operations that IEEE 754 defines, so that a replay gives the same bytes everywhere.
 */

const { LN2, SQRT1_2 } = Math;
const TERMS = 15;

/** Of a normal number above 0. Relative error below 1e-15. */
export function ln(x: number): number {
  let mantissa = x;
  let exponent = 0;
  // Multiplication by a power of two is exact.
  for (; mantissa >= 2 * SQRT1_2; exponent++) mantissa /= 2;
  for (; mantissa < SQRT1_2; exponent--) mantissa *= 2;
  return exponent * LN2 + ln1pOf(mantissa - 1);
}

/** ln(1 + x), for x above -1; exact also when x is tiny. */
export function ln1p(x: number): number {
  return x > -0.25 && x < 0.4 ? ln1pOf(x) : ln(1 + x);
}

/** 2 artanh(x / (2 + x)) by its series: |x / (2 + x)| is below 0.18, so that the terms go down by 30 each. */
function ln1pOf(x: number): number {
  const s = x / (2 + x);
  const square = s * s;
  let sum = 0;
  for (let term = TERMS; term > 0; term--) sum = sum * square + 1 / (2 * term - 1);
  return 2 * s * sum;
}
