/**
 * What a worker waits with: the files it watches, by epoll(7), so that a turn costs the same however many there are.
 *
 * Level-triggered: what is not served now is reported again by the next wait(), after the others that are ready. A file
 * must be removed before it is closed: it may be open elsewhere too, and would be reported for ever.
 */
import { arch, constants } from 'node:os';
import {
  addressOf,
  check,
  close,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLIN,
  epollCreate,
  epollCtl,
  epollPwait2,
  epollWait,
  errno,
  POLLIN,
  ppoll,
  SystemError,
} from '../sys/libc.ts';

const { EINTR, ENOSYS, EPERM } = constants.errno;
/** struct epoll_event: 32-bit events, 64-bit data; packed on x86-64 only (epoll_ctl(2)). */
const EVENT_WORDS = arch() === 'x64' ? 3 : 4;
const DATA_WORD = EVENT_WORDS - 2;
/** Of those that are ready, how many one wait() returns. The others come first the next time. */
const MAX_EVENTS = 64;

/** @typeParam Watched what a file stands for */
export class Poller<Watched> {
  readonly #fd: number = check(epollCreate(EPOLL_CLOEXEC), 'epoll_create1', 'of a worker');
  readonly #events: Int32Array = new Int32Array(MAX_EVENTS * EVENT_WORDS);
  readonly #eventsAddress: number = addressOf(this.#events);
  /** struct timespec: 64-bit seconds and nanoseconds. */
  readonly #timeout: Int32Array = new Int32Array(4);
  readonly #timeoutAddress: number = addressOf(this.#timeout);
  /** By file. */
  readonly #watched: (Watched | undefined)[] = [];
  readonly #files: Map<Watched, number> = new Map();
  /** struct pollfd of the epoll file itself, and its address; for systems without epoll_pwait2(2). */
  readonly #self: Int32Array = Int32Array.of(this.#fd, POLLIN);
  readonly #selfAddress: number = addressOf(this.#self);
  #hasPwait2 = true;

  /** Watches a file for what can be read from it, and for errors. Throws SystemError: EBADF, EPERM (a file on disk). */
  add(fd: number, what: Watched): void {
    this.#events[0] = EPOLLIN;
    this.#events[DATA_WORD] = fd;
    const added = epollCtl(this.#fd, EPOLL_CTL_ADD, fd, this.#eventsAddress);
    check(added, 'epoll_ctl', `file ${fd}`, 'a device must be an open file that can be waited for');
    this.#watched[fd] = what;
    this.#files.set(what, fd);
  }

  /** Does not watch it any more, not even if it was ready in the last wait(). Harmless for what is not watched. */
  remove(what: Watched): void {
    const fd = this.#files.get(what);
    if (fd === undefined) return;
    this.#files.delete(what);
    this.#watched[fd] = undefined;
    epollCtl(this.#fd, EPOLL_CTL_DEL, fd, 0);
  }

  /** Sleeps until something is ready, for `timeoutNs` at most; Infinity is for ever, below 0 not at all. Returns how many are. */
  wait(timeoutNs: number): number {
    let timeout = 0;
    if (timeoutNs !== Number.POSITIVE_INFINITY) {
      const seconds = Math.max(0, Math.floor(timeoutNs / 1e9));
      this.#timeout[0] = seconds;
      this.#timeout[2] = Math.max(0, timeoutNs - seconds * 1e9);
      timeout = this.#timeoutAddress;
    }
    const ready = this.#hasPwait2 ? this.#pwait2(timeout) : this.#poll(timeout);
    return Math.max(0, ready);
  }

  /** The `i`th of those that are ready; undefined if it has been removed since. */
  ready(i: number): Watched | undefined {
    return this.#watched[this.#events[i * EVENT_WORDS + DATA_WORD]!];
  }

  close(): void {
    close(this.#fd);
  }

  #pwait2(timeout: number): number {
    const ready = epollPwait2(this.#fd, this.#eventsAddress, MAX_EVENTS, timeout);
    if (ready !== -1) return ready;
    const error = errno();
    if (error === EINTR) return 0;
    // Linux before 5.11, or a seccomp filter that does not know it.
    if (error !== ENOSYS && error !== EPERM) throw new SystemError('epoll_pwait2', 'of a worker', error);
    this.#hasPwait2 = false;
    return this.#poll(timeout);
  }

  /** An epoll file can be polled itself: with ppoll(2), which knows nanoseconds, and then asked without waiting. */
  #poll(timeout: number): number {
    if (ppoll(this.#selfAddress, 1, timeout, 0) <= 0) return 0;
    return epollWait(this.#fd, this.#eventsAddress, MAX_EVENTS, 0);
  }
}
