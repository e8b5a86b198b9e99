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
import { createQueues, leaveTap } from './tap.ts';
import { openTuntap2 } from './tuntap2.ts';

export type OpenedDevice = {
  /** The file of the first queue. */
  readonly fd: number;
  /** The files of the others, if there are any. */
  readonly moreQueues: readonly number[];
  /** The device's name inside its namespace. */
  readonly name: string;
  readonly kind: 'tap' | 'tun';
  /** Whether a virtio_net_hdr comes with each frame. */
  readonly offload: boolean;
  /** 1 EN10MB for tap, 101 RAW for tun. */
  readonly linkType: typeof LINKTYPE_ETHERNET | typeof LINKTYPE_RAW;
  /** Closes the descriptors; the device disappears with them. Idempotent. */
  close(): Promise<void>;
  /**
   * Closes the descriptors and leaves the device to its namespace, which the caller removes at once; much faster than
   * close(). Idempotent.
   */
  leave(): Promise<void>;
};

/**
 * Opens a `tap`, `tun` or `tuntap2` interface; in the caller's own namespace when none is given. Throws SystemError
 * with what was attempted and what to do; for tuntap2 also Tuntap2Error when the package is not usable.
 */
export async function openDevice(
  labInterface: Pick<LabInterface, 'device' | 'kind' | 'offload' | 'queues'>,
  namespace?: NamespaceRef,
): Promise<OpenedDevice> {
  const { device: name, kind, offload = true, queues = 1 } = labInterface;
  switch (kind) {
    case 'tap':
    case 'tun': {
      const create = (): number[] => createQueues(name, kind, offload, queues);
      const fds = namespace === undefined ? create() : inNamespace(namespace, create);
      const release = async (): Promise<void> => {
        for (const fd of fds) close(fd);
      };
      return opened(fds, name, kind, offload, release, async () => leaveTap(fds));
    }
    case 'tuntap2': {
      const device = await openTuntap2(name, namespace);
      return opened([device.fd], name, 'tap', false, () => device.release());
    }
    default:
      throw new TypeError(`${name}: ${kind} is not a kernel device`);
  }
}

function opened(
  [fd, ...moreQueues]: readonly number[],
  name: string,
  kind: 'tap' | 'tun',
  offload: boolean,
  release: () => Promise<void>,
  leave: () => Promise<void> = release,
): OpenedDevice {
  let closing: Promise<void> | undefined;
  return {
    fd: fd!,
    moreQueues,
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
