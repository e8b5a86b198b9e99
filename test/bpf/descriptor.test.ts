import { describe, expect, it } from 'vitest';
import { FIRST_WORKER } from '../../src/arena/arena.ts';
import { unlock } from '../../src/arena/mutex.ts';
import { bpfPeersPresent } from '../../src/bpf/bpf-if.ts';
import { DIRECTION_IN, DIRECTION_OUT, frames } from '../../src/bpf/record.ts';
import { assemble, Program } from '../../vm/index.ts';
import { numbers, options, RECORD_BYTES, setUp } from './helper.ts';

describe('peers present', () => {
  it('is true exactly while something is attached', async () => {
    const { arena, table, attachment } = setUp();
    expect(bpfPeersPresent(arena, 0)).toBe(false);
    const [one, two] = [await table.attach(attachment, options), await table.attach(attachment, options)];
    await one.close();
    expect(bpfPeersPresent(arena, 0)).toBe(true);
    expect(bpfPeersPresent(arena, 1)).toBe(false);
    await two.close();
    expect(bpfPeersPresent(arena, 0)).toBe(false);
  });
});

describe('store, hold and free buffers', () => {
  it('hand over a full buffer, go on with the other, and count what finds no room', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, bufferBytes: 2 * RECORD_BYTES });
    tap(5);
    expect(descriptor.status()).toMatchObject({ received: 5, accepted: 5, dropped: 1, capturedBytes: 400 });
    expect(numbers(await descriptor.read())).toEqual([0, 1]);
    tap(1, DIRECTION_IN, 9);
    expect(numbers(await descriptor.read())).toEqual([2, 3]);
    expect(numbers(await descriptor.read())).toEqual([9]);
  });

  it('cut a frame to the snap length of the verdict and to the buffer', async () => {
    const { table, attachment, tap } = setUp();
    const snap = await table.attach(attachment, { ...options, program: assemble('ret #7') });
    const small = await table.attach(attachment, { ...options, bufferBytes: 40 });
    tap(1);
    expect([...frames((await snap.read())!)]).toMatchObject([{ wireLength: 100, bytes: { length: 7 } }]);
    expect([...frames((await small.read())!)]).toMatchObject([{ wireLength: 100, bytes: { length: 16 } }]);
  });
});

describe('a buffer size that is no multiple of the alignment', () => {
  it.each([33, 124, 1023, 1500])(
    'of %d bytes loses nothing that fits and hands over no empty buffer',
    async (bufferBytes) => {
      const { table, attachment, tap } = setUp();
      const descriptor = await table.attach(attachment, { ...options, bufferBytes });
      const each = Math.max(1, Math.floor((bufferBytes - RECORD_BYTES + 4) / RECORD_BYTES) + 1);
      tap(2 * each + 1);
      expect(descriptor.status().dropped).toBe(1);
      expect(numbers(await descriptor.read())).toHaveLength(each);
      expect(numbers(await descriptor.read())).toHaveLength(each);
    },
  );
});

