import { describe, expect, it } from 'vitest';
import { numbers, options, RECORD_BYTES, setUp } from './helper.ts';

/** Two records fill a buffer; nothing is handed over early. */
const slow = { ...options, bufferBytes: 2 * RECORD_BYTES, readTimeoutMs: 0 };

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const open = Symbol();
  return (await Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 20, open))])) !== open;
};

describe('a non-blocking read', () => {
  it('throws EWOULDBLOCK when nothing is captured, and hands over whatever is', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, slow);
    await expect(descriptor.read({ nonblocking: true })).rejects.toMatchObject({ code: 'EWOULDBLOCK' });
    tap(1);
    expect(numbers(await descriptor.read({ nonblocking: true }))).toEqual([0]);
  });

  it('does not wait behind a reader that does', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, slow);
    const waiting = descriptor.read();
    tap(1);
    expect(numbers(await descriptor.read({ nonblocking: true }))).toEqual([0]);
    tap(3, 1, 1);
    expect(numbers(await waiting)).toEqual([1, 2]);
  });

  it('gives undefined, not EWOULDBLOCK, once the interface is gone and everything was read', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, slow);
    tap(1);
    await table.detachAll(0);
    expect(numbers(await descriptor.read({ nonblocking: true }))).toEqual([0]);
    expect(await descriptor.read({ nonblocking: true })).toBeUndefined();
    await descriptor.close();
    expect(await descriptor.read({ nonblocking: true })).toBeUndefined();
  });
});

describe('the read timeout', () => {
  it('gives an empty batch when that is asked for, as bpfread() does', async () => {
    const { table, attachment } = setUp();
    const descriptor = await table.attach(attachment, { ...options, readTimeoutMs: 5 });
    expect(await descriptor.read({ emptyOnTimeout: true })).toEqual(new Uint8Array(0));
  });

  it('is not put off by others who wait', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...options, bufferBytes: 65_536, readTimeoutMs: 40 });
    const read = descriptor.read();
    let count = 0;
    const traffic = setInterval(() => {
      tap(1, 1, count++);
      // Asks, and so has everybody look again at the next record.
      void descriptor.poll(1);
    }, 2);
    expect(numbers(await read).length).toBeGreaterThan(0);
    clearInterval(traffic);
    await descriptor.close();
  });
});

describe('poll()', () => {
  it.each([
    ['nothing', slow, 0, false],
    ['one record of two, not immediate', slow, 1, false],
    ['one record, immediate', { ...slow, immediate: true }, 1, true],
    ['a hold buffer', slow, 3, true],
  ])('with %s', async (_what, how, count, expected) => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, how);
    tap(count);
    expect(await descriptor.poll(0)).toBe(expected);
  });

  it('is true at once for a descriptor that is closed or whose interface is gone', async () => {
    const { table, attachment } = setUp();
    const descriptor = await table.attach(attachment, slow);
    const waiting = descriptor.poll();
    await table.detachAll(0);
    expect([await waiting, await descriptor.poll(0)]).toEqual([true, true]);
    await descriptor.close();
    expect(await descriptor.poll(0)).toBe(true);
  });

  it('is true for a store that is not full when the read timeout is over, and then a read does not wait', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...slow, readTimeoutMs: 5 });
    tap(1);
    expect(await descriptor.poll(1)).toBe(false);
    expect(await descriptor.poll()).toBe(true);
    descriptor.setReadTimeout(0);
    expect(numbers(await descriptor.read())).toEqual([0]);
  });

  it('wakes for the record that makes it true', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...slow, immediate: true });
    const polled = descriptor.poll();
    expect(await settled(polled)).toBe(false);
    tap(1);
    expect(await polled).toBe(true);
  });
});

describe('a batch that was taken', () => {
  it('is the hold buffer itself, which nobody writes to until it is given back', async () => {
    const { arena, table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, slow);
    tap(2);
    const held = await descriptor.take({ nonblocking: true });
    expect(held!.bytes.buffer).toBe(arena.u8.buffer);
    tap(5, 1, 2);
    await descriptor.flush();
    tap(1, 1, 9);
    expect(numbers(held!.bytes)).toEqual([0, 1]);
    await held!.release();
    await held!.release();
    expect(numbers(await descriptor.read({ nonblocking: true }))).toEqual([9]);
  });

  it('keeps other readers out, and wakes them when it is given back', async () => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, { ...slow, immediate: true });
    tap(1);
    const held = await descriptor.take();
    tap(1, 1, 1);
    const [polled, next] = [descriptor.poll(), descriptor.take()];
    await expect(descriptor.read({ nonblocking: true })).rejects.toMatchObject({ code: 'EWOULDBLOCK' });
    expect(await settled(Promise.race([polled, next]))).toBe(false);
    await held!.release();
    expect(numbers((await next)!.bytes)).toEqual([1]);
  });

  it('stays as it is when the descriptor is closed; its memory is given back with it', async () => {
    const { table, heap, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, slow);
    tap(2);
    const held = await descriptor.take({ nonblocking: true });
    await descriptor.close();
    expect(heap.usedBytes).toBeGreaterThan(0);
    // Another descriptor gets the record, and must not lose its hold buffer to the late release.
    const next = await table.attach(attachment, { ...slow, immediate: true });
    tap(3, 1, 5);
    expect(numbers(held!.bytes)).toEqual([0, 1]);
    await held!.release();
    expect(numbers(await next.read())).toEqual([5, 6]);
    await next.close();
    expect(heap.usedBytes).toBe(0);
  });
});

describe('a descriptor that was detached', () => {
  it.each([false, true])('gives what it has captured, no more, then the end; locked: %s', async (locked) => {
    const { table, attachment, tap } = setUp();
    const descriptor = await table.attach(attachment, slow);
    if (locked) descriptor.lock();
    tap(3);
    await descriptor.detach();
    tap(1, 1, 9);
    expect(descriptor.status()).toMatchObject({ attached: false, received: 3, accepted: 3, dropped: 0 });
    expect(numbers(await descriptor.read())).toEqual([0, 1]);
    expect(numbers(await descriptor.read())).toEqual([2]);
    expect(await descriptor.read()).toBeUndefined();
    await descriptor.detach();
    expect(table.list()).toEqual([descriptor]);
    await descriptor.close();
    expect(table.list()).toEqual([]);
  });
});
