/** What a worker waits with: files that become ready, go, come again, and are many. */
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Poller } from '../../src/engine/poller.ts';
import * as libc from '../../src/sys/libc.ts';
import { socketDevice } from '../helpers/socket-device.ts';

const calls = vi.hoisted(() => ({ pwait2Error: 0 }));

vi.mock('../../src/sys/libc.ts', async (original) => {
  const real = await original<typeof libc>();
  return {
    ...real,
    epollPwait2: (...args: Parameters<typeof real.epollPwait2>) =>
      calls.pwait2Error === 0 ? real.epollPwait2(...args) : -1,
    errno: () => (calls.pwait2Error === 0 ? real.errno() : calls.pwait2Error),
  };
});

const { ENOSYS, EPERM } = constants.errno;
const FRAME = new Uint8Array(60);
/** As much as a test waits for what must come. */
const PATIENCE_NS = 5e9;

const cleanUp: (() => void)[] = [];
let poller: Poller<string>;

beforeEach(() => {
  poller = new Poller();
  cleanUp.push(() => poller.close());
});

afterEach(() => {
  calls.pwait2Error = 0;
  for (const step of cleanUp.splice(0).reverse()) step();
});

function device(): ReturnType<typeof socketDevice> {
  const made = socketDevice();
  cleanUp.push(made.closePort, made.close);
  return made;
}

/** What is ready after one wait. */
function readyNow(timeoutNs = 0): (string | undefined)[] {
  return Array.from({ length: poller.wait(timeoutNs) }, (_, i) => poller.ready(i));
}

describe.each([
  ['with epoll_pwait2', 0],
  ['where the kernel does not know epoll_pwait2', ENOSYS],
  ['where a filter forbids epoll_pwait2', EPERM],
])('a poller %s', (_, error) => {
  beforeEach(() => {
    calls.pwait2Error = error;
  });

  it('reports a file until it has been read, and not before', () => {
    const { port, send } = device();
    poller.add(port.fd, 'a');
    expect(readyNow()).toEqual([]);
    send(FRAME);
    expect(readyNow(Number.POSITIVE_INFINITY)).toEqual(['a']);
    expect(readyNow()).toEqual(['a']);
    libc.read(port.fd, libc.addressOf(FRAME), FRAME.length);
    expect(readyNow()).toEqual([]);
  });

  it('waits as long as it is told to, down to nanoseconds, and no longer', () => {
    poller.add(device().port.fd, 'a');
    for (const timeoutNs of [0, 1, 300_000, 1_000_000_001]) {
      const startNs = performance.now() * 1e6;
      expect(readyNow(timeoutNs)).toEqual([]);
      expect(performance.now() * 1e6 - startNs).toBeGreaterThanOrEqual(timeoutNs);
    }
  });
});

describe('a poller', () => {
  it('does not report what has been removed, though it was ready in the same wait', () => {
    const [a, b] = [device(), device()];
    poller.add(a.port.fd, 'a');
    poller.add(b.port.fd, 'b');
    a.send(FRAME);
    b.send(FRAME);
    expect(readyNow(PATIENCE_NS)).toEqual(['a', 'b']);
    poller.remove('b');
    expect([poller.ready(0), poller.ready(1)]).toEqual(['a', undefined]);
    expect(readyNow()).toEqual(['a']);
  });

  it('watches a file again that it was given anew, for something else', () => {
    const { port, send } = device();
    send(FRAME);
    poller.add(port.fd, 'before');
    poller.remove('before');
    poller.remove('before');
    poller.add(port.fd, 'after');
    expect(readyNow(PATIENCE_NS)).toEqual(['after']);
  });

  it('does not report a file that is closed here and open elsewhere', () => {
    const { port, closePort, send } = device();
    const elsewhere = libc.fcntl(port.fd, 0, 0);
    cleanUp.push(() => void libc.close(elsewhere));
    poller.add(port.fd, 'a');
    send(FRAME);
    poller.remove('a');
    closePort();
    expect(readyNow()).toEqual([]);
  });

  it('reports a file whose other end has gone', () => {
    const { port, close } = device();
    poller.add(port.fd, 'a');
    close();
    expect(readyNow(PATIENCE_NS)).toEqual(['a']);
  });

  it('gives each of many that are always ready its turn, the last ones too', () => {
    const names = Array.from({ length: 200 }, (_, i) => `file ${i}`);
    for (const name of names) {
      const { port, send } = device();
      poller.add(port.fd, name);
      send(FRAME);
    }
    const seen: (string | undefined)[] = [];
    while (seen.length < names.length) seen.push(...readyNow());
    expect(new Set(seen.slice(0, names.length))).toEqual(new Set(names));
  });

  it.each([
    ['that is closed', 'EBADF', () => 999_999],
    ['on disk', 'EPERM', () => libc.open(import.meta.filename, 0)],
  ])('refuses a file %s', (_, code, open) => {
    const fd = open();
    cleanUp.push(() => void libc.close(fd));
    expect(() => poller.add(fd, 'a')).toThrow(
      `epoll_ctl file ${fd}: ${code}; a device must be an open file that can be waited for`,
    );
    poller.remove('a');
    expect(readyNow()).toEqual([]);
  });
});
