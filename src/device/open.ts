/**
 * Opens the kernel device of a lab interface, inside its node's network namespace and under its final name.
 *
 * The descriptor is all that the data plane needs: non-blocking, one frame per read and write. It is opened by the
 * control thread, because entering a namespace needs privilege; any thread may use it.
 */
import type { LabInterface } from '../lab/model.ts';
import { close } from '../sys/libc.ts';
import { inNamespace, type NamespaceRef } from './in-namespace.ts';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from './link-type.ts';
import { createTap, leaveTap } from './tap.ts';
import { openTuntap2 } from './tuntap2.ts';

export type OpenedDevice = {
  readonly fd: number;
  /** The device's name inside its namespace. */
  readonly name: string;
  readonly kind: 'tap' | 'tun';
  /** Whether a virtio_net_hdr comes with each frame. */
  readonly offload: boolean;
  /** 1 EN10MB for tap, 101 RAW for tun. */
  readonly linkType: typeof LINKTYPE_ETHERNET | typeof LINKTYPE_RAW;
  /** Closes the descriptor; the device disappears with it. Idempotent. */
  close(): Promise<void>;
  /**
   * Closes the descriptor and leaves the device to its namespace, which the caller removes at once; much faster than
   * close(). Idempotent.
   */
  leave(): Promise<void>;
};

/**
 * Opens a `tap`, `tun` or `tuntap2` interface; in the caller's own namespace when none is given. Throws SystemError
 * with what was attempted and what to do; for tuntap2 also Tuntap2Error when the package is not usable.
 */
export async function openDevice(
  labInterface: Pick<LabInterface, 'device' | 'kind' | 'offload'>,
  namespace?: NamespaceRef,
): Promise<OpenedDevice> {
  const { device: name, kind, offload = true } = labInterface;
  switch (kind) {
    case 'tap':
    case 'tun': {
      const create = (): number => createTap(name, kind, offload);
      const fd = namespace === undefined ? create() : inNamespace(namespace, create);
      const release = async (): Promise<void> => void close(fd);
      return opened(fd, name, kind, offload, release, async () => leaveTap(fd));
    }
    case 'tuntap2': {
      const device = await openTuntap2(name, namespace);
      return opened(device.fd, name, 'tap', false, () => device.release());
    }
    default:
      throw new TypeError(`${name}: ${kind} is not a kernel device`);
  }
}

function opened(
  fd: number,
  name: string,
  kind: 'tap' | 'tun',
  offload: boolean,
  release: () => Promise<void>,
  leave: () => Promise<void> = release,
): OpenedDevice {
  let closing: Promise<void> | undefined;
  return {
    fd,
    name,
    kind,
    offload,
    linkType: kind === 'tap' ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
    close: () => {
      closing ??= release();
      return closing;
    },
    leave: () => {
      closing ??= leave();
      return closing;
    },
  };
}
