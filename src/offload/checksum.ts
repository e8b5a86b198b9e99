/**
 * The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of big-endian 16-bit words.
 */
import {
  NEEDS_CHECKSUM,
  readU16,
  VNET_CHECKSUM_OFFSET,
  VNET_CHECKSUM_START,
  VNET_FLAGS,
} from './virtio-net.ts';

/**
 * Adds the bytes from `from` up to `to` to a sum; an odd last byte counts as the upper half of a word. The sum is
 * exact, not yet folded: up to 64 KiB stay far below 2^53.
 */
export function addWords(u8: Uint8Array, from: number, to: number, sum: number): number {
  let total = sum;
  let at = from;
  // Four words a turn, each half summed in 31 bits.
  for (; at + 8 <= to; at += 8) {
    total +=
      ((u8[at]! + u8[at + 2]! + u8[at + 4]! + u8[at + 6]!) << 8) +
      (u8[at + 1]! + u8[at + 3]! + u8[at + 5]! + u8[at + 7]!);
  }
  for (; at + 2 <= to; at += 2) total += (u8[at]! << 8) | u8[at + 1]!;
  return at < to ? total + (u8[at]! << 8) : total;
}

/** A sum in 16 bits, with its carries added in. Not complemented. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return folded;
}

/** Writes a checksum, given the sum it covers. */
export function storeChecksum(u8: Uint8Array, at: number, sum: number): void {
  const checksum = ~fold(sum) & 0xffff;
  u8[at] = checksum >>> 8;
  u8[at + 1] = checksum;
}

/**
 * Completes the checksum of a frame whose virtio_net_hdr says NEEDS_CHECKSUM, and clears the flag. Of UDP, a sum of
 * zero is sent as all ones (RFC 768). Returns false, having changed nothing, when the header points outside of the
 * frame.
 */
export function completeChecksum(u8: Uint8Array, header: number, frame: number, length: number): boolean {
  if ((u8[header + VNET_FLAGS]! & NEEDS_CHECKSUM) === 0) return true;
  const start = readU16(u8, header + VNET_CHECKSUM_START);
  const field = start + readU16(u8, header + VNET_CHECKSUM_OFFSET);
  if (field < start || field + 2 > length) return false;
  // The field holds the pseudo header's sum, so it is summed like the rest.
  storeChecksum(u8, frame + field, addWords(u8, frame + start, frame + length, 0));
  const isZero = u8[frame + field] === 0 && u8[frame + field + 1] === 0;
  if (isZero && field - start === 6) u8.fill(0xff, frame + field, frame + field + 2);
  u8[header + VNET_FLAGS]! &= ~NEEDS_CHECKSUM;
  return true;
}
