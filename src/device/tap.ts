/**
 * TAP and TUN devices of the kernel, tun(4): one non-blocking file descriptor per device, a frame per read and write.
 * The device lives as long as the descriptor is open.
 */
import {
  addressOf,
  close,
  errno,
  errnoName,
  ioctl,
  ioctlValue,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  open,
  SystemError,
  write,
} from '../sys/libc.ts';

const TUN_PATH = '/dev/net/tun';
const TUNSETIFF = 0x400454ca;
const TUNGETIFF = 0x800454d2;
const TUNSETPERSIST = 0x400454cb;
const TUNSETCARRIER = 0x400454e2;
const TUNSETOFFLOAD = 0x400454d0;
const TUNGETVNETHDRSZ = 0x800454d7;
/** What may be left to us: checksums, TCP segmentation, and of UDP (since Linux 6.2). */
const TUN_F_CSUM = 0x01;
const TUN_F_TSO = 0x02 | 0x04 | 0x08;
const TUN_F_USO = 0x20 | 0x40;
const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
/** No four bytes of flags and protocol in front of each frame. */
const IFF_NO_PI = 0x1000;
/** Refuse to attach to a device that exists already. */
const IFF_TUN_EXCL = 0x8000;
/** One of several files of a device, each of which gets a part of its frames. */
const IFF_MULTI_QUEUE = 0x0100;
/** A struct virtio_net_hdr in front of each frame. */
const IFF_VNET_HDR = 0x4000;
const IFNAMSIZ = 16;
/** `%` is refused because the kernel takes `dev%d` for a pattern, and an empty name for `tap%d`. */
const NAME_PATTERN = /^(?!.*%)[!-~]{1,15}$/;
const EINVAL = 22;
const SIZEOF_IFREQ = 40;

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'load the module with `modprobe tun`, or use `device: memory`, which needs no kernel device',
  ENXIO: 'the kernel has no TUN support; use `device: memory`, which needs no kernel device',
  ENODEV: 'the kernel has no TUN support; use `device: memory`, which needs no kernel device',
  EACCES: 'make /dev/net/tun readable and writable (mode 0666 is usual), or run as root',
  EPERM: 'run as root or with CAP_NET_ADMIN (`taplab doctor` shows what is missing)',
  EBUSY: 'a device of that name exists; choose another name, or remove it with `ip link del`',
  EEXIST: 'a device of that name exists; choose another name, or remove it with `ip link del`',
  EINVAL: 'the name is not allowed, or a device of another type has it',
  ENOTTY: `${TUN_PATH} is not the TUN device; remove it and \`mknod ${TUN_PATH} c 10 200\``,
  EMFILE: 'too many open files; raise the limit with `ulimit -n`',
};

/** What to do about an errno of opening a device, for error messages. */
export function deviceAdvice(errnoValue: number): string | undefined {
  return ADVICE[errnoName(errnoValue)];
}

/**
 * Makes a device in the namespace of the calling thread and returns its descriptors, one for each queue. The kernel keeps
 * a flow in one queue: the one that its frames were last written to, or else the one that a hash of its addresses and
 * ports says, the same in both directions (drivers/net/tun.c, tun_automq_select_queue). Throws SystemError.
 * Synchronous, so that it may be called inside another namespace.
 */
export function createQueues(name: string, kind: 'tap' | 'tun', offload: boolean, queues: number): number[] {
  if (queues === 1) return [createTap(name, kind, offload)];
  const fds: number[] = [];
  try {
    while (fds.length < queues) {
      fds.push(attachTap(name, kind, IFF_MULTI_QUEUE | (fds.length === 0 ? IFF_TUN_EXCL : 0), offload));
    }
    return fds;
  } catch (error) {
    for (const fd of fds) close(fd);
    throw error;
  }
}

/**
 * Makes a device of one queue in the namespace of the calling thread and returns its descriptor. Throws SystemError.
 * Synchronous, so that it may be called inside another namespace.
 *
 * @param offload a virtio_net_hdr comes with each frame, and the node's kernel may leave checksums and segmentation
 * to whoever reads it: super-frames of up to 64 KiB
 */
export function createTap(name: string, kind: 'tap' | 'tun', offload = false): number {
  return attachTap(name, kind, IFF_TUN_EXCL, offload);
}

