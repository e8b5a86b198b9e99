/** Duplication and corruption. */
import { describe, expect, it } from 'vitest';
import { mean, setUp } from './helper.ts';

const COUNT = 20_000;

function differentBits(a: Uint8Array, b: Uint8Array): number[] {
  return [...a].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => ((byte ^ b[i]!) >>> bit) & 1).map((bit) => 8 * i + bit),
  );
}

describe('duplicate', () => {
  it('makes a copy of so many frames, with the same bytes', () => {
    const rig = setUp('duplicate 10%');
    rig.stream(
      COUNT,
      1,
      Uint8Array.from({ length: 60 }, (_, i) => i),
    );
    const deviation = Math.sqrt(COUNT * 0.1 * 0.9);
    expect(Math.abs(rig.duplicated() - COUNT * 0.1)).toBeLessThan(4 * deviation);
    expect(rig.arrived.length).toBe(COUNT + rig.duplicated());
    expect(rig.contents.every((bytes) => bytes[59] === 59)).toBe(true);
  });

  it('delays each copy by itself', () => {
    const rig = setUp('duplicate 100% delay 10ms 5ms');
    rig.offer(0);
    rig.timers.run(1e9);
    const [a, b] = rig.arrived;
    expect(rig.arrived.length).toBe(2);
    expect(a!.atNs).not.toBe(b!.atNs);
  });

  it('counts a copy for which there is no slot as made and dropped', () => {
    const rig = setUp('duplicate 100% delay 1ms', { slots: 1 });
    rig.stream(1, 1);
    expect([rig.arrived.length, rig.duplicated(), rig.drops('pool')]).toEqual([1, 1, 1]);
  });
});

describe('corrupt', () => {
  const original = Uint8Array.from({ length: 50 }, (_, i) => i * 5);

  it('inverts one bit of so many frames, anywhere', () => {
    const rig = setUp('corrupt 20%');
    rig.stream(COUNT, 1, original);
    const errors = rig.contents
      .map((bytes) => differentBits(bytes, original))
      .filter((bits) => bits.length > 0);
    expect(errors.every((bits) => bits.length === 1)).toBe(true);
    expect(Math.abs(errors.length - COUNT * 0.2)).toBeLessThan(4 * Math.sqrt(COUNT * 0.2 * 0.8));
    const counts = new Array<number>(10).fill(0);
    for (const [bit] of errors) counts[Math.floor(bit! / 40)]!++;
    const expected = errors.length / 10;
    // 99.9 % quantile of chi-square with 9 degrees of freedom.
    expect(counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)).toBeLessThan(27.9);
  });

  it.each([1e-4, 1e-2, 0.5])('ber %d inverts so many bits, one independent of the other', (rate) => {
    const rig = setUp(`ber ${rate}`);
    rig.stream(COUNT / 4, 1, original);
    const errors = rig.contents.map((bytes) => differentBits(bytes, original).length);
    const bits = (COUNT / 4) * 400;
    const found = errors.reduce((sum, each) => sum + each, 0);
    expect(Math.abs(found - bits * rate)).toBeLessThan(4 * Math.sqrt(bits * rate * (1 - rate)));
    // Errors of a frame are binomial: their variance is n p q.
    const variance = mean(errors.map((each) => (each - 400 * rate) ** 2));
    expect(Math.abs(variance / (400 * rate * (1 - rate)) - 1)).toBeLessThan(0.15);
  });

  it('ber 1 inverts every bit', () => {
    const rig = setUp('ber 1');
    rig.stream(2, 1, original);
    expect(rig.contents.map((bytes) => differentBits(bytes, original).length)).toEqual([400, 400]);
  });
});
