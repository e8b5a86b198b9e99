/** The records of the arena have room for what is kept in them: a write beyond the end of a view is lost unseen. */
import { expect, it } from 'vitest';
import {
  MAC_TABLE_BYTES as ARENA_MAC_TABLE_BYTES,
  Arena,
  DELAY_ERROR_BYTES,
  DIRECTION_BYTES,
  INTERFACE_BYTES,
  SWITCH_BYTES,
  WORKER_BYTES,
} from '../../src/arena/arena.ts';
import { INTERFACE_UP, WORKER_LOOP_LAG } from '../../src/engine/counters.ts';
import { HISTOGRAM_FIELDS } from '../../src/engine/histogram.ts';
import { DIRECTION_COUNTERS } from '../../src/link/counters.ts';
import { SWITCH_FIELDS } from '../../src/switch/counters.ts';
import { MAC_TABLE_BYTES } from '../../src/switch/mac-table.ts';

it.each([
  ['a direction', DIRECTION_BYTES, DIRECTION_COUNTERS],
  ['the delay errors of a direction', DELAY_ERROR_BYTES, HISTOGRAM_FIELDS],
  ['a switch', SWITCH_BYTES, SWITCH_FIELDS],
  ['what a switch has learned', ARENA_MAC_TABLE_BYTES, MAC_TABLE_BYTES / 8],
  ['an interface', INTERFACE_BYTES, INTERFACE_UP + 1],
  ['a worker', WORKER_BYTES, WORKER_LOOP_LAG + HISTOGRAM_FIELDS],
])('the record of %s has room for its fields, and begins a cache line', (_what, bytes, fields) => {
  expect(8 * fields).toBeLessThanOrEqual(bytes);
  expect(bytes % 64).toBe(0);
});

it('the counters of two directions are apart', () => {
  const capacity = { workers: 1, interfaces: 1, directions: 2, descriptors: 1 };
  const arena = Arena.create({
    ...capacity,
    slotsPerWorker: 1,
    slotBytes: 64,
    superFramesPerWorker: 0,
    heapBytes: 64,
  });
  const [first, second] = [arena.directionCounters(0), arena.directionCounters(1)];
  first[DIRECTION_COUNTERS - 1] = 7;
  expect(first[DIRECTION_COUNTERS - 1]).toBe(7);
  expect(second.every((each) => each === 0)).toBe(true);
});