/** Opens a file and attaches it to a device, which is made unless it is there and may be. */
function attachTap(name: string, kind: 'tap' | 'tun', flags: number, offload: boolean): number {
  if (!NAME_PATTERN.test(name)) throw failed(name, kind, EINVAL);
  const fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd === -1) {
    const why = errno();
    throw new SystemError('open', TUN_PATH, why, deviceAdvice(why));
  }
  const request = new Uint8Array(SIZEOF_IFREQ);
  new TextEncoder().encodeInto(name, request);
  new Uint16Array(request.buffer, IFNAMSIZ, 1)[0] =
    (kind === 'tap' ? IFF_TAP : IFF_TUN) | IFF_NO_PI | flags | (offload ? IFF_VNET_HDR : 0);
  if (ioctl(fd, TUNSETIFF, request) !== -1) {
    if (offload) setOffload(fd);
    return fd;
  }
  const why = errno();
  close(fd);
  throw failed(name, kind, why);
}

/** Takes over as much as the kernel can leave to us. Without any of it frames still have their virtio_net_hdr. */
function setOffload(fd: number): void {
  const all = TUN_F_CSUM | TUN_F_TSO | TUN_F_USO;
  for (const features of [all, TUN_F_CSUM | TUN_F_TSO, TUN_F_CSUM]) {
    if (ioctlValue(fd, TUNSETOFFLOAD, features) !== -1) return;
  }
}

function failed(name: string, kind: string, why: number): SystemError {
  return new SystemError('ioctl TUNSETIFF', `${kind} ${name}`, why, deviceAdvice(why));
}

/** What a file of the TUN driver is attached to. */
export type TapDescription = {
  /** Its name, in the network namespace it is in. */
  readonly name: string;
  readonly kind: 'tap' | 'tun';
  /** A virtio_net_hdr in front of each frame. */
  readonly offloadHeader: boolean;
  /** Bytes of that header. */
  readonly offloadHeaderBytes: number;
  readonly multiQueue: boolean;
};

/**
 * The device behind a file of the TUN driver; undefined when it has none, or has lost it. To be asked of such files
 * only: to another driver the same request may mean something else (see received.ts).
 */
export function describeTap(fd: number): TapDescription | undefined {
  const request = new Uint8Array(SIZEOF_IFREQ);
  if (ioctl(fd, TUNGETIFF, request) === -1) return undefined;
  const flags = new Uint16Array(request.buffer, IFNAMSIZ, 1)[0]!;
  const headerBytes = new Int32Array(1);
  ioctl(fd, TUNGETVNETHDRSZ, headerBytes);
  return {
    name: Buffer.from(request.subarray(0, request.indexOf(0))).toString('latin1'),
    kind: (flags & IFF_TAP) === 0 ? 'tun' : 'tap',
    offloadHeader: (flags & IFF_VNET_HDR) !== 0,
    offloadHeaderBytes: headerBytes[0]!,
    multiQueue: (flags & IFF_MULTI_QUEUE) !== 0,
  };
}

/** Whether the device has a carrier, as of a cable that is plugged in. Kernels before 5.0 do not know it, and keep one. */
export function setCarrier(fd: number, hasCarrier: boolean): void {
  ioctl(fd, TUNSETCARRIER, Int32Array.of(hasCarrier ? 1 : 0));
}

/**
 * Closes the files and leaves the device to its network namespace, which is about to be removed: the kernel removes all
 * devices of a namespace at once, while one that goes with its file costs it a grace period, tens of milliseconds.
 */
export function leaveTap(fds: readonly number[]): void {
  ioctlValue(fds[0]!, TUNSETPERSIST, 1);
  for (const fd of fds) close(fd);
}

/** Never delivered to anybody: to no address, of a type that is for experiments (IEEE 802, 0x88b5). */
const TAP_PROBE = Uint8Array.from([0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x88, 0xb5]);
/** The first byte of an IPv4 header, and nothing more. */
const TUN_PROBE = Uint8Array.of(0x45);

/**
 * Whether a device wants four bytes of flags and protocol in front of each frame (no IFF_NO_PI). TUNGETIFF does not
 * tell: IFF_NOFILTER has the same bit. So the shortest frame there is is written; with those bytes taken off it would be
 * too short, which is EINVAL (drivers/net/tun.c, tun_get_user).
 */
export function hasPacketInformation(
  fd: number,
  { kind, offloadHeader, offloadHeaderBytes }: TapDescription,
): boolean {
  const header = new Uint8Array(offloadHeader ? offloadHeaderBytes : 0);
  const probe = Buffer.concat([header, kind === 'tap' ? TAP_PROBE : TUN_PROBE]);
  return write(fd, addressOf(probe), probe.length) === -1 && errno() === EINVAL;
}
