import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Scheduler } from '../../src/engine/scheduler.ts';

const recorder = () => {
  const seen: [number, number][] = [];
  const stage = {
    push() {},
    due: (frame: number, deadlineNs: number) => void seen.push([deadlineNs, frame]),
  };
  return { seen, stage };
};

it('carries out deadlines in order, equal ones in the order they came, growing when it must', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), (deadlines) => {
      const scheduler = new Scheduler(4);
      const { seen, stage } = recorder();
      for (const [frame, deadline] of deadlines.entries()) scheduler.at(deadline, stage, frame);
      scheduler.run(20);
      const expected = deadlines.map((deadline, frame): [number, number] => [deadline, frame]);
      expect(seen).toEqual(expected.sort((a, b) => a[0] - b[0]));
      expect(scheduler.nextDeadlineNs).toBe(Number.POSITIVE_INFINITY);
    }),
  );
});

it('does nothing early', () => {
  const scheduler = new Scheduler(8);
  const { seen, stage } = recorder();
  for (const deadline of [30, 10, 20]) scheduler.at(deadline, stage, deadline);
  scheduler.run(9);
  expect(seen).toEqual([]);
  scheduler.run(20);
  expect(seen).toEqual([
    [10, 10],
    [20, 20],
  ]);
  expect(scheduler.nextDeadlineNs).toBe(30);
});
