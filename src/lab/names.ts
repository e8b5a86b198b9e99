/**
 * Names and addresses as lab files may hold them, and the names taplab derives from them.
 */
import { createHash } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';

/** Lab and node names: part of file names, of namespace names and of addresses such as `client:eth0`. */
export const NAME_PATTERN: RegExp = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,31}$/;

/**
 * Interface names: at most 15 bytes, as IFNAMSIZ allows, and of the letters that need no quoting in `ip -batch`. The
 * kernel itself refuses `/`, `:`, white space, `.` and `..`, and takes `%` for a pattern.
 */
export const INTERFACE_PATTERN: RegExp = /^(?!\.\.?$)[a-zA-Z0-9_.][a-zA-Z0-9_.-]{0,14}$/;

/** Per-namespace settings under /proc/sys/net, in either notation of sysctl(8). */
export const SYSCTL_PATTERN: RegExp = /^net[./](?!.*\.\.)[a-zA-Z0-9_./-]{1,120}$/;

/** The network namespace of a node. */
export function namespaceName(lab: string, node: string): string {
  return `taplab-${lab}-${node}`;
}

/** A locally administered unicast address that depends on nothing but the names, so that runs are alike. */
export function derivedMac(lab: string, interfaceName: string): string {
  const hash = createHash('sha256').update(`${lab}/${interfaceName}`).digest('hex');
  return `02:${hash.slice(0, 10).match(/../g)!.join(':')}`;
}

/** What is wrong with a hardware address for an interface of a node, if anything. */
export function macProblem(text: string): string | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return 'expected six bytes as 02:00:00:00:00:01';
  if (Number.parseInt(text.slice(0, 2), 16) & 1) return 'is a multicast address; the first byte must be even';
  if (/^[0:]+$/.test(text)) return 'must not be all zero';
  return undefined;
}

export type Prefix = {
  readonly address: string;
  readonly length: number;
  readonly family: 'ipv4' | 'ipv6';
};

/** An address with or without prefix length; without one it is the host itself. Undefined when it is neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address, length, rest] = text.split('/');
  if (address === undefined || rest !== undefined || isIP(address) === 0 || address.includes('%'))
    return undefined;
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  const bits = family === 'ipv4' ? 32 : 128;
  if (length === undefined) return { address, length: bits, family };
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits) return undefined;
  return { address, length: Number(length), family };
}

/** The address of an endpoint such as `client:eth0`, or undefined. */
export function splitEndpoint(text: string): { node: string; device: string } | undefined {
  const colon = text.indexOf(':');
  if (colon === -1) return undefined;
  const node = text.slice(0, colon);
  const device = text.slice(colon + 1);
  return NAME_PATTERN.test(node) && INTERFACE_PATTERN.test(device) ? { node, device } : undefined;
}
