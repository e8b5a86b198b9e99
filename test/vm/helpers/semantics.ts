/** What each instruction means, as a table every engine is tested with. The default packet is 01 23 45 67 89. */

import type { FrameMetadata } from '../../../vm/index.ts';
import type { InstructionRows } from './vectors.ts';

export type SemanticsRow = {
  readonly description: string;
  readonly rows: InstructionRows;
  readonly packet?: string;
  readonly wireLength?: number;
  readonly backwardJumps?: boolean;
  readonly expected: number;
};

const RET_A = [0x16, 0, 0, 0] as const;
const TXA = [0x87, 0, 0, 0] as const;

/** A program that loads `a` and `x`, runs one instruction and returns A. */
function alu(a: number, x: number, code: number, k = 0): InstructionRows {
  return [[0x00, 0, 0, a], [0x01, 0, 0, x], [code, 0, 0, k], RET_A];
}

/** A program that returns 1 when the jump is taken, else 2. */
function jump(a: number, x: number, code: number, k = 0): InstructionRows {
  return [
    [0x00, 0, 0, a],
    [0x01, 0, 0, x],
    [code, 0, 1, k],
    [0x06, 0, 0, 1],
    [0x06, 0, 0, 2],
  ];
}

function load(code: number, k: number, x = 0): InstructionRows {
  return [[0x01, 0, 0, x], [code, 0, 0, k], RET_A];
}

const RETURNS: SemanticsRow[] = [
  { description: 'the empty program accepts everything', rows: [], expected: 0xffffffff },
  { description: 'ret #k is unsigned', rows: [[0x06, 0, 0, 0xdeadc0de]], expected: 0xdeadc0de },
  { description: 'ret a is unsigned', rows: [[0x00, 0, 0, 0x80000000], RET_A], expected: 0x80000000 },
  { description: 'A starts as 0', rows: [RET_A], expected: 0 },
  { description: 'X starts as 0', rows: [[0x00, 0, 0, 5], TXA, RET_A], expected: 0 },
  { description: 'M[] starts as 0', rows: [[0x00, 0, 0, 5], [0x60, 0, 0, 15], RET_A], expected: 0 },
  { description: 'len is the wire length', rows: [[0x80, 0, 0, 0], RET_A], wireLength: 1500, expected: 1500 },
  { description: 'ldx len too', rows: [[0x81, 0, 0, 0], TXA, RET_A], wireLength: 1500, expected: 1500 },
  {
    description: 'len may exceed 2^31',
    rows: [[0x80, 0, 0, 0], RET_A],
    wireLength: 0xdeadc0de,
    expected: 0xdeadc0de,
  },
];

