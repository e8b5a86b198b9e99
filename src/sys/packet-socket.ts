/**
 * Frames of a network device as packet(7) shows them: sent past the node's own stack, and seen with the time at which the
 * kernel passed them, in and out. Needs CAP_NET_RAW and, for another namespace, CAP_SYS_ADMIN.
 */
import type { Instruction } from '../../vm/index.ts';
import {
  AF_PACKET,
  addressOf,
  bind,
  check,
  close,
  getsockopt,
  ioctl,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  sendto,
  setsockopt,
  socket,
} from './libc.ts';

const SOCK_RAW = 3;
const ETH_P_ALL = 3;
const SIOCGIFINDEX = 0x8933;
/** Of the frame that was read last: struct timespec. The first call has the kernel take times at all. */
const SIOCGSTAMPNS = 0x8907;
const SO_ATTACH_FILTER = 26;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const BUFFER_BYTES = 8 << 20;
const MAX_FRAME_BYTES = 65_600;

export class PacketSocket {
  /** What was seen is read from here; a socket does not see what it sends itself. */
  readonly #seeing: number;
  readonly #sending: number;
  readonly #address: Uint8Array;
  readonly #buffer: Uint8Array = new Uint8Array(MAX_FRAME_BYTES);
  readonly #at: number = addressOf(this.#buffer);
  readonly #stamp: Int32Array = new Int32Array(4);
  readonly #baseSeconds: number;

  /**
   * Opens a device of the caller's namespace; inNamespace() gets there. Throws SystemError.
   * @param protocol of the frames that are sent, as ETH_P_IP
   * @param filter of what is seen
   * @param baseSeconds where the times that are seen count from, in seconds since the epoch
   */
  constructor(device: string, protocol: number, filter: readonly Instruction[], baseSeconds: number) {
    this.#baseSeconds = baseSeconds;
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    // Of protocol 0: nothing comes before bind(2) says what, and the filter is there by then.
    this.#seeing = check(socket(AF_PACKET, type, 0), 'socket', 'AF_PACKET', 'run as root');
    try {
      const index = indexOf(this.#seeing, device);
      this.#address = linkAddress(protocol, index);
      attachFilter(this.#seeing, filter);
      const size = Int32Array.of(BUFFER_BYTES);
      check(setsockopt(this.#seeing, SOL_SOCKET, SO_RCVBUFFORCE, size, 4), 'setsockopt', 'SO_RCVBUFFORCE');
      ioctl(this.#seeing, SIOCGSTAMPNS, this.#stamp);
      const all = linkAddress(ETH_P_ALL, index);
      check(bind(this.#seeing, all, all.length), 'bind', device);
      this.#sending = check(socket(AF_PACKET, type, 0), 'socket', 'AF_PACKET');
    } catch (error) {
      close(this.#seeing);
      throw error;
    }
  }

  /** False when the device does not take it now. */
  send(frame: Uint8Array): boolean {
    return (
      sendto(this.#sending, frame, frame.length, 0, this.#address, this.#address.length) === frame.length
    );
  }

  /** Hands out what was seen since the last time, with the time; `frame` is valid during the call. */
  take(see: (frame: Uint8Array, timeNs: number) => void): void {
    for (;;) {
      const length = read(this.#seeing, this.#at, MAX_FRAME_BYTES);
      if (length < 0) return;
      ioctl(this.#seeing, SIOCGSTAMPNS, this.#stamp);
      see(this.#buffer.subarray(0, length), (this.#stamp[0]! - this.#baseSeconds) * 1e9 + this.#stamp[2]!);
    }
  }

  /** Frames that were not seen for want of room, since this was asked last. */
  missed(): number {
    const statistics = new Int32Array(2);
    check(
      getsockopt(this.#seeing, SOL_PACKET, PACKET_STATISTICS, statistics, Int32Array.of(8)),
      'getsockopt',
      'PACKET_STATISTICS',
    );
    return statistics[1]!;
  }

  close(): void {
    close(this.#seeing);
    close(this.#sending);
  }
}

function indexOf(fd: number, device: string): number {
  // struct ifreq: 16 bytes of name, then what is asked for.
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(device).subarray(0, 15));
  check(ioctl(fd, SIOCGIFINDEX, request), 'ioctl SIOCGIFINDEX', device);
  return new DataView(request.buffer).getInt32(16, true);
}

/** struct sockaddr_ll of packet(7). */
function linkAddress(protocol: number, index: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, protocol);
  view.setInt32(4, index, true);
  return address;
}

function attachFilter(fd: number, filter: readonly Instruction[]): void {
  const code = new Uint8Array(filter.length * 8);
  const view = new DataView(code.buffer);
  for (const [i, { code: operation, jt, jf, k }] of filter.entries()) {
    view.setUint16(i * 8, operation, true);
    code[i * 8 + 2] = jt;
    code[i * 8 + 3] = jf;
    view.setUint32(i * 8 + 4, k >>> 0, true);
  }
  // struct sock_fprog: a length, and a pointer.
  const program = new Uint8Array(16);
  const fields = new DataView(program.buffer);
  fields.setUint16(0, filter.length, true);
  fields.setBigUint64(8, BigInt(addressOf(code)), true);
  check(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, 16), 'setsockopt', 'SO_ATTACH_FILTER');
}
