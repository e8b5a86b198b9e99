import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Scheduler } from '../../src/engine/scheduler.ts';
import { createRandom } from '../../src/link/random.ts';
import type { StageTimers } from '../../src/link/stage.ts';

const FRAMES = 300;
const STAGES = 4;
const OWNERS = 2;
/** So many wait in the heap before anything waits in the wheel. */
const HEAP_ALONE = 64;
const MANY = 4 * HEAP_ALONE;
const LATE_NS = 1e12;

type Seen = readonly [deadlineNs: number, stage: number, frame: number];

/** Stages 0 to 3, of owners 0, 1, 0, 1; what was due, and what `due` does besides. */
function setUp(frames = FRAMES): {
  readonly scheduler: Scheduler;
  readonly seen: Seen[];
  readonly timers: readonly StageTimers[];
  onDue: (deadlineNs: number, stage: number, frame: number) => void;
} {
  const scheduler = new Scheduler(frames);
  const rig = {
    scheduler,
    seen: [] as Seen[],
    timers: Array.from({ length: STAGES }, (_, stage) =>
      scheduler.of(stage % OWNERS).for({
        push() {},
        due: (frame, deadlineNs) => {
          rig.seen.push([deadlineNs, stage, frame]);
          rig.onDue(deadlineNs, stage, frame);
        },
      }),
    ),
    onDue: (_deadlineNs: number, _stage: number, _frame: number): void => {},
  };
  return rig;
}

/** All timers in one list, sorted by deadline: what the scheduler must do, without a heap and without lines. */
class Model {
  waiting: Seen[] = [];

  at(...timer: Seen): void {
    const later = this.waiting.findIndex(([deadlineNs]) => deadlineNs > timer[0]);
    this.waiting.splice(later === -1 ? this.waiting.length : later, 0, timer);
  }

  run(nowNs: number): Seen[] {
    const due = this.waiting.filter(([deadlineNs]) => deadlineNs <= nowNs);
    this.waiting = this.waiting.slice(due.length);
    return due;
  }

  cancel(owner: number): void {
    this.waiting = this.waiting.filter(([, stage]) => stage % OWNERS !== owner);
  }
}

type Step =
  | { readonly step: 'at' | 'inLine'; readonly delayNs: number; readonly stage: number }
  | { readonly step: 'run'; readonly ns: number }
  | { readonly step: 'cancel'; readonly owner: number };

/** Delays of up to 15 units and two nanoseconds; time passes in units. */
function stepsOf(unitNs: number): fc.Arbitrary<Step[]> {
  const wait = fc.record({
    step: fc.constantFrom('at' as const, 'at' as const, 'inLine' as const),
    delayNs: fc.tuple(fc.nat({ max: 15 }), fc.nat({ max: 2 })).map(([units, ns]) => units * unitNs + ns),
    stage: fc.nat({ max: STAGES - 1 }),
  });
  const run = fc.record({
    step: fc.constant('run' as const),
    ns: fc.nat({ max: 4 }).map((units) => units * unitNs),
  });
  const cancel = fc.record({ step: fc.constant('cancel' as const), owner: fc.nat({ max: OWNERS - 1 }) });
  return fc.array(
    fc.oneof(
      { arbitrary: wait, weight: 60 },
      { arbitrary: run, weight: 15 },
      { arbitrary: cancel, weight: 1 },
    ),
    { maxLength: FRAMES },
  );
}

it.each([
  ['a few', 0, 1],
  ['about as many as the heap has alone', HEAP_ALONE - 10, 150_000],
  ['within a tick of the wheel', MANY, 100],
  ['within some ticks', MANY, 100_000],
  ['as far as the wheel reaches', MANY, 100e6],
  ['farther than it reaches', MANY, 500e6],
] as const)(
  'carries out deadlines in order, equal ones in the order they came, in line or not, whatever is cancelled: %s',
  (_, others, unitNs) => {
    fc.assert(
      fc.property(stepsOf(unitNs), (all) => {
        const { scheduler, seen, timers } = setUp();
        const model = new Model();
        const expected: Seen[] = [];
        let nowNs = 0;
        for (let frame = FRAMES; frame < FRAMES + others; frame++) {
          timers[frame % STAGES]!.at(LATE_NS, frame);
          model.at(LATE_NS, frame % STAGES, frame);
        }
        for (const [frame, each] of all.entries()) {
          if (each.step === 'run') {
            nowNs += each.ns;
            scheduler.run(nowNs);
            expected.push(...model.run(nowNs));
          } else if (each.step === 'cancel') {
            scheduler.cancel(each.owner);
            model.cancel(each.owner);
          } else {
            timers[each.stage]![each.step](nowNs + each.delayNs, frame);
            model.at(nowNs + each.delayNs, each.stage, frame);
          }
          expect(seen.length).toBe(expected.length);
          expect(scheduler.nextDeadlineNs).toBe(model.waiting[0]?.[0] ?? Number.POSITIVE_INFINITY);
        }
        scheduler.run(Number.MAX_VALUE);
        expect(seen).toEqual([...expected, ...model.run(Number.MAX_VALUE)]);
      }),
      { numRuns: 100 },
    );
  },
);