const LOADS: SemanticsRow[] = [
  { description: 'ld [1] is big-endian, unaligned', rows: load(0x20, 1), expected: 0x23456789 },
  { description: 'ld [0] keeps the top bit', rows: load(0x20, 0), packet: 'fedcba98', expected: 0xfedcba98 },
  { description: 'ld [2] one byte short rejects', rows: load(0x20, 2), expected: 0 },
  { description: 'ldh [3] reaches the last byte', rows: load(0x28, 3), expected: 0x6789 },
  { description: 'ldh [4] one byte short rejects', rows: load(0x28, 4), expected: 0 },
  { description: 'ldb [4] is the last byte', rows: load(0x30, 4), expected: 0x89 },
  { description: 'ldb [5] past the end rejects', rows: load(0x30, 5), expected: 0 },
  { description: 'ld [0xffffffff] rejects', rows: load(0x20, 0xffffffff), expected: 0 },
  { description: 'ldh [0xffffffff] rejects', rows: load(0x28, 0xffffffff), expected: 0 },
  { description: 'ldb [0xffffffff] rejects', rows: load(0x30, 0xffffffff), expected: 0 },
  { description: 'ld from an empty packet rejects', rows: load(0x20, 0), packet: '', expected: 0 },
  { description: 'ld [x + 0], x = 1', rows: load(0x40, 0, 1), expected: 0x23456789 },
  { description: 'ldh [x + 1], x = 2', rows: load(0x48, 1, 2), expected: 0x6789 },
  { description: 'ldb [x + 1], x = 3', rows: load(0x50, 1, 3), expected: 0x89 },
  { description: 'ldb [x + 1], x = 4 rejects', rows: load(0x50, 1, 4), expected: 0 },
  { description: 'ld [x + k] rejects when the sum overflows', rows: load(0x40, 2, 0xffffffff), expected: 0 },
  { description: 'ldh [x + k] rejects when the sum overflows', rows: load(0x48, 2, 0xffffffff), expected: 0 },
  { description: 'ldb [x + k] rejects when the sum overflows', rows: load(0x50, 0xffffffff, 2), expected: 0 },
  { description: 'ldxb 4*([1]&0xf)', rows: [[0xb1, 0, 0, 1], TXA, RET_A], expected: 12 },
  {
    description: 'ldxb past the end rejects',
    rows: [
      [0xb1, 0, 0, 5],
      [0x06, 0, 0, 1],
    ],
    expected: 0,
  },
  { description: 'ldxb leaves A', rows: [[0x00, 0, 0, 9], [0xb1, 0, 0, 1], RET_A], expected: 9 },
  {
    description: 'st and ld M[k]',
    rows: [[0x00, 0, 0, 7], [0x02, 0, 0, 15], [0x00, 0, 0, 1], [0x60, 0, 0, 15], RET_A],
    expected: 7,
  },
  {
    description: 'stx and ldx M[k]',
    rows: [[0x01, 0, 0, 8], [0x03, 0, 0, 0], [0x01, 0, 0, 1], [0x61, 0, 0, 0], TXA, RET_A],
    expected: 8,
  },
  { description: 'tax', rows: [[0x00, 0, 0, 6], [0x07, 0, 0, 0], [0x00, 0, 0, 1], TXA, RET_A], expected: 6 },
];

const ARITHMETIC: SemanticsRow[] = [
  { description: 'add #k wraps', rows: alu(0xffffffff, 0, 0x04, 2), expected: 1 },
  { description: 'add x', rows: alu(3, 4, 0x0c), expected: 7 },
  { description: 'sub #k wraps', rows: alu(1, 0, 0x14, 2), expected: 0xffffffff },
  { description: 'sub x', rows: alu(9, 4, 0x1c), expected: 5 },
  {
    description: 'mul #k keeps the low 32 bits',
    rows: alu(0xdeadc0de, 0, 0x24, 0x10001),
    expected: 0x9f8bc0de,
  },
  { description: 'mul x', rows: alu(0xffffffff, 0xffffffff, 0x2c), expected: 1 },
  { description: 'div #k is unsigned', rows: alu(0xffffffff, 0, 0x34, 2), expected: 0x7fffffff },
  { description: 'div #1 keeps the top bit', rows: alu(0xffffffff, 0, 0x34, 1), expected: 0xffffffff },
  { description: 'div by a constant above 2^31', rows: alu(0xffffffff, 0, 0x34, 0x80000000), expected: 1 },
  { description: 'div x', rows: alu(100, 7, 0x3c), expected: 14 },
  { description: 'div x by 0 rejects', rows: [...alu(5, 0, 0x3c).slice(0, 3), [0x06, 0, 0, 1]], expected: 0 },
  { description: 'mod #k is unsigned', rows: alu(0xffffffff, 0, 0x94, 10), expected: 5 },
  { description: 'mod x', rows: alu(0xdfe00121, 0xdead, 0x9c), expected: 0xdfe00121 % 0xdead },
  { description: 'mod x by 0 rejects', rows: [...alu(5, 0, 0x9c).slice(0, 3), [0x06, 0, 0, 1]], expected: 0 },
  { description: 'or #k', rows: alu(0x80000001, 0, 0x44, 6), expected: 0x80000007 },
  { description: 'or x', rows: alu(1, 6, 0x4c), expected: 7 },
  { description: 'and #k', rows: alu(0xdeadc0de, 0, 0x54, 0xff00ff00), expected: 0xde00c000 },
  { description: 'and x', rows: alu(12, 10, 0x5c), expected: 8 },
  { description: 'xor #k', rows: alu(0xdeadc0de, 0, 0xa4, 0xffffffff), expected: 0x21523f21 },
  { description: 'xor x', rows: alu(12, 10, 0xac), expected: 6 },
  { description: 'lsh #k', rows: alu(0xdeadc0de, 0, 0x64, 16), expected: 0xc0de0000 },
  { description: 'lsh #32 is 0', rows: alu(0xdeadc0de, 0, 0x64, 32), expected: 0 },
  { description: 'lsh x', rows: alu(3, 31, 0x6c), expected: 0x80000000 },
  { description: 'lsh x by 32 is 0', rows: alu(1, 32, 0x6c), expected: 0 },
  { description: 'lsh x by 2^31 is 0', rows: alu(1, 0x80000000, 0x6c), expected: 0 },
  { description: 'rsh #k brings in zeros', rows: alu(0xdeadc0de, 0, 0x74, 16), expected: 0xdead },
  { description: 'rsh #0 keeps the top bit', rows: alu(0xdeadc0de, 0, 0x74, 0), expected: 0xdeadc0de },
  { description: 'rsh #33 is 0', rows: alu(0xdeadc0de, 0, 0x74, 33), expected: 0 },
  { description: 'rsh x', rows: alu(0xdeadc0de, 31, 0x7c), expected: 1 },
  { description: 'rsh x by 32 is 0', rows: alu(0xdeadc0de, 32, 0x7c), expected: 0 },
  { description: 'neg', rows: alu(1, 0, 0x84), expected: 0xffffffff },
  { description: 'neg of 0 is 0', rows: alu(0, 0, 0x84), expected: 0 },
];

