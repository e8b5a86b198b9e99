/**
 * rtnetlink(7): what ip(8) asks of the kernel, asked without starting a process.
 *
 * A RouteSocket belongs to the network namespace of the thread that opened it, for good: open it in there, use it from
 * anywhere. Each request is one message and is answered before the call returns. All numbers are in the byte order of
 * the machine, addresses in that of the network (linux/netlink.h, linux/rtnetlink.h).
 */
import { constants, endianness } from 'node:os';
import {
  addressOf,
  check,
  close,
  errno,
  errnoName,
  ioctl,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SystemError,
  setsockopt,
  socket,
  write,
} from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
/** Answers hold the request's header only, and the kernel's words of what is wrong. */
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const SIOCGIFINDEX = 0x8933;
const SIZEOF_IFREQ = 40;
const IFNAMSIZ = 16;

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
/** The answer goes on with attributes. */
const NLM_F_ACK_TLVS = 0x200;
const NLMSG_ERROR = 2;
const NLMSGERR_ATTR_MSG = 1;
/** struct nlmsghdr: length 32, type 16, flags 16, sequence 32, port 32. */
const SIZEOF_NLMSGHDR = 16;
/** struct nlmsgerr behind it: error 32, then the header of the request. */
const ERROR_AT = SIZEOF_NLMSGHDR;
const ERROR_ATTRIBUTES_AT = SIZEOF_NLMSGHDR + 4 + SIZEOF_NLMSGHDR;
/** struct rtattr: length 16, type 16; the data follows, and the next begins at a multiple of 4. */
const SIZEOF_RTATTR = 4;
const LARGEST_ANSWER = 8192;

const IS_LITTLE_ENDIAN = endianness() === 'LE';

/** What the kernel refused: `code` as `EEXIST`, and its own words when it has any. */
export class NetlinkError extends Error {
  readonly code: string;

  constructor(errnoValue: number, reason?: string) {
    const code = errnoName(errnoValue);
    super(reason === undefined ? code : `${code}: ${reason}`);
    this.name = 'NetlinkError';
    this.code = code;
  }
}

/** The type of an attribute and what is in it. */
export type Attribute = readonly [type: number, data: Uint8Array];

export class RouteSocket {
  readonly #fd: number;
  readonly #answer: Buffer = Buffer.alloc(LARGEST_ANSWER);
  #sequence = 0;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens one in the network namespace of the calling thread. Throws SystemError. Synchronous, for inNamespace(). */
  static open(): RouteSocket {
    const object = 'AF_NETLINK NETLINK_ROUTE';
    const fd = check(
      socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE),
      'socket',
      object,
    );
    // Kernels before 4.12 do not know them, and give no reasons.
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
      setsockopt(fd, SOL_NETLINK, option, Int32Array.of(1), Int32Array.BYTES_PER_ELEMENT);
    }
    return new RouteSocket(fd);
  }

  /** The index of a device of the socket's namespace, netdevice(7). Throws NetlinkError. */
  indexOf(device: string): number {
    const request = Buffer.alloc(SIZEOF_IFREQ);
    request.write(device, 0, IFNAMSIZ - 1, 'latin1');
    if (ioctl(this.#fd, SIOCGIFINDEX, request) === -1) {
      throw new NetlinkError(errno(), `there is no device ${device}`);
    }
    return viewOf(request).getInt32(IFNAMSIZ, IS_LITTLE_ENDIAN);
  }

  /**
   * Has the kernel carry out one message. Throws NetlinkError when it refuses, SystemError when it cannot be asked.
   *
   * @param type RTM_NEWADDR and the like
   * @param flags NLM_F_ flags besides those that ask for the answer
   * @param header what the type begins with, as struct ifaddrmsg; its length is a multiple of 4
   */
  request(type: number, flags: number, header: Uint8Array, attributes: readonly Attribute[] = []): void {
    const message = Buffer.concat([Buffer.alloc(SIZEOF_NLMSGHDR), header, ...attributes.map(encoded)]);
    const view = viewOf(message);
    view.setUint32(0, message.length, IS_LITTLE_ENDIAN);
    view.setUint16(4, type, IS_LITTLE_ENDIAN);
    view.setUint16(6, flags | NLM_F_REQUEST | NLM_F_ACK, IS_LITTLE_ENDIAN);
    view.setUint32(8, ++this.#sequence, IS_LITTLE_ENDIAN);
    const object = 'a netlink socket';
    check(write(this.#fd, addressOf(message), message.length), 'write', object);
    // It has been carried out by now, and the answer is there.
    const length = check(read(this.#fd, addressOf(this.#answer), LARGEST_ANSWER), 'read', object);
    const refusal = refusalIn(this.#answer.subarray(0, length));
    if (refusal !== undefined) throw refusal;
  }

  close(): void {
    close(this.#fd);
  }
}

/** The bytes of an unsigned 32-bit number, as in an attribute. */
export function uint32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function encoded([type, data]: Attribute): Uint8Array {
  const bytes = Buffer.alloc(Math.ceil((SIZEOF_RTATTR + data.length) / 4) * 4);
  const view = viewOf(bytes);
  view.setUint16(0, SIZEOF_RTATTR + data.length, IS_LITTLE_ENDIAN);
  view.setUint16(2, type, IS_LITTLE_ENDIAN);
  bytes.set(data, SIZEOF_RTATTR);
  return bytes;
}

/** Why a request was refused, if it was. Throws SystemError for an answer that is none. */
function refusalIn(answer: Buffer): NetlinkError | undefined {
  const view = viewOf(answer);
  const isAnswer =
    answer.length >= ERROR_ATTRIBUTES_AT && view.getUint16(4, IS_LITTLE_ENDIAN) === NLMSG_ERROR;
  if (!isAnswer) throw new SystemError('read', 'a netlink socket', constants.errno.EBADMSG);
  const error = -view.getInt32(ERROR_AT, IS_LITTLE_ENDIAN);
  if (error === 0) return undefined;
  if ((view.getUint16(6, IS_LITTLE_ENDIAN) & NLM_F_ACK_TLVS) === 0) return new NetlinkError(error);
  for (let at = ERROR_ATTRIBUTES_AT; at + SIZEOF_RTATTR <= answer.length; ) {
    const length = view.getUint16(at, IS_LITTLE_ENDIAN);
    if (length < SIZEOF_RTATTR || at + length > answer.length) break;
    if (view.getUint16(at + 2, IS_LITTLE_ENDIAN) === NLMSGERR_ATTR_MSG) {
      const words = answer.toString('utf8', at + SIZEOF_RTATTR, at + length);
      return new NetlinkError(error, words.replace(/\0.*$/s, ''));
    }
    at += Math.ceil(length / 4) * 4;
  }
  return new NetlinkError(error);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
