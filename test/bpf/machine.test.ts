/** The buffers of a descriptor against the plainest form of what they are to do, in every order of what may happen. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Descriptor } from '../../src/bpf/descriptor.ts';
import { DIRECTION_IN } from '../../src/bpf/record.ts';
import type { HeldBatch } from '../../src/bpf/types.ts';
import { assemble, Program } from '../../vm/index.ts';
import { type Fixture, numbers, options, RECORD_BYTES, setUp } from './helper.ts';

const CAPACITY = 3;
const all = Program.from([]);
const odd = assemble('ldb [0]\njset #1, yes, no\nyes: ret #65535\nno: ret #0');

/** Numbers of the frames in each buffer, as FreeBSD's bpfdesc.h has them. */
class Model {
  store: number[] = [];
  hold: number[] | undefined;
  inUse = false;
  onlyOdd = false;
  locked = false;
  received = 0;
  accepted = 0;
  dropped = 0;

  tap(frame: number): void {
    this.received++;
    if (this.onlyOdd && frame % 2 === 0) return;
    this.accepted++;
    if (this.store.length === CAPACITY) {
      if (this.hold !== undefined) {
        this.dropped++;
        return;
      }
      this.hold = this.store;
      this.store = [];
    }
    this.store.push(frame);
  }

  /** What a non-blocking read finds; undefined is EWOULDBLOCK. */
  take(): number[] | undefined {
    if (this.inUse) return undefined;
    if (this.hold === undefined && this.store.length > 0) {
      this.hold = this.store;
      this.store = [];
    }
    return this.hold;
  }

  reset(): void {
    this.store = [];
    if (!this.inUse) this.hold = undefined;
    this.received = 0;
    this.accepted = 0;
    this.dropped = 0;
  }
}

type System = Fixture & { descriptor: Descriptor; held: HeldBatch | undefined; next: number };
type Step = fc.AsyncCommand<Model, System>;

const wouldBlock = (error: { code: string }): undefined => {
  expect(error.code).toBe('EWOULDBLOCK');
  return undefined;
};

async function check(model: Model, { descriptor, held }: System): Promise<void> {
  const { received, accepted, dropped, storeBytes, holdBytes, locked } = descriptor.status();
  expect({ received, accepted, dropped, locked }).toEqual({
    received: model.received,
    accepted: model.accepted,
    dropped: model.dropped,
    locked: model.locked,
  });
  expect([storeBytes, holdBytes]).toEqual([
    model.store.length * RECORD_BYTES,
    (model.hold?.length ?? 0) * RECORD_BYTES,
  ]);
  // Whatever happens meanwhile, what was taken stays as it is.
  if (held !== undefined) expect(numbers(held.bytes)).toEqual(model.hold);
  expect(await descriptor.poll(0)).toBe(!model.inUse && model.hold !== undefined);
}

const step = (
  name: string,
  possible: (model: Model) => boolean,
  act: (model: Model, system: System) => Promise<void>,
): Step => ({
  check: possible,
  run: async (model, system) => {
    await act(model, system);
    await check(model, system);
  },
  toString: () => name,
});
const always = (): boolean => true;

const steps: fc.Arbitrary<Step>[] = [
  fc.integer({ min: 1, max: 2 * CAPACITY + 1 }).map((count) =>
    step(`tap ${count}`, always, async (model, system) => {
      system.tap(count, DIRECTION_IN, system.next);
      for (let i = 0; i < count; i++) model.tap((system.next + i) % 256);
      system.next = (system.next + count) % 256;
    }),
  ),
  fc.constant(
    step('read', always, async (model, { descriptor }) => {
      const batch = await descriptor.read({ nonblocking: true }).catch(wouldBlock);
      expect(batch && numbers(batch)).toEqual(model.take());
      if (!model.inUse) model.hold = undefined;
    }),
  ),
  fc.constant(
    step('take', always, async (model, system) => {
      const held = await system.descriptor.take({ nonblocking: true }).catch(wouldBlock);
      const expected = model.take();
      expect(held && numbers(held.bytes)).toEqual(expected);
      if (held === undefined) return;
      system.held = held;
      model.inUse = true;
    }),
  ),
  fc.constant(
    step(
      'release',
      (model) => model.inUse,
      async (model, system) => {
        await system.held!.release();
        await system.held!.release();
        system.held = undefined;
        model.inUse = false;
        model.hold = undefined;
      },
    ),
  ),
  fc.constant(
    step('flush', always, async (model, { descriptor }) => {
      await descriptor.flush();
      model.reset();
    }),
  ),
  fc.tuple(fc.boolean(), fc.boolean()).map(([onlyOdd, keep]) =>
    step(
      `filter ${onlyOdd ? 'odd' : 'all'} ${keep ? 'keep' : 'reset'}`,
      always,
      async (model, { descriptor }) => {
        const set = descriptor.setFilter('', onlyOdd ? odd : all, keep);
        if (model.locked) {
          await expect(set).rejects.toMatchObject({ code: 'EPERM' });
          return;
        }
        await set;
        model.onlyOdd = onlyOdd;
        if (!keep) model.reset();
      },
    ),
  ),
  fc.constant(
    step('lock', always, async (model, { descriptor }) => {
      descriptor.lock();
      model.locked = true;
    }),
  ),
];

describe('a descriptor', () => {
  it('does with its buffers what the model does, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { size: '+1' }), async (commands) => {
        const fixture = setUp();
        const how = { ...options, bufferBytes: CAPACITY * RECORD_BYTES, readTimeoutMs: 0 };
        const descriptor = await fixture.table.attach(fixture.attachment, how);
        const system: System = { ...fixture, descriptor, held: undefined, next: 0 };
        await fc.asyncModelRun(() => ({ model: new Model(), real: system }), commands);
        await descriptor.close();
        await system.held?.release();
        expect(fixture.heap.usedBytes).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('gives each frame to one of its readers, or says it was dropped, whoever reads how', async () => {
    const ways = fc.array(fc.constantFrom('read', 'take', 'poll'), { minLength: 2, maxLength: 4 });
    const traffic = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 5, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(ways, traffic, fc.boolean(), async (readers, bursts, immediate) => {
        const { table, attachment, tap } = setUp();
        const how = { ...options, bufferBytes: CAPACITY * RECORD_BYTES, readTimeoutMs: 1, immediate };
        const descriptor = await table.attach(attachment, how);
        const seen: number[] = [];
        const reading = readers.map((way) => readToTheEnd(descriptor, way, seen));
        let next = 0;
        for (const burst of bursts) {
          tap(burst, DIRECTION_IN, next);
          next += burst;
          await turn();
        }
        await table.detachAll(0);
        await Promise.all(reading);
        const { received, accepted, dropped } = descriptor.status();
        expect([received, accepted]).toEqual([next, next]);
        expect(seen.length).toBe(next - dropped);
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
        await descriptor.close();
      }),
      { numRuns: 60 },
    );
  });
});

/** Reads until the interface is gone and everything was read; `seen` gets the numbers in the order of the buffers. */
async function readToTheEnd(descriptor: Descriptor, way: string, seen: number[]): Promise<void> {
  for (;;) {
    if (way === 'poll') await descriptor.poll();
    const nonblocking = way === 'poll';
    const held = await descriptor.take({ nonblocking }).catch(wouldBlock);
    if (held === undefined && !nonblocking) return;
    if (held === undefined) {
      if (!descriptor.attached && descriptor.status().holdBytes + descriptor.status().storeBytes === 0)
        return;
      await turn();
      continue;
    }
    seen.push(...numbers(held.bytes));
    if (way === 'take') await turn();
    await held.release();
  }
}
