/**
 * The system calls that Node does not offer, through koffi: every call into libc of this project is declared here.
 *
 * Buffers are passed by address: `addressOf()` gives where a buffer starts, and callers add an offset. So the data
 * plane reads and writes frames anywhere in the arena without making a view per frame. A call that fails returns
 * -1, as in C; `errno()` tells why, and `check()` turns it into a SystemError for the paths that are not hot.
 *
 * All calls are synchronous. In the control thread use only those that cannot block.
 */
import { constants } from 'node:os';
import koffi from 'koffi';

const libc = koffi.load(null);

type BufferLike = Uint8Array | Int32Array;

const memcpyAddress = libc.func('uintptr_t memcpy(void *, void *, size_t)') as (
  a: BufferLike,
  b: BufferLike,
  n: number,
) => number | bigint;

/** The address of a buffer's first byte. The caller keeps the buffer alive as long as it uses the address. */
export function addressOf(buffer: BufferLike): number {
  return Number(memcpyAddress(buffer, buffer, 0));
}

/** read(2) of at most `length` bytes into `address`. Returns the number of bytes, or -1. */
export const read: (fd: number, address: number, length: number) => number = libc.func(
  'long read(int, uintptr_t, size_t)',
);

/** write(2) of `length` bytes from `address`. Returns the number of bytes, or -1. */
export const write: (fd: number, address: number, length: number) => number = libc.func(
  'long write(int, uintptr_t, size_t)',
);

/** writev(2) of `count` iovecs at the address `parts`. Returns the number of bytes, or -1. */
export const writev: (fd: number, parts: number, count: number) => number = libc.func(
  'long writev(int, uintptr_t, int)',
);

/** preadv2(2) and pwritev2(2) where the file stands, with RWF_ flags. Return the number of bytes, or -1. */
const vectored = 'int, uintptr_t, int, long, int';
type Vectored = (fd: number, parts: number, count: number, offset: -1, flags: number) => number;
export const preadv2: Vectored = libc.func(`long preadv2(${vectored})`);
export const pwritev2: Vectored = libc.func(`long pwritev2(${vectored})`);
/** Do not wait, whatever the file's own O_NONBLOCK says. */
export const RWF_NOWAIT = 8;

/** ppoll(2): `fds` is the address of `count` pollfd records, `timeout` that of a timespec, or 0 to wait for ever. */
export const ppoll: (fds: number, count: number, timeout: number, signalMask: number) => number = libc.func(
  'int ppoll(uintptr_t, unsigned long, uintptr_t, uintptr_t)',
);

/** epoll_create1(2). */
export const epollCreate: (flags: number) => number = libc.func('int epoll_create1(int)');

/** epoll_ctl(2); `event` is the address of an epoll_event, or 0. */
export const epollCtl: (epoll: number, operation: number, fd: number, event: number) => number = libc.func(
  'int epoll_ctl(int, int, int, uintptr_t)',
);

/** epoll_wait(2) into `count` epoll_event records at the address `events`; `timeout` in milliseconds. */
export const epollWait: (epoll: number, events: number, count: number, timeout: number) => number = libc.func(
  'int epoll_wait(int, uintptr_t, int, int)',
);

/** The C library's syscall(2), for calls that it does not name everywhere. */
const epollPwait2Call: (
  number: number,
  epoll: number,
  events: number,
  count: number,
  timeout: number,
  signalMask: number,
  maskBytes: number,
) => number = libc.func('long syscall(long, int, uintptr_t, int, uintptr_t, uintptr_t, size_t)');
/** The same on all architectures. glibc has it since 2.35, musl not yet. */
const SYS_epoll_pwait2 = 441;

/** epoll_pwait2(2) like epoll_wait(2), but `timeout` is the address of a timespec, or 0 to wait for ever. */
export function epollPwait2(epoll: number, events: number, count: number, timeout: number): number {
  return epollPwait2Call(SYS_epoll_pwait2, epoll, events, count, timeout, 0, 0);
}

/** Calls of io_uring(7), by syscall(2); the numbers are the same on all architectures. */
const SYS_io_uring_setup = 425;
const SYS_io_uring_enter = 426;
const ioUringSetupCall: (number: number, entries: number, parameters: Int32Array) => number = libc.func(
  'long syscall(long, unsigned int, void *)',
);
const ioUringEnterCall: (
  number: number,
  fd: number,
  submit: number,
  complete: number,
  flags: number,
  argument: number,
  argumentBytes: number,
) => number = libc.func(
  'long syscall(long, unsigned int, unsigned int, unsigned int, unsigned int, uintptr_t, size_t)',
);

/** io_uring_setup(2) with a struct io_uring_params, which it fills in. */
export function ioUringSetup(entries: number, parameters: Int32Array): number {
  return ioUringSetupCall(SYS_io_uring_setup, entries, parameters);
}

/** io_uring_enter(2) without an argument. Returns how many entries were submitted, or -1. */
export function ioUringEnter(fd: number, submit: number, complete: number, flags: number): number {
  return ioUringEnterCall(SYS_io_uring_enter, fd, submit, complete, flags, 0, 0);
}

/** An address in koffi's keeping. */
export type Pointer = bigint | object;

const mmap: (a: number, bytes: number, protection: number, flags: number, fd: number, at: number) => Pointer =
  libc.func('void *mmap(uintptr_t, size_t, int, int, int, long)');
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_POPULATE = 0x8000;

/** munmap(2). No view of the memory may be used after it. */
export const munmap: (address: Pointer, bytes: number) => number = libc.func('int munmap(void *, size_t)');

