import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena/arena.ts';
import { FramePool } from '../../src/engine/frame-pool.ts';
import { NOBODY } from '../../src/engine/shares.ts';

const DIRECTIONS = 3;

function poolOf(slots: number, superFrames = 0): FramePool {
  const arena = Arena.create({
    workers: 1,
    interfaces: 1,
    directions: DIRECTIONS,
    descriptors: 1,
    slotsPerWorker: slots + 1,
    slotBytes: 64,
    superFramesPerWorker: superFrames,
    heapBytes: 64,
  });
  return new FramePool(arena, 0);
}

/** Takes as many as it gets. */
function fill(pool: FramePool, direction: number): number[] {
  const taken: number[] = [];
  for (let slot = pool.take(direction); slot !== -1; slot = pool.take(direction)) taken.push(slot);
  return taken;
}

describe('the slots of a pool', () => {
  it('go to one direction up to four times as many as are left, whatever comes and goes', () => {
    const steps = fc.array(
      fc.record({ direction: fc.integer({ min: NOBODY, max: DIRECTIONS - 1 }), takes: fc.boolean() }),
      { maxLength: 400 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), steps, (slots, all) => {
        const pool = poolOf(slots);
        const held = new Map<number, number[]>();
        const lent = new Set<number>();
        for (const { direction, takes } of all) {
          const own = held.get(direction) ?? [];
          held.set(direction, own);
          const free = slots - lent.size;
          if (takes) {
            const may = free > 0 && (direction === NOBODY || own.length < 4 * free);
            const slot = pool.take(direction);
            expect(slot !== -1).toBe(may);
            if (slot === -1) continue;
            expect(lent.has(slot)).toBe(false);
            expect(pool.owner(slot)).toBe(direction);
            lent.add(slot);
            own.push(slot);
          } else if (own.length > 0) {
            const slot = own.shift()!;
            lent.delete(slot);
            pool.release(slot);
          }
          expect(pool.used).toBe(lent.size);
        }
      }),
    );
  });

  it('are left to others by a direction that holds all it may', () => {
    const pool = poolOf(1000);
    expect(fill(pool, 0).length).toBe(800);
    expect(fill(pool, 1).length).toBeGreaterThan(150);
    // Copies are the direction's, too.
    expect(pool.takeLike(0)).toBe(-1);
  });

  it('are shared alike in time by directions that all want more, whoever came first', () => {
    const pool = poolOf(900);
    const held = [fill(pool, 0), [] as number[], [] as number[]];
    for (let turn = 0; turn < 5000; turn++) {
      for (const [direction, slots] of held.entries()) {
        if (slots.length > 0) pool.release(slots.shift()!);
        slots.push(...fill(pool, direction));
      }
    }
    const counts = held.map((slots) => slots.length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(0.05 * 900);
  });
});

it('areas of super-frames are shared likewise', () => {
  const { superFrames } = poolOf(10, 101);
  const keep = (direction: number): number[] => {
    const kept: number[] = [];
    for (let area = superFrames.keep(direction); area !== -1; area = superFrames.keep(direction))
      kept.push(area);
    return kept;
  };
  const first = keep(0);
  expect(first.length).toBe(80);
  expect(keep(1).length).toBeGreaterThan(10);
  for (const area of first) superFrames.release(area);
  expect(keep(2).length).toBeGreaterThan(50);
});
