/**
 * Running code inside another network namespace: setns(2) there and back around a synchronous function.
 *
 * setns moves the calling thread only, so everything between must be synchronous: after an `await` other code of the
 * thread would run in the wrong namespace. Sockets and devices made inside stay in that namespace for good.
 */
import { CLONE_NEWNET, check, close, errno, O_CLOEXEC, open, SystemError, setns } from '../sys/libc.ts';

/** The thread could not return to its own namespace. Nothing it does after that can be trusted: end the process. */
class NamespaceLostError extends Error {
  constructor(name: string, cause: unknown) {
    super(`cannot return from network namespace ${name}; this process must end`, { cause });
    this.name = 'NamespaceLostError';
  }
}

export type NamespaceRef = {
  /** An open file of the namespace, as /run/netns/NAME. */
  readonly fd: number;
  readonly name: string;
};

/**
 * Calls `action` inside the namespace and returns what it returns. Throws SystemError when the namespace cannot be
 * entered (EPERM without CAP_SYS_ADMIN), NamespaceLostError when there is no way back.
 */
export function inNamespace<T>(namespace: NamespaceRef, action: () => T): T {
  const own = check(open('/proc/thread-self/ns/net', O_CLOEXEC), 'open', '/proc/thread-self/ns/net');
  try {
    if (setns(namespace.fd, CLONE_NEWNET) === -1) {
      const advice = 'entering a network namespace needs root or CAP_SYS_ADMIN';
      throw new SystemError('setns', namespace.name, errno(), advice);
    }
    try {
      return action();
    } finally {
      if (setns(own, CLONE_NEWNET) === -1) {
        // biome-ignore lint/correctness/noUnsafeFinally: being in the wrong namespace is worse than what `action` threw.
        throw new NamespaceLostError(namespace.name, new SystemError('setns', 'own namespace', errno()));
      }
    }
  } finally {
    close(own);
  }
}
