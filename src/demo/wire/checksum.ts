/** The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words. */
import type { Ipv4Address } from './address.ts';

/** The sum of bytes as big-endian words, not yet folded; an odd byte at the end counts as the upper half of a word. */
export function sum(bytes: Uint8Array, initial = 0): number {
  let total = initial;
  for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return total;
}

/** The sum of the IPv4 pseudo header that goes before TCP and UDP (RFC 9293, 3.1). */
export function pseudoHeaderSum(
  source: Ipv4Address,
  destination: Ipv4Address,
  protocol: number,
  length: number,
): number {
  return (
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
  );
}

/** What goes into the checksum field. Over bytes that hold a right checksum the result is 0. */
export function checksum(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}
