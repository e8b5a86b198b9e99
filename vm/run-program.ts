/**
 * The interpreter: runs packed programs straight out of (shared) memory, without allocating.
 *
 * Semantics are those of `bpf_filter()` in FreeBSD's sys/net/bpf_filter.c. Registers are unsigned 32-bit; a load
 * outside the packet, a division or modulo by a zero X and an index that overflows reject the packet, that is,
 * return 0. What C leaves undefined is defined as in libpcap: a shift by 32 or more yields 0. In the `linux`
 * dialect (net/core/filter.c) the address X + k wraps, addresses beyond 2^31 name ancillary data and headers, and
 * a shift uses the low five bits of X.
 *
 * A and X are kept as int32 (`|0`), which V8 holds in registers, and read unsigned (`>>>0`) only where the sign
 * matters: comparison, division, right shift. The inner loop calls nothing, and both arrays' lengths are read just
 * before it: so V8 checks the kinds of the arrays once, not at each access. What the linux dialect adds begins as a
 * load outside the packet, which leaves that loop.
 */

import { BPF_ABS, BPF_H, BPF_IND, BPF_LD, BPF_MEMWORDS, BPF_W } from './instruction.ts';
import { loadAncillary, REJECTED, resolveAddress, SKF_AD_OFF } from './metadata.ts';

/** What the empty program returns: keep all of the packet, as `bpf_filter(NULL, ...)` does. */
export const ACCEPT_ALL = 0xffffffff;

/**
 * Instructions that backward jumps may go back over, summed over one run, before the packet is rejected. With it
 * no program executes more than its length plus this many instructions.
 */
export const REWIND_LIMIT = 0x10000;

/** Scratch memory, one for the thread. `written` in runProgram makes what an earlier run left unreadable. */
const scratch = new Int32Array(BPF_MEMWORDS);

/** A and X while loadElsewhere works on them. */
const registers = new Int32Array(2);

/**
 * Runs one packed program over one packet. The caller vouches that the words come from a `Program`.
 *
 * @param words packed programs; @param start index of the program's first word; @param count its instructions
 * @param bytes memory that holds the packet; @param offset of the packet's first byte in it
 * @param wireLength length on the wire, what `len` loads; @param bufferLength bytes that are there to be loaded
 * @param metadata packed metadata (see metadata.ts): runs the program in the `linux` dialect; null for `bsd`
 * @returns bytes of the packet to keep, 0 to reject; an unsigned 32-bit number
 */
