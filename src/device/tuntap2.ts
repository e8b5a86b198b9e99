/**
 * The optional backend `device: tuntap2`: TAP devices through an installed package of that name.
 *
 * taplab does not depend on the package. The original is not on the npm registry any more; a fork installs under the
 * name where a C++ compiler is, see INSTALL. Only the package's constructor and release() are used: it opens its
 * descriptor blocking and would read it through libuv's thread pool, so its streams are never started, and the
 * descriptor is made non-blocking and polled by the data plane as any other.
 */
import { check, F_GETFL, F_SETFL, fcntl, O_NONBLOCK } from '../sys/libc.ts';
import { runTool } from '../sys/tool.ts';
import { inNamespace, type NamespaceRef } from './in-namespace.ts';

const PACKAGE = 'tuntap2';
const INSTALL = 'npm install --no-save tuntap2@npm:@xiaobaidadada/node-tuntap2-wintun@3.0.2';

/** The package is not installed, or is not what it should be. */
export class Tuntap2Error extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'Tuntap2Error';
  }
}

/** What is used of an object of the package's class. */
type PackageDevice = {
  /** Chosen by the kernel, as tap0. */
  readonly name: string;
  readonly fd?: number;
  readonly _fd?: number;
  release(callback?: () => void): void;
};
type TapClass = new () => PackageDevice;

export type Tuntap2Device = {
  readonly fd: number;
  readonly release: () => Promise<void>;
};

/** The TAP class of the installed package: `Tap`, in the fork `LinuxTap`. Throws Tuntap2Error. */
export async function loadTuntap2(): Promise<TapClass> {
  let loaded: Record<string, unknown>;
  try {
    // Not a literal, so that the compiler does not look for a package that is not a dependency.
    const specifier: string = PACKAGE;
    loaded = (await import(specifier)) as Record<string, unknown>;
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const why = isMissing
      ? 'is not installed'
      : `cannot be loaded: ${(error as Error).message.split('\n')[0]}`;
    throw new Tuntap2Error(
      `package tuntap2 ${why}; install it with \`${INSTALL}\`, or use device: tap`,
      error,
    );
  }
  const exports = { ...(loaded.default as Record<string, unknown> | undefined), ...loaded };
  const tapClass = exports.Tap ?? exports.LinuxTap;
  if (typeof tapClass !== 'function') {
    throw new Tuntap2Error('package tuntap2 has neither a class Tap nor LinuxTap; use device: tap');
  }
  return tapClass as TapClass;
}

/** Makes a TAP device called `name` in the namespace, or in the caller's own. */
export async function openTuntap2(name: string, namespace?: NamespaceRef): Promise<Tuntap2Device> {
  const Tap = await loadTuntap2();
  const create = (): PackageDevice => {
    try {
      return new Tap();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Tuntap2Error(
        `tuntap2: cannot create a TAP device: ${why}; run as root or with CAP_NET_ADMIN`,
        error,
      );
    }
  };
  const device = namespace === undefined ? create() : inNamespace(namespace, create);
  const release = (): Promise<void> => new Promise((resolve) => device.release(() => resolve()));
  try {
    const fd = device._fd ?? device.fd;
    if (typeof fd !== 'number') throw new Tuntap2Error('package tuntap2 does not give its file descriptor');
    const flags = check(fcntl(fd, F_GETFL, 0), 'fcntl F_GETFL', `tap ${device.name}`);
    check(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'fcntl F_SETFL', `tap ${device.name}`);
    const inside = namespace === undefined ? [] : ['-n', namespace.name];
    if (device.name !== name) {
      await runTool('ip', [...inside, 'link', 'set', 'dev', device.name, 'name', name], {
        attempt: `rename ${device.name} to ${name}`,
      });
    }
    return { fd, release };
  } catch (error) {
    await release();
    throw error;
  }
}