it('keeps the order of 20,000 that are set anew when they are due, from nanoseconds to seconds ahead', () => {
  const FRAMES_AT_ONCE = 20_000;
  const rig = setUp(0);
  const random = createRandom(1, 'scheduler');
  const wait = (nowNs: number, frame: number): void =>
    rig.timers[frame % STAGES]!.at(nowNs + Math.floor(10 ** (10 * random())), frame);
  rig.onDue = (deadlineNs, _stage, frame) => {
    if (rig.seen.length < 2 * FRAMES_AT_ONCE) wait(deadlineNs, frame);
  };
  for (let frame = 0; frame < FRAMES_AT_ONCE; frame++) wait(0, frame);
  for (let nowNs = 0; nowNs < Number.POSITIVE_INFINITY; nowNs = rig.scheduler.nextDeadlineNs)
    rig.scheduler.run(nowNs);
  const deadlines = rig.seen.map(([deadlineNs]) => deadlineNs);
  expect(deadlines.length).toBe(3 * FRAMES_AT_ONCE - 1);
  expect(deadlines).toEqual(deadlines.toSorted((a, b) => a - b));
});

it('keeps the order of equal deadlines when the first of them waits in the wheel and the second in the heap', () => {
  const { scheduler, seen, timers } = setUp();
  // One that is due before both keeps the wheel from turning.
  for (let frame = 0; frame < HEAP_ALONE; frame++) timers[0]!.at(frame === 0 ? 20 : 10, frame);
  const [inWheel, inHeap] = [HEAP_ALONE, HEAP_ALONE + 1];
  timers[0]!.at(1e6, inWheel);
  scheduler.run(10);
  timers[1]!.at(1e6, inHeap);
  scheduler.run(1e6);
  expect(seen.slice(HEAP_ALONE)).toEqual([
    [1e6, 0, inWheel],
    [1e6, 1, inHeap],
  ]);
});

it('does not mistake what is due soon for what is due when the wheel has turned once', () => {
  const [TICK_NS, SLOTS] = [131_072, 16_384];
  const { scheduler, seen, timers } = setUp();
  const frames = (from: number): number[] => Array.from({ length: HEAP_ALONE }, (_, i) => from + i);
  const at = (tick: number, ...each: number[]): void => {
    for (const frame of each) timers[0]!.at(tick * TICK_NS, frame);
  };
  const [inHeap, inWheel] = [frames(0), frames(HEAP_ALONE)];
  const [first, second, soon, afterThat, late] = frames(2 * HEAP_ALONE);
  at(14, afterThat!);
  at(9, ...inHeap);
  at(10, ...inWheel);
  at(12, soon!);
  at(SLOTS + 7, late!);
  scheduler.run(9 * TICK_NS);
  // Now the wheel begins after tick 10, and these are due before that.
  at(5, first!);
  at(6, second!);
  scheduler.run(14 * TICK_NS);
  expect(seen.map(([, , frame]) => frame)).toEqual([...inHeap, first, second, ...inWheel, soon, afterThat]);
  expect(scheduler.nextDeadlineNs).toBe((SLOTS + 7) * TICK_NS);
});

it.each(['at', 'inLine'] as const)('a stage may set timers when one is due: %s', (method) => {
  const rig = setUp(3);
  rig.onDue = (deadlineNs, stage, frame) => {
    if (deadlineNs < 30) rig.timers[stage]![method](deadlineNs + 10, frame);
  };
  for (const frame of [0, 1, 2]) rig.timers[0]![method](10, frame);
  rig.scheduler.run(25);
  expect(rig.seen.map(([deadlineNs, , frame]) => [deadlineNs, frame])).toEqual([
    [10, 0],
    [10, 1],
    [10, 2],
    [20, 0],
    [20, 1],
    [20, 2],
  ]);
  expect(rig.scheduler.nextDeadlineNs).toBe(30);
});

it('grows with what waits alone', () => {
  const { scheduler, seen, timers } = setUp(0);
  for (let frame = 0; frame < 1000; frame++) timers[frame % STAGES]!.at((frame * 7919) % 1000, frame);
  scheduler.run(1000);
  expect(seen.map(([deadlineNs]) => deadlineNs)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
});

it('says whether anything waits in a group with high precision, whichever way it came and went', () => {
  const scheduler = new Scheduler(FRAMES);
  const group = scheduler.of(0).group();
  const other = scheduler.of(1);
  const stage = { push() {}, due() {} };
  const [precise, normal] = [group.for(stage), other.for(stage)];
  normal.at(100, 0);
  precise.inLine(10, 1);
  precise.inLine(20, 2);
  precise.at(15, 3);
  expect(scheduler.isPrecise).toBe(false);
  group.setPrecision('high');
  expect(scheduler.isPrecise).toBe(true);
  scheduler.run(15);
  expect(scheduler.isPrecise).toBe(true);
  scheduler.run(20);
  expect(scheduler.isPrecise).toBe(false);
  precise.at(30, 4);
  expect(scheduler.isPrecise).toBe(true);
  group.setPrecision('normal');
  expect(scheduler.isPrecise).toBe(false);
  group.setPrecision('high');
  expect(scheduler.isPrecise).toBe(true);
  scheduler.cancel(0);
  expect(scheduler.isPrecise).toBe(false);
  expect(scheduler.nextDeadlineNs).toBe(100);
});