describe('a descriptor', () => {
  it('sees only the direction it asked for, and counts only that as received', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, direction: 'out' });
    tap(2, DIRECTION_IN);
    tap(3, DIRECTION_OUT);
    expect(descriptor.status()).toMatchObject({ received: 3, accepted: 3 });
    expect([...frames((await descriptor.read())!)].map((each) => each.direction)).toEqual([
      'out',
      'out',
      'out',
    ]);
  });

  it('counts as received what the filter rejects', async () => {
    const { table, attachment, tap } = setUp();
    const odd = assemble('ldb [0]\njset #1, yes, no\nyes: ret #65535\nno: ret #0');
    const descriptor = await table.attach(attachment, { ...options, program: odd });
    tap(5);
    expect(descriptor.status()).toMatchObject({ received: 5, accepted: 2 });
    expect(numbers(await descriptor.read())).toEqual([1, 3]);
  });

  it('with immediate delivers a single frame to a reader that waits', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, immediate: true, readTimeoutMs: 60_000 });
    const read = descriptor.read();
    await new Promise((resolve) => setTimeout(resolve, 5));
    tap(1);
    expect(numbers(await read)).toEqual([0]);
  });

  it('without immediate collects frames until the read timeout', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, readTimeoutMs: 40 });
    const read = descriptor.read();
    await new Promise((resolve) => setTimeout(resolve, 5));
    tap(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    tap(1, DIRECTION_IN, 1);
    expect(numbers(await read)).toEqual([0, 1]);
  });

  it('gives every record to exactly one of two readers', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, bufferBytes: 2 * RECORD_BYTES });
    const reads = [descriptor.read(), descriptor.read()];
    tap(4);
    expect((await Promise.all(reads)).map(numbers)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it('resets buffers and counters when the filter is set, not when it is set with keep', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, options);
    tap(3);
    await descriptor.setFilter('none', assemble('ret #0'), true);
    expect(descriptor.status()).toMatchObject({ received: 3, filter: 'none' });
    tap(1);
    expect(numbers(await descriptor.read())).toEqual([0, 1, 2]);
    await descriptor.setFilter('all', assemble('ret #1'), false);
    expect(descriptor.status()).toMatchObject({ received: 0, accepted: 0, dropped: 0, capturedBytes: 0 });
  });

  it('that is flushed while it is read gives nothing from before', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, immediate: true });
    tap(3);
    const read = descriptor.read();
    const flushed = descriptor.flush();
    await flushed;
    tap(1, DIRECTION_IN, 7);
    const seen = numbers(await read);
    expect(seen).toEqual(seen.includes(7) ? [7] : [0, 1, 2]);
    expect(descriptor.status().received).toBe(1);
  });

  it('whose interface goes away while its reader waits gives the rest first', async () => {
    const { arena, table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, readTimeoutMs: 60_000 });
    tap(1);
    // The lock is taken: reader and detach queue up for it, in this order.
    const word = arena.bpfIfWord(0);
    arena.i32[word] = FIRST_WORKER;
    const read = descriptor.read();
    const detached = table.detachAll(0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    unlock(arena, word);
    await detached;
    expect(numbers(await read)).toEqual([0]);
    expect(await descriptor.read()).toBeUndefined();
  });

  it('whose interface goes away delivers what it has, then the end', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, readTimeoutMs: 60_000 });
    tap(2);
    await table.detachAll(0);
    expect(descriptor.status().attached).toBe(false);
    expect(numbers(await descriptor.read())).toEqual([0, 1]);
    expect(await descriptor.read()).toBeUndefined();
    await expect(descriptor.write(new Uint8Array(60))).rejects.toMatchObject({ code: 'ENXIO' });
  });

  it('that is closed ends a waiting reader and gives its memory back', async () => {
    const { table, attachment, heap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, program: assemble('ret #1') });
    expect(heap.usedBytes).toBeGreaterThan(8192);
    const read = descriptor.read();
    await descriptor.close();
    expect(await read).toBeUndefined();
    expect(heap.usedBytes).toBe(0);
    expect(table.list()).toEqual([]);
  });

  it('cannot be attached to an interface that has gone since it was looked up', async () => {
    const { arena, heap, table, attachment } = setUp();
    await expect(table.attach({ ...attachment, generation: 1 }, options)).rejects.toMatchObject({
      code: 'ENXIO',
    });
    expect(bpfPeersPresent(arena, 0)).toBe(false);
    expect(heap.usedBytes).toBe(0);
  });

  it('is refused with ENOBUFS when records or memory run out, EINVAL for a wrong buffer size', async () => {
    const { table, attachment } = setUp();
    await expect(table.attach(attachment, { ...options, bufferBytes: 31 })).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await expect(table.attach(attachment, { ...options, bufferBytes: 2 ** 20 })).rejects.toMatchObject({
      code: 'ENOBUFS',
    });
    const linux = Program.from([{ code: 6, jt: 0, jf: 0, k: 1 }], { dialect: 'linux' });
    await expect(table.attach(attachment, { ...options, program: linux })).rejects.toThrow(
      /bsd dialect, not linux/,
    );
    for (let i = 0; i < 4; i++) await table.attach(attachment, options);
    await expect(table.attach(attachment, options)).rejects.toThrow(/all 4 descriptors/);
  });
});