const JUMPS: SemanticsRow[] = [
  {
    description: 'ja',
    rows: [
      [0x05, 0, 0, 1],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    expected: 2,
  },
  { description: 'jeq #k taken', rows: jump(0xdeadc0de, 0, 0x15, 0xdeadc0de), expected: 1 },
  { description: 'jeq #k not taken', rows: jump(1, 0, 0x15, 2), expected: 2 },
  { description: 'jeq x taken', rows: jump(5, 5, 0x1d), expected: 1 },
  { description: 'jeq x not taken', rows: jump(5, 6, 0x1d), expected: 2 },
  { description: 'jgt #k is unsigned', rows: jump(0x80000000, 0, 0x25, 1), expected: 1 },
  { description: 'jgt #k excludes equality', rows: jump(5, 0, 0x25, 5), expected: 2 },
  { description: 'jgt x is unsigned', rows: jump(1, 0x80000000, 0x2d), expected: 2 },
  { description: 'jge #k includes equality', rows: jump(5, 0, 0x35, 5), expected: 1 },
  { description: 'jge #k is unsigned', rows: jump(1, 0, 0x35, 0xffffffff), expected: 2 },
  { description: 'jge x is unsigned', rows: jump(0xffffffff, 1, 0x3d), expected: 1 },
  {
    description: 'a halfword equals no constant beyond 16 bits',
    rows: [
      [0x28, 0, 0, 0],
      [0x15, 0, 1, 0x10000],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    packet: '0001',
    expected: 2,
  },
  {
    description: 'a halfword has no bits beyond 16',
    rows: [
      [0x28, 0, 0, 0],
      [0x45, 0, 1, 0x10000],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    packet: 'ffff',
    expected: 2,
  },
  {
    description: 'jeq after loads of two sizes',
    rows: [
      [0x30, 0, 0, 0],
      [0x15, 0, 2, 1],
      [0x28, 0, 0, 0],
      [0x05, 0, 0, 1],
      [0x20, 0, 0, 0],
      [0x15, 0, 1, 0x0102],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    packet: '01020304',
    expected: 1,
  },
  {
    description: 'jeq after a word or a halfword, the other way',
    rows: [
      [0x30, 0, 0, 0],
      [0x15, 0, 2, 1],
      [0x28, 0, 0, 0],
      [0x05, 0, 0, 1],
      [0x20, 0, 0, 0],
      [0x15, 0, 1, 0x02020304],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    packet: '02020304',
    expected: 1,
  },
  { description: 'jset #k taken', rows: jump(0x80000001, 0, 0x45, 0x80000000), expected: 1 },
  { description: 'jset #k not taken', rows: jump(6, 0, 0x45, 9), expected: 2 },
  { description: 'jset x taken', rows: jump(6, 2, 0x4d), expected: 1 },
  { description: 'jset x not taken', rows: jump(6, 9, 0x4d), expected: 2 },
  {
    description: 'jumps reach 255 instructions far',
    rows: [
      [0x15, 255, 0, 0],
      ...Array<readonly [number, number, number, number]>(255).fill([0x06, 0, 0, 1]),
      [0x06, 0, 0, 2],
    ],
    expected: 2,
  },
  {
    description: 'a loop by ja backwards runs to its end',
    rows: [[0x04, 0, 0, 1], [0x35, 1, 0, 100], [0x05, 0, 0, 0xfffffffd], RET_A],
    backwardJumps: true,
    expected: 100,
  },
  {
    description: 'a jump back to code that nothing else reaches',
    rows: [
      [0x05, 0, 0, 1],
      [0x06, 0, 0, 7],
      [0x05, 0, 0, 0xfffffffe],
      [0x06, 0, 0, 1],
    ],
    backwardJumps: true,
    expected: 7,
  },
  {
    description: 'a jump back into code that has checked more of the packet than this path',
    rows: [
      [0x30, 0, 0, 0],
      [0x15, 2, 0, 1],
      [0x30, 0, 0, 4],
      [0x30, 0, 0, 4],
      [0x60, 0, 0, 0],
      [0x15, 3, 0, 1],
      [0x00, 0, 0, 1],
      [0x02, 0, 0, 0],
      [0x05, 0, 0, 0xfffffffa],
      [0x06, 0, 0, 9],
    ],
    packet: '01',
    backwardJumps: true,
    expected: 0,
  },
  {
    description: 'a loop that goes back over 65,535 instructions in all',
    rows: [
      [0x04, 0, 0, 1],
      [0x35, 1, 0, 21846],
      [0x05, 0, 0, 0xfffffffd],
      [0x06, 0, 0, 5],
    ],
    backwardJumps: true,
    expected: 5,
  },
  {
    description: 'a loop that goes back over more than 65,536 rejects',
    rows: [
      [0x04, 0, 0, 1],
      [0x35, 1, 0, 21847],
      [0x05, 0, 0, 0xfffffffd],
      [0x06, 0, 0, 5],
    ],
    backwardJumps: true,
    expected: 0,
  },
  {
    description: 'an endless loop rejects',
    rows: [
      [0x05, 0, 0, 0xffffffff],
      [0x06, 0, 0, 1],
    ],
    backwardJumps: true,
    expected: 0,
  },
];

export const SEMANTICS: readonly SemanticsRow[] = [...RETURNS, ...LOADS, ...ARITHMETIC, ...JUMPS];

export type LinuxRow = {
  readonly description: string;
  readonly rows: InstructionRows;
  readonly packet?: string;
  readonly metadata?: FrameMetadata;
  readonly expected: number;
};

const AD = 0xfffff000;
const NET = 0xfff00000;
const LL = 0xffe00000;

/** A program that returns an ancillary load of the given number. */
function ancillary(index: number): InstructionRows {
  return [[0x20, 0, 0, AD + 4 * index], RET_A];
}

/** What the linux dialect adds, or does otherwise. */
export const LINUX_SEMANTICS: readonly LinuxRow[] = [
  { description: 'proto', rows: ancillary(0), metadata: { protocol: 0x86dd }, expected: 0x86dd },
  { description: 'type', rows: ancillary(1), metadata: { packetType: 4 }, expected: 4 },
  { description: 'ifidx', rows: ancillary(2), metadata: { interfaceIndex: 7 }, expected: 7 },
  {
    description: 'ifidx without interface rejects',
    rows: [...ancillary(2).slice(0, 1), [6, 0, 0, 1]],
    expected: 0,
  },
  {
    description: 'mark is unsigned',
    rows: ancillary(5),
    metadata: { mark: 0xdeadc0de },
    expected: 0xdeadc0de,
  },
  { description: 'queue', rows: ancillary(6), metadata: { queue: 3 }, expected: 3 },
  {
    description: 'hatype',
    rows: ancillary(7),
    metadata: { interfaceIndex: 1, hardwareType: 772 },
    expected: 772,
  },
  {
    description: 'hatype without interface rejects',
    rows: [...ancillary(7).slice(0, 1), [6, 0, 0, 1]],
    metadata: { hardwareType: 1 },
    expected: 0,
  },
  { description: 'rxhash', rows: ancillary(8), metadata: { receiveHash: 0xffffffff }, expected: 0xffffffff },
  { description: 'cpu', rows: ancillary(9), metadata: { cpu: 1 }, expected: 1 },
  { description: 'vlan_tci', rows: ancillary(11), metadata: { vlanTag: 0x2005 }, expected: 0x2005 },
  { description: 'vlan_avail', rows: ancillary(12), metadata: { vlanTagPresent: true }, expected: 1 },
  { description: 'poff', rows: ancillary(13), metadata: { payloadOffset: 54 }, expected: 54 },
  {
    description: 'rand, the first number',
    rows: ancillary(14),
    metadata: { randomState: 0 },
    expected: 1144304738,
  },
  {
    description: 'rand, the second number',
    rows: [[0x20, 0, 0, AD + 56], [0x20, 0, 0, AD + 56], RET_A],
    metadata: { randomState: 0 },
    expected: 1416247,
  },
  { description: 'vlan_tpid', rows: ancillary(15), metadata: { vlanProtocol: 0x88a8 }, expected: 0x88a8 },
  {
    description: 'xor_x',
    rows: [[0x01, 0, 0, 0xff00ff00], [0x00, 0, 0, 0x0ff00ff0], [0x20, 0, 0, AD + 40], RET_A],
    expected: 0xf0f0f0f0,
  },
  {
    description: 'ldh and ldb load the same',
    rows: [[0x30, 0, 0, AD + 20], RET_A],
    metadata: { mark: 0x12345 },
    expected: 0x12345,
  },
  {
    description: 'SKF_NET_OFF',
    rows: [[0x28, 0, 0, NET + 1], RET_A],
    metadata: { networkOffset: 2 },
    expected: 0x6789,
  },
  {
    description: 'SKF_NET_OFF past the end rejects',
    rows: [
      [0x28, 0, 0, NET + 1],
      [6, 0, 0, 1],
    ],
    metadata: { networkOffset: 3 },
    expected: 0,
  },
  {
    description: 'SKF_LL_OFF',
    rows: [[0x20, 0, 0, LL + 1], RET_A],
    metadata: { networkOffset: 2 },
    expected: 0x23456789,
  },
  {
    description: 'below SKF_LL_OFF rejects',
    rows: [
      [0x30, 0, 0, LL - 1],
      [6, 0, 0, 1],
    ],
    expected: 0,
  },
  {
    description: 'ldxb at SKF_NET_OFF',
    rows: [[0xb1, 0, 0, NET], TXA, RET_A],
    metadata: { networkOffset: 1 },
    expected: 12,
  },
  { description: '[x + k] wraps', rows: load(0x50, 0xffffffff, 3), expected: 0x45 },
  {
    description: '[x + k] may name the network header',
    rows: load(0x48, 1, NET),
    metadata: { networkOffset: 1 },
    expected: 0x4567,
  },
  {
    description: '[x + k] in the ancillary range is far past the network header',
    rows: [
      [1, 0, 0, 4],
      [0x40, 0, 0, AD],
      [6, 0, 0, 1],
    ],
    expected: 0,
  },
  { description: 'lsh x uses the low five bits', rows: alu(1, 33, 0x6c), expected: 2 },
  { description: 'rsh x uses the low five bits', rows: alu(8, 0x80000002, 0x7c), expected: 2 },
];
