/**
 * The interpreter: runs packed programs straight out of (shared) memory, without allocating.
 *
 * Semantics are those of `bpf_filter()` in FreeBSD's sys/net/bpf_filter.c. Registers are unsigned 32-bit; a load
 * outside the packet, a division or modulo by a zero X and an index that overflows reject the packet, that is,
 * return 0. What C leaves undefined is defined as in libpcap: a shift by 32 or more yields 0. In the `linux`
 * dialect (net/core/filter.c) the address X + k wraps, addresses beyond 2^31 name ancillary data and headers, and
 * a shift uses the low five bits of X. That dialect is chosen by passing metadata, and costs the other nothing:
 * all of its loads begin as a load outside the packet.
 *
 * A and X are kept as int32 (`|0`), which V8 holds in registers, and read unsigned (`>>>0`) only where the sign
 * matters: comparison, division, right shift and address arithmetic.
 */

import { BPF_MEMWORDS } from './instruction.ts';
import {
  type FrameMetadata,
  loadAncillary,
  METADATA_WORDS,
  packMetadata,
  REJECTED,
  resolveAddress,
  SKF_AD_OFF,
} from './metadata.ts';
import type { Program } from './program.ts';

/** What the empty program returns: keep all of the packet, as `bpf_filter(NULL, ...)` does. */
export const ACCEPT_ALL = 0xffffffff;

/**
 * Instructions that backward jumps may go back over, summed over one run, before the packet is rejected. With it
 * no program executes more than its length plus this many instructions.
 */
export const REWIND_LIMIT = 0x10000;

const AD_OFF = SKF_AD_OFF | 0;

/** Scratch memory, one for the thread. `written` in runProgram makes what an earlier run left unreadable. */
const scratch = new Int32Array(BPF_MEMWORDS);

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
  let pc = start;
  let at = 0;
  for (;;) {
    const word = words[pc]!;
    const k = words[pc + 1]!;
    pc += 2;
    switch (word & 0xff) {
      case 0x06: // ret #k
        return k >>> 0;
      case 0x16: // ret a
        return a >>> 0;

      case 0x20: // ld [k]
        at = k >>> 0;
        if (at + 4 > bufferLength) {
          if (metadata === null) return 0;
          if (k >= AD_OFF && k < 0) {
            at = loadAncillary(k, a, x, metadata);
            if (at === REJECTED) return 0;
            a = at | 0;
            continue;
          }
          at = resolveAddress(k, 4, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        at += offset;
        a = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
        continue;
      case 0x28: // ldh [k]
        at = k >>> 0;
        if (at + 2 > bufferLength) {
          if (metadata === null) return 0;
          if (k >= AD_OFF && k < 0) {
            at = loadAncillary(k, a, x, metadata);
            if (at === REJECTED) return 0;
            a = at | 0;
            continue;
          }
          at = resolveAddress(k, 2, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        at += offset;
        a = (bytes[at]! << 8) | bytes[at + 1]!;
        continue;
      case 0x30: // ldb [k]
        at = k >>> 0;
        if (at >= bufferLength) {
          if (metadata === null) return 0;
          if (k >= AD_OFF && k < 0) {
            at = loadAncillary(k, a, x, metadata);
            if (at === REJECTED) return 0;
            a = at | 0;
            continue;
          }
          at = resolveAddress(k, 1, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        a = bytes[offset + at]!;
        continue;
      case 0x40: // ld [x + k]
        at = (x >>> 0) + (k >>> 0);
        if (at + 4 > bufferLength) {
          if (metadata === null) return 0;
          at = resolveAddress(at | 0, 4, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        at += offset;
        a = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
        continue;
      case 0x48: // ldh [x + k]
        at = (x >>> 0) + (k >>> 0);
        if (at + 2 > bufferLength) {
          if (metadata === null) return 0;
          at = resolveAddress(at | 0, 2, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        at += offset;
        a = (bytes[at]! << 8) | bytes[at + 1]!;
        continue;
      case 0x50: // ldb [x + k]
        at = (x >>> 0) + (k >>> 0);
        if (at >= bufferLength) {
          if (metadata === null) return 0;
          at = resolveAddress(at | 0, 1, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        a = bytes[offset + at]!;
        continue;
      case 0xb1: // ldxb 4*([k]&0xf)
        at = k >>> 0;
        if (at >= bufferLength) {
          if (metadata === null) return 0;
          at = resolveAddress(k, 1, metadata, bufferLength);
          if (at === REJECTED) return 0;
        }
        x = (bytes[offset + at]! & 0x0f) << 2;
        continue;
      case 0x00: // ld #k
        a = k;
        continue;
      case 0x01: // ldx #k
        x = k;
        continue;
      case 0x80: // ld len
        a = wireLength | 0;
        continue;
      case 0x81: // ldx len
        x = wireLength | 0;
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
        pc += k << 1;
        continue;
      // jt and jf count instructions: both are doubled into words while they are shifted out.
      case 0x15: // jeq #k
        pc += (a === k ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x1d: // jeq x
        pc += (a === x ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x25: // jgt #k
        pc += (a >>> 0 > k >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x2d: // jgt x
        pc += (a >>> 0 > x >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x35: // jge #k
        pc += (a >>> 0 >= k >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x3d: // jge x
        pc += (a >>> 0 >= x >>> 0 ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x45: // jset #k
        pc += ((a & k) !== 0 ? word >>> 15 : word >>> 23) & 0x1fe;
        continue;
      case 0x4d: // jset x
        pc += ((a & x) !== 0 ? word >>> 15 : word >>> 23) & 0x1fe;
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
}

let lastProgram: Program | undefined;
let lastWords: Int32Array = new Int32Array(0);
const packedMetadata = new Int32Array(METADATA_WORDS);

/**
 * Runs `program` over one packet.
 *
 * @param wireLength the packet's length on the wire, when `packet` was cut short; its length unless told
 * @param metadata what a program of the `linux` dialect can load beside the packet
 * @returns bytes of the packet to keep, 0 to reject
 */
export function interpret(
  program: Program,
  packet: Uint8Array,
  wireLength: number = packet.length,
  metadata: FrameMetadata = {},
): number {
  if (program !== lastProgram) {
    lastProgram = program;
    lastWords = program.words;
  }
  const isLinux = program.dialect === 'linux';
  if (isLinux) packMetadata(metadata, packedMetadata);
  return runProgram(
    lastWords,
    0,
    program.length,
    packet,
    0,
    wireLength,
    packet.length,
    isLinux ? packedMetadata : null,
  );
}
