/**
 * A file that somebody has handed over as the device of an interface: is it one, of the right kind, and one that the
 * data plane can read frame by frame?
 *
 * Its driver is asked nothing before /proc says that it is the TUN driver's: stat(2) or ioctl(2) on any other file may
 * wait for ever (FUSE), or do something.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { VNET_HEADER } from '../offload/virtio-net.ts';
import { check, F_GETFL, F_SETFL, fcntl, O_NONBLOCK } from '../sys/libc.ts';
import { describeTap, hasPacketInformation, type TapDescription } from './tap.ts';

/** The file cannot be the device of the interface. */
export class WrongDeviceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WrongDeviceError';
  }
}

/**
 * Makes a received file ready for the data plane: non-blocking, like those opened here.
 *
 * @throws WrongDeviceError that says what it is instead
 */
export function acceptDevice(fd: number, interfaceName: string, kind: 'tap' | 'tun'): TapDescription {
  const refuse = (why: string): never => {
    throw new WrongDeviceError(
      `${interfaceName} is a ${kind} device, and what was handed over for it ${why}`,
    );
  };
  if (!isTunFile(fd)) refuse(`is ${nameOf(fd)}`);
  const found = describeTap(fd) ?? refuse('is attached to no device, or its device has been deleted');
  if (found.kind !== kind) refuse(`is a ${found.kind} device`);
  if (found.offloadHeader && found.offloadHeaderBytes !== VNET_HEADER) {
    refuse(`puts ${found.offloadHeaderBytes} bytes before each frame: set TUNSETVNETHDRSZ to ${VNET_HEADER}`);
  }
  if (found.multiQueue) refuse('is one of several queues: open it without IFF_MULTI_QUEUE');
  const flags = check(fcntl(fd, F_GETFL, 0), 'fcntl F_GETFL', interfaceName);
  check(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'fcntl F_SETFL', interfaceName);
  if (hasPacketInformation(fd, found)) {
    refuse('puts packet information before each frame: open it with IFF_NO_PI');
  }
  return found;
}

/** Only the TUN driver has this line in /proc/PID/fdinfo (drivers/net/tun.c, tun_chr_show_fdinfo). */
function isTunFile(fd: number): boolean {
  return /^iff:/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
}

/** What an open file is, for a message: `a socket`, `/etc/passwd`. */
function nameOf(fd: number): string {
  const target = readlinkSync(`/proc/self/fd/${fd}`);
  if (target.startsWith('/')) return `the file ${target}`;
  const [type] = target.split(':');
  return type === 'anon_inode' ? target : `a ${type}`;
}
