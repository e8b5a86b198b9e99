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

const isLittleEndian: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Below this, two bytes at a time are as fast. */
const MANY_BYTES = 128;

/** The memory of the last sum, in whole words. */
let words: Int32Array = new Int32Array(0);

/**
 * Adds the bytes from `from` up to `to` to a sum; an odd last byte counts as the upper half of a word. The sum is
 * exact but for multiples of 65,535, not yet folded: up to 64 KiB stay far below 2^53.
 *
 * Words are taken four bytes at a time as the machine has them: a sum of swapped words is the swapped sum (RFC 1071,
 * section 2). 2.7 times as fast as two bytes at a time for 1,460 bytes, 1.4 times for 200.
 */
export function addWords(u8: Uint8Array, from: number, to: number, sum: number): number {
  let at = from;
  let total = sum;
  const base = to - from >= MANY_BYTES ? u8.byteOffset : 0;
  if (to - from >= MANY_BYTES && ((base + from) & 1) === 0) {
    if (((base + at) & 2) !== 0) {
      total += (u8[at]! << 8) | u8[at + 1]!;
      at += 2;
    }
    if (words.buffer !== u8.buffer) words = new Int32Array(u8.buffer, 0, u8.buffer.byteLength >>> 2);
    const end = at + ((to - at) & ~3);
    const swapped = addNative(words, (base + at) >>> 2, (base + end) >>> 2);
    total += isLittleEndian ? ((swapped & 0xff) << 8) | (swapped >>> 8) : swapped;
    at = end;
  }
  for (; at + 2 <= to; at += 2) total += (u8[at]! << 8) | u8[at + 1]!;
  return at < to ? total + (u8[at]! << 8) : total;
}

/** The folded sum of the halves of words. Each half is summed in 31 bits: at most 128 KiB. */
function addNative(i32: Int32Array, from: number, to: number): number {
  let low = 0;
  let high = 0;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const a = i32[at]!;
    const b = i32[at + 1]!;
    const c = i32[at + 2]!;
    const d = i32[at + 3]!;
    low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
  }
  for (; at < to; at++) {
    low = (low + (i32[at]! & 0xffff)) | 0;
    high = (high + (i32[at]! >>> 16)) | 0;
  }
  return fold(low + high);
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
