/** The ring between a worker and the control thread: order, what finds no room, and counts that wrap around. */
import { expect, test } from 'vitest';
import { Arena } from '../../src/arena/arena.ts';
import { DELIVERED, DROPPED, LOST, OFFERED } from '../../src/decisions/decision.ts';
import { DecisionReader, DecisionWriter } from '../../src/decisions/ring.ts';

const ROOM = 8;

function ring(): { arena: Arena; taken: number[][]; takeAll: () => void; reader: () => DecisionReader } {
  const arena = Arena.create({
    workers: 2,
    interfaces: 1,
    directions: 1,
    descriptors: 1,
    slotsPerWorker: 2,
    slotBytes: 2048,
    superFramesPerWorker: 0,
    decisionsPerWorker: ROOM,
    heapBytes: 0,
  });
  const taken: number[][] = [];
  let reader: DecisionReader | undefined;
  const get = (): DecisionReader => {
    reader ??= new DecisionReader(arena, 1);
    return reader;
  };
  const takeAll = (): void => {
    while (get().nextNs !== Number.POSITIVE_INFINITY) {
      get().take(1e9, { put: (...record) => void taken.push(record) });
    }
  };
  return { arena, taken, takeAll, reader: get };
}

test('what is put in comes out, on the clock of the system, from a start', () => {
  const { arena, taken, takeAll } = ring();
  const writer = new DecisionWriter(arena, 1, 5e9);
  writer.put(10, 3, OFFERED, 1, 60, 0);
  writer.put(20.5, 3, DROPPED, 1, 0, 4);
  takeAll();
  expect(taken).toEqual([
    [4e9 + 10, 3, OFFERED, 1, 60, 0],
    [4e9 + 20.5, 3, DROPPED, 1, 0, 4],
  ]);
});

test('what finds no room is counted, and there is a record where it is missing', () => {
  const { arena, taken, takeAll, reader } = ring();
  const writer = new DecisionWriter(arena, 1, 0);
  for (let i = 1; i <= ROOM + 5; i++) writer.put(i, 0, OFFERED, i, 60, 0);
  expect(reader().lost).toBe(5);
  expect(reader().pending).toBe(ROOM);
  takeAll();
  writer.put(100, 0, DELIVERED, 1, 60, 99);
  takeAll();
  expect(taken.map(([, , event, frame, , value]) => [event, frame, value])).toEqual([
    ...Array.from({ length: ROOM }, (_, i) => [OFFERED, i + 1, 0]),
    [LOST, 0, 5],
    [DELIVERED, 1, 99],
  ]);
});

test('counts go on past 2^31 and 2^32', () => {
  for (const start of [2 ** 31 - 3, 2 ** 32 - 3]) {
    const { arena, taken, takeAll } = ring();
    const words = arena.decisionRing(1) / 4;
    arena.i32[words] = start;
    arena.i32[words + 1] = start;
    const writer = new DecisionWriter(arena, 1, 0);
    for (let i = 0; i < 20; i++) {
      writer.put(i, 0, OFFERED, i, 60, 0);
      if (i % 3 === 2) takeAll();
    }
    takeAll();
    expect(taken.map(([, , , frame]) => frame)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  }
});
