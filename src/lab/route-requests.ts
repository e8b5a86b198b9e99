/**
 * What `ip link set`, `ip address add` and `ip route` do, as requests to a RouteSocket. All throw NetlinkError when the
 * kernel refuses. Values that ip(8) leaves to the kernel are left to it here too (iproute2, ipaddress.c, iproute.c).
 */
import { endianness } from 'node:os';
import { inetPton } from '../sys/libc.ts';
import { type Attribute, type RouteSocket, uint32 } from '../sys/netlink.ts';
import type { LabRoute } from './model.ts';
import { type Prefix, parsePrefix } from './names.ts';

const AF_INET = 2;
const AF_INET6 = 10;

const RTM_NEWLINK = 16;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

/** struct ifinfomsg: family 8, padding 8, type 16, index 32, flags 32, which of them change 32. */
const SIZEOF_IFINFOMSG = 16;
const IFLA_ADDRESS = 1;
const IFLA_MTU = 4;
const IFF_UP = 1;

/** struct ifaddrmsg: family, prefix length, flags, scope, 8 each, index 32. */
const SIZEOF_IFADDRMSG = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 0x02;

/** struct rtmsg: family, length of the destination and of the source, tos, table, protocol, scope, type, flags 32. */
const SIZEOF_RTMSG = 12;
const RTA_DST = 1;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_HOST = 254;
const RT_SCOPE_NOWHERE = 255;
const RTN_UNICAST = 1;

const IS_LITTLE_ENDIAN = endianness() === 'LE';

/** What to change of a device; what is not named stays. */
export type LinkChange = { readonly mac?: string; readonly mtu?: number; readonly up?: true };

export function setLink(socket: RouteSocket, device: string, { mac, mtu, up }: LinkChange): void {
  const header = new DataView(new ArrayBuffer(SIZEOF_IFINFOMSG));
  header.setInt32(4, socket.indexOf(device), IS_LITTLE_ENDIAN);
  if (up) for (const at of [8, 12]) header.setUint32(at, IFF_UP, IS_LITTLE_ENDIAN);
  const attributes: Attribute[] = [];
  if (mac !== undefined) attributes.push([IFLA_ADDRESS, Buffer.from(mac.replaceAll(':', ''), 'hex')]);
  if (mtu !== undefined) attributes.push([IFLA_MTU, uint32(mtu)]);
  socket.request(RTM_NEWLINK, 0, new Uint8Array(header.buffer), attributes);
}

/** @param address with prefix length */
export function addAddress(socket: RouteSocket, device: string, address: string): void {
  const prefix = parsed(address);
  const bytes = bytesOf(prefix);
  const isIpv6 = prefix.family === 'ipv6';
  const header = new DataView(new ArrayBuffer(SIZEOF_IFADDRMSG));
  header.setUint8(0, familyOf(prefix));
  header.setUint8(1, prefix.length);
  // Without it an IPv6 address cannot be used for the first seconds.
  header.setUint8(2, isIpv6 ? IFA_F_NODAD : 0);
  header.setUint8(3, !isIpv6 && bytes[0] === 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
  header.setUint32(4, socket.indexOf(device), IS_LITTLE_ENDIAN);
  socket.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, new Uint8Array(header.buffer), [
    [IFA_LOCAL, bytes],
    [IFA_ADDRESS, bytes],
  ]);
}

/** @param replace whether one that exists may be in its place */
export function addRoute(socket: RouteSocket, route: LabRoute, replace: boolean): void {
  const flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
  requestRoute(socket, RTM_NEWROUTE, flags, route, [RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST]);
}

export function removeRoute(socket: RouteSocket, route: LabRoute): void {
  // Whatever its protocol, scope and type.
  requestRoute(socket, RTM_DELROUTE, 0, route, [0, RT_SCOPE_NOWHERE, 0]);
}

function requestRoute(
  socket: RouteSocket,
  type: number,
  flags: number,
  { to, via }: LabRoute,
  [protocol, scope, routeType]: readonly [number, number, number],
): void {
  const gateway = parsed(via);
  const destination = to === 'default' ? undefined : parsed(to);
  const header = new Uint8Array(SIZEOF_RTMSG);
  header.set([familyOf(gateway), destination?.length ?? 0, 0, 0, RT_TABLE_MAIN, protocol, scope, routeType]);
  socket.request(type, flags, header, [
    ...(destination ? [[RTA_DST, bytesOf(destination)] as const] : []),
    [RTA_GATEWAY, bytesOf(gateway)],
  ]);
}

function parsed(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new TypeError(`${text} is not an address`);
  return prefix;
}

function familyOf({ family }: Prefix): number {
  return family === 'ipv4' ? AF_INET : AF_INET6;
}

function bytesOf(prefix: Prefix): Uint8Array {
  const bytes = new Uint8Array(prefix.family === 'ipv4' ? 4 : 16);
  inetPton(familyOf(prefix), prefix.address, bytes);
  return bytes;
}