export function runProgram(
  words: Int32Array,
  start: number,
  count: number,
  bytes: Uint8Array,
  offset: number,
  wireLength: number,
  bufferLength: number,
  metadata: Int32Array | null = null,
): number {
  if (count === 0) return ACCEPT_ALL;
  let a = 0;
  let x = 0;
  let written = 0;
  let rewound = 0;
  let pc = start | 0;
  let at = 0;
  const base = offset | 0;
  const wire = wireLength | 0;
  for (;;) {
    if (pc >= words.length) return 0;
    const available = (bytes.length - base) | 0;
    const length = bufferLength < available ? bufferLength | 0 : available;
    const lastHalf = (length - 2) | 0;
    const lastWord = (length - 4) | 0;
    insidePacket: for (;;) {
      const word = words[pc]!;
      const k = words[pc + 1]!;
      pc = (pc + 2) | 0;
      switch (word & 0xff) {
        case 0x06: // ret #k
          return k >>> 0;
        case 0x16: // ret a
          return a >>> 0;

        // A negative address or one beyond the last is outside the packet; so is a sum that wraps.
        case 0x20: // ld [k]
          if (k < 0 || k > lastWord) break insidePacket;
          at = (base + k) | 0;
          a = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
          continue;
        case 0x28: // ldh [k]
          if (k < 0 || k > lastHalf) break insidePacket;
          at = (base + k) | 0;
          a = (bytes[at]! << 8) | bytes[at + 1]!;
          continue;
        case 0x30: // ldb [k]
          if (k < 0 || k >= length) break insidePacket;
          a = bytes[(base + k) | 0]!;
          continue;
        case 0x40: // ld [x + k]
          at = (x + k) | 0;
          if ((x | k | at) < 0 || at > lastWord) break insidePacket;
          at = (base + at) | 0;
          a = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
          continue;
        case 0x48: // ldh [x + k]
          at = (x + k) | 0;
          if ((x | k | at) < 0 || at > lastHalf) break insidePacket;
          at = (base + at) | 0;
          a = (bytes[at]! << 8) | bytes[at + 1]!;
          continue;
        case 0x50: // ldb [x + k]
          at = (x + k) | 0;
          if ((x | k | at) < 0 || at >= length) break insidePacket;
          a = bytes[(base + at) | 0]!;
          continue;
        case 0xb1: // ldxb 4*([k]&0xf)
          if (k < 0 || k >= length) break insidePacket;
          x = (bytes[(base + k) | 0]! & 0x0f) << 2;
          continue;
        case 0x00: // ld #k
          a = k;
          continue;
        case 0x01: // ldx #k
          x = k;
          continue;
        case 0x80: // ld len
          a = wire;
          continue;
        case 0x81: // ldx len
          x = wire;
          continue;
        case 0x60: // ld M[k]
          a = (written >>> k) & 1 ? scratch[k]! : 0;
          continue;
        case 0x61: // ldx M[k]
          x = (written >>> k) & 1 ? scratch[k]! : 0;
          continue;
        case 0x02: // st M[k]
          scratch[k] = a;
          written |= 1 << k;
          continue;
        case 0x03: // stx M[k]
          scratch[k] = x;
          written |= 1 << k;
          continue;

        case 0x05: // ja
          if (k < 0) {
            rewound -= k;
            if (rewound > REWIND_LIMIT) return 0;
          }
          pc = (pc + (k << 1)) | 0;
          continue;
        // jt and jf count instructions: both are doubled into words while they are shifted out.
        case 0x15: // jeq #k
          pc = (pc + ((a === k ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x1d: // jeq x
          pc = (pc + ((a === x ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x25: // jgt #k
          pc = (pc + ((a >>> 0 > k >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x2d: // jgt x
          pc = (pc + ((a >>> 0 > x >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x35: // jge #k
          pc = (pc + ((a >>> 0 >= k >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x3d: // jge x
          pc = (pc + ((a >>> 0 >= x >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x45: // jset #k
          pc = (pc + (((a & k) !== 0 ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;
        case 0x4d: // jset x
          pc = (pc + (((a & x) !== 0 ? word >>> 15 : word >>> 23) & 0x1fe)) | 0;
          continue;

        case 0x04: // add #k
          a = (a + k) | 0;
          continue;
        case 0x0c: // add x
          a = (a + x) | 0;
          continue;
        case 0x14: // sub #k
          a = (a - k) | 0;
          continue;
        case 0x1c: // sub x
          a = (a - x) | 0;
          continue;
        case 0x24: // mul #k
          a = Math.imul(a, k);
          continue;
        case 0x2c: // mul x
          a = Math.imul(a, x);
          continue;
        case 0x34: // div #k
          a = ((a >>> 0) / (k >>> 0)) | 0;
          continue;
        case 0x3c: // div x
          if (x === 0) return 0;
          a = ((a >>> 0) / (x >>> 0)) | 0;
          continue;
        case 0x94: // mod #k
          a = ((a >>> 0) % (k >>> 0)) | 0;
          continue;
        case 0x9c: // mod x
          if (x === 0) return 0;
          a = ((a >>> 0) % (x >>> 0)) | 0;
          continue;
        case 0x44: // or #k
          a |= k;
          continue;
        case 0x4c: // or x
          a |= x;
          continue;
        case 0x54: // and #k
          a &= k;
          continue;
        case 0x5c: // and x
          a &= x;
          continue;
        case 0xa4: // xor #k
          a ^= k;
          continue;
        case 0xac: // xor x
          a ^= x;
          continue;
        case 0x64: // lsh #k
          a = k >>> 0 < 32 ? a << k : 0;
          continue;
        case 0x6c: // lsh x
          a = x >>> 0 < 32 || metadata !== null ? a << x : 0;
          continue;
        case 0x74: // rsh #k
          a = k >>> 0 < 32 ? (a >>> k) | 0 : 0;
          continue;
        case 0x7c: // rsh x
          a = x >>> 0 < 32 || metadata !== null ? (a >>> x) | 0 : 0;
          continue;
        case 0x84: // neg
          a = -a | 0;
          continue;
        case 0x07: // tax
          x = a;
          continue;
        case 0x87: // txa
          a = x;
          continue;

        // No validated program holds these. They are listed so that at least a third of 0x00..0xb1 is: V8 makes a
        // jump table of a switch only when it is that dense, and tests case by case otherwise.
        case 0x08:
        case 0x10:
        case 0x18:
        case 0x38:
        case 0x58:
        case 0x68:
        case 0x70:
        case 0x78:
        case 0x88:
        case 0x90:
        case 0x98:
        case 0xa0:
        case 0xa8:
        case 0xb0:
          return 0;
        default:
          return 0;
      }
    }
    if (metadata === null) return 0;
    registers[0] = a;
    registers[1] = x;
    if (!loadElsewhere(words, pc - 2, bytes, base, bufferLength, metadata)) return 0;
    a = registers[0];
    x = registers[1];
  }
}

/** Does the load at the word index `pc` that the packet does not hold: of ancillary data, or through a header. */
function loadElsewhere(
  words: Int32Array,
  pc: number,
  bytes: Uint8Array,
  offset: number,
  bufferLength: number,
  metadata: Int32Array,
): boolean {
  const code = words[pc]! & 0xffff;
  const k = words[pc + 1]!;
  const isAbsolute = (code & 0xe7) === (BPF_LD | BPF_ABS);
  if (isAbsolute && k < 0 && k >= (SKF_AD_OFF | 0)) {
    const value = loadAncillary(k, registers[0]!, registers[1]!, metadata);
    registers[0] = value;
    return value !== REJECTED;
  }
  const size = loadSize(code);
  const address = (code & 0xe0) === BPF_IND ? (registers[1]! + k) | 0 : k;
  const at = resolveAddress(address, size, metadata, bufferLength);
  if (at === REJECTED) return false;
  let value = 0;
  for (let i = 0; i < size; i++) value = (value << 8) | bytes[offset + at + i]!;
  if ((code & 0x07) === BPF_LD) registers[0] = value;
  else registers[1] = (value & 0x0f) << 2;
  return true;
}

function loadSize(code: number): number {
  const size = code & 0x18;
  if (size === BPF_W) return 4;
  return size === BPF_H ? 2 : 1;
}
