/** Writes that are submitted together: order, failures, and systems that do not allow it. */
import { constants } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openWriteRing } from '../../src/engine/write-batch.ts';
import * as libc from '../../src/sys/libc.ts';
import { WriteRing } from '../../src/sys/write-ring.ts';
import { type SocketDevice, socketDevice } from '../helpers/socket-device.ts';

const forbidden = vi.hoisted(() => ({ error: 0 }));

vi.mock('../../src/sys/libc.ts', async (original) => {
  const real = await original<typeof libc>();
  return {
    ...real,
    ioUringSetup: (...args: Parameters<typeof real.ioUringSetup>) =>
      forbidden.error === 0 ? real.ioUringSetup(...args) : -1,
    errno: () => forbidden.error || real.errno(),
    check: (result: number, syscall: string, object: string) => {
      if (result === -1 && forbidden.error !== 0)
        throw new real.SystemError(syscall, object, forbidden.error);
      return real.check(result, syscall, object);
    },
  };
});

const { EAGAIN, EBADF, EINVAL, ENOSYS, EPERM } = constants.errno;
const isAllowed = openWriteRing() !== undefined;
if (!isAllowed) console.warn('skipped: this system does not allow io_uring');

const cleanUp: (() => unknown)[] = [];

afterEach(() => {
  forbidden.error = 0;
  for (const step of cleanUp.splice(0).reverse()) step();
});

function device(): SocketDevice {
  const made = socketDevice();
  cleanUp.push(made.closePort, made.close);
  return made;
}

const frames = Uint8Array.from({ length: 256 }, (_, i) => i);

function ringOf(capacity: number): WriteRing {
  const ring = new WriteRing(capacity);
  cleanUp.push(() => ring.close());
  return ring;
}

/** Adds a frame of one byte, its number. */
function add(ring: WriteRing, fd: number, number: number): void {
  ring.add(fd, libc.addressOf(frames) + number, 1);
}

function received({ receive }: SocketDevice): number[] {
  const all: number[] = [];
  for (let frame = receive(); frame; frame = receive()) all.push(frame[0]!);
  return all;
}

function failuresOf(ring: WriteRing): [number, number][] {
  const failures: [number, number][] = [];
  ring.submit((index, error) => failures.push([index, error]));
  return failures;
}

describe.runIf(isAllowed)('a ring of writes', () => {
  it('writes nothing before it is submitted, and then everything in order, to whichever file', () => {
    const [a, b] = [device(), device()];
    const ring = ringOf(8);
    for (const number of [0, 1, 2, 3, 4, 5]) add(ring, (number % 2 === 0 ? a : b).port.fd, number);
    expect([ring.pending, received(a), received(b)]).toEqual([6, [], []]);
    expect(failuresOf(ring)).toEqual([]);
    expect([ring.pending, received(a), received(b)]).toEqual([0, [0, 2, 4], [1, 3, 5]]);
  });

  it('goes round: full or not, as often as one likes', () => {
    const a = device();
    const ring = ringOf(8);
    for (const count of [8, 3, 8, 8, 1, 7, 8, 5, 8]) {
      const numbers = Array.from({ length: count }, (_, i) => i + count);
      for (const number of numbers) add(ring, a.port.fd, number);
      expect(failuresOf(ring)).toEqual([]);
      expect(received(a)).toEqual(numbers);
    }
  });

  it('says which writes failed and why, and carries out the others', () => {
    const a = device();
    const ring = ringOf(8);
    for (const [fd, number] of [
      [999_999, 0],
      [a.port.fd, 1],
      [999_999, 2],
      [a.port.fd, 3],
    ] as const)
      add(ring, fd, number);
    expect(failuresOf(ring)).toEqual([
      [0, EBADF],
      [2, EBADF],
    ]);
    expect(received(a)).toEqual([1, 3]);
    expect(failuresOf(ring)).toEqual([]);
  });

  it('does not wait for a file without room, though its other owner made it blocking', () => {
    const a = device();
    libc.fcntl(a.port.fd, libc.F_SETFL, libc.fcntl(a.port.fd, libc.F_GETFL, 0) & ~libc.O_NONBLOCK);
    const ring = ringOf(64);
    let written = 0;
    for (let failures: [number, number][] = []; failures.length === 0; written += 64 - failures.length) {
      for (let i = 0; i < 64; i++) add(ring, a.port.fd, i);
      failures = failuresOf(ring);
      for (const [, error] of failures) expect(error).toBe(EAGAIN);
    }
    expect(received(a)).toHaveLength(written);
  });
});

describe('openWriteRing()', () => {
  it.each([
    ['a seccomp filter forbids it', 'EPERM', EPERM],
    ['the kernel does not know it', 'ENOSYS', ENOSYS],
    ['the kernel is older', 'EINVAL', EINVAL],
  ])('gives none where %s, and says why when there must be one', (_, name, error) => {
    forbidden.error = error;
    expect(openWriteRing()).toBeUndefined();
    expect(() => openWriteRing('uring')).toThrow(`io_uring_setup 64 entries: ${name}`);
  });

  it('gives none when it is told not to', () => {
    expect(openWriteRing('epoll')).toBeUndefined();
  });

  it('says what can be wished for', () => {
    expect(() => openWriteRing('aio')).toThrow('TAPLAB_IO is "aio"; it may be epoll or uring');
  });
});