/** Maps memory of a file, to be read and written by both sides: mmap(2). Throws SystemError. */
export function mapFile(fd: number, offset: number, bytes: number): Pointer {
  const address = mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  // MAP_FAILED is -1.
  if (BigInt.asIntN(64, koffi.address(address)) === -1n) throw new SystemError('mmap', `file ${fd}`, errno());
  return address;
}

/** Mapped memory as words. */
export function mappedWords(address: Pointer, bytes: number): Int32Array {
  return new Int32Array(koffi.view(address, bytes));
}

/** open(2). */
export const open: (path: string, flags: number) => number = libc.func('int open(const char *, int)');

/** close(2). */
export const close: (fd: number) => number = libc.func('int close(int)');

/** ioctl(2) with a buffer argument. */
export const ioctl: (fd: number, request: number, argument: BufferLike) => number = libc.func(
  'int ioctl(int, unsigned long, void *)',
);

/** ioctl(2) with an integer argument. */
export const ioctlValue: (fd: number, request: number, argument: number) => number = libc.func(
  'int ioctl(int, unsigned long, unsigned long)',
);

/** fcntl(2) with an integer argument. */
export const fcntl: (fd: number, command: number, argument: number) => number =
  libc.func('int fcntl(int, int, int)');

/** eventfd(2). */
export const eventfd: (initial: number, flags: number) => number = libc.func(
  'int eventfd(unsigned int, int)',
);

/** setns(2): moves the calling thread, and only that one, into the namespace that `fd` refers to. */
export const setns: (fd: number, type: number) => number = libc.func('int setns(int, int)');

/** flock(2). */
export const flock: (fd: number, operation: number) => number = libc.func('int flock(int, int)');

/** prctl(2) with one integer argument. */
export const prctl: (option: number, argument: number) => number = libc.func('int prctl(int, unsigned long)');

/** getsockopt(2); `length` holds the size of `value` and receives what was written. */
export const getsockopt: (
  fd: number,
  level: number,
  option: number,
  value: BufferLike,
  length: Int32Array,
) => number = libc.func('int getsockopt(int, int, int, void *, void *)');

/** setsockopt(2). */
export const setsockopt: (
  fd: number,
  level: number,
  option: number,
  value: BufferLike,
  length: number,
) => number = libc.func('int setsockopt(int, int, int, void *, unsigned int)');

/** inet_pton(3): the bytes of an address in network order, into `bytes`; 1 when it was one. */
export const inetPton: (family: number, text: string, bytes: BufferLike) => number = libc.func(
  'int inet_pton(int, const char *, void *)',
);

/** setxattr(2). */
export const setxattr: (
  path: string,
  name: string,
  value: BufferLike,
  length: number,
  flags: number,
) => number = libc.func('int setxattr(const char *, const char *, void *, size_t, int)');
/** socket(2). */
export const socket: (domain: number, type: number, protocol: number) => number =
  libc.func('int socket(int, int, int)');

/** bind(2). */
export const bind: (fd: number, address: BufferLike, length: number) => number = libc.func(
  'int bind(int, void *, unsigned int)',
);

/** socketpair(2): two open files. */
export const socketpair: (domain: number, type: number, protocol: number, fds: BufferLike) => number =
  libc.func('int socketpair(int, int, int, void *)');

/** sendto(2). */
export const sendto: (
  fd: number,
  bytes: BufferLike,
  length: number,
  flags: number,
  address: BufferLike,
  addressLength: number,
) => number = libc.func('long sendto(int, void *, size_t, int, void *, unsigned int)');

/** sendmsg(2) of the msghdr at `message`. */
export const sendmsg: (fd: number, message: number, flags: number) => number = libc.func(
  'long sendmsg(int, uintptr_t, int)',
);

/** recvmsg(2) into the msghdr at `message`. */
export const recvmsg: (fd: number, message: number, flags: number) => number = libc.func(
  'long recvmsg(int, uintptr_t, int)',
);

/** madvise(2). */
export const madvise: (address: number, length: number, advice: number) => number = libc.func(
  'int madvise(uintptr_t, size_t, int)',
);

/** clock_gettime(2) into a timespec at `address`. */
export const clockGettime: (clock: number, address: number) => number = libc.func(
  'int clock_gettime(int, uintptr_t)',
);

/** errno of the calling thread after a call that returned -1. */
export const errno: () => number = () => koffi.errno();

export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
export const AF_UNIX = 1;
export const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
export const CLONE_NEWNET = 0x40000000;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const PR_SET_TIMERSLACK = 29;
export const SOL_SOCKET = 1;
export const SO_PEERCRED = 17;
export const SO_PEERGROUPS = 59;
export const CLOCK_REALTIME = 0;
export const MADV_DONTNEED = 4;
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const POLLIN = 1;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLNVAL = 32;

/** Of two names for one value the first: EAGAIN, not EWOULDBLOCK. */
const errnoNames = new Map(
  Object.entries(constants.errno)
    .reverse()
    .map(([name, value]) => [value, name]),
);

/** The name of an errno value, as `EBUSY`. */
export function errnoName(value: number): string {
  return errnoNames.get(value) ?? `errno ${value}`;
}

/** A system call that failed: which call, on what, and why. `message` reads `call object: ENAME`, then the advice. */
export class SystemError extends Error {
  readonly syscall: string;
  readonly object: string;
  readonly code: string;

  constructor(syscall: string, object: string, errnoValue: number, advice?: string) {
    const code = errnoName(errnoValue);
    super(`${syscall} ${object}: ${code}${advice ? `; ${advice}` : ''}`);
    this.name = 'SystemError';
    this.syscall = syscall;
    this.object = object;
    this.code = code;
  }
}

/** Passes a call's result on, or throws a SystemError when it is -1. */
export function check(result: number, syscall: string, object: string, advice?: string): number {
  if (result === -1) throw new SystemError(syscall, object, errno(), advice);
  return result;
}
