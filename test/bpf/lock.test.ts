/** When the bpf_if lock is given back: whatever happens, and before anything else is done. */
import { expect, it } from 'vitest';
import { CONTROL_THREAD, FIRST_WORKER } from '../../src/arena/arena.ts';
import { bpfTap, versionOf, withBpfIf } from '../../src/bpf/bpf-if.ts';
import { IF_LOCK } from '../../src/bpf/layout.ts';
import { DIRECTION_IN } from '../../src/bpf/record.ts';
import { options, setUp } from './helper.ts';

it('is given back by a tap whose compiled filters fail', async () => {
  const { arena, table, attachment, tap } = setUp();
  const descriptor = await table.attach(attachment, options);
  const failing = {
    version: versionOf(arena, 0),
    match: (): number => {
      throw new RangeError('out of bounds');
    },
    descriptors: new Int32Array(0),
    matchArea: 0,
  };
  const stamp = { seconds: 0, nanoseconds: 0, uptimeSeconds: 0, uptimeNanoseconds: 0 };
  expect(() => bpfTap(arena, FIRST_WORKER, 0, arena.frames, 64, DIRECTION_IN, stamp, failing)).toThrow(
    'out of bounds',
  );
  expect(arena.i32[arena.bpfIfWord(0) + IF_LOCK]).toBe(0);
  tap(1);
  expect(descriptor.status()).toMatchObject({ received: 2, accepted: 1 });
});

it('is given back before what follows, and nothing of the control thread comes in between', async () => {
  const { arena } = setUp();
  const order: string[] = [];
  const locked = (): string => (arena.i32[arena.bpfIfWord(0) + IF_LOCK] === 0 ? 'free' : 'locked');
  const changed = withBpfIf(
    arena,
    CONTROL_THREAD,
    0,
    () => {
      order.push(`critical, ${locked()}`);
      queueMicrotask(() => order.push('another'));
      return 7;
    },
    (result) => order.push(`released ${result}, ${locked()}`),
  );
  expect(await changed).toBe(7);
  expect(order).toEqual(['critical, locked', 'released 7, free', 'another']);
});
