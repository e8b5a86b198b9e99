import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  assemble,
  compileFused,
  interpret,
  MATCH_BYTES,
  Program,
  packMetadata,
  parseProgram,
} from '../../vm/index.ts';
import { ethernet, ipv4, ipv6, tcp, udp } from './helpers/frames.ts';
import { prepareFused } from './helpers/fused.ts';
import { hasVectors, readCorpus } from './helpers/vectors.ts';

/** All packets of up to four bytes, each 0 to 2. */
const SMALL_PACKETS: Uint8Array[] = [];
for (let length = 0; length <= 4; length++) {
  for (let n = 0; n < 3 ** length; n++) {
    SMALL_PACKETS.push(Uint8Array.from({ length }, (_, i) => Math.floor(n / 3 ** i) % 3));
  }
}

function expectSameVerdicts(programs: readonly Program[], packets: readonly Uint8Array[]): void {
  const fused = prepareFused(programs);
  for (const packet of packets) {
    const alone = programs.map((program) => interpret(program, packet));
    expect(fused(packet), `packet ${packet.join()}`).toEqual(alone);
  }
}

/** Source in which `@1`, `@2` ... stand for constants, assembled once for each list of constants. */
function family(source: string, constants: readonly (readonly number[])[]): Program[] {
  return constants.map((list) => assemble(source.replaceAll(/@(\d)/g, (_, n) => `${list[Number(n) - 1]}`)));
}

const PAIRS = [0, 1, 2, 3].flatMap((a) => [0, 1, 2, 3].map((b) => [a, b]));

describe('fused programs give what they give alone', () => {
  const table: [string, Program[]][] = [
    ['no program at all', []],
    ['programs that accept or reject everything', [Program.from([]), assemble('ret #0'), assemble('ret #7')]],
    [
      'one program many times',
      Array<Program>(5).fill(assemble('ldb [0]\njeq #1, y, n\ny: ret #1\nn: ret #0')),
    ],
    [
      'tests of one value against many constants',
      family('ldb [0]\njeq #@1, y, n\ny: ret #@2\nn: ret #0', PAIRS),
    ],
    [
      'either of two values against the same constant, as in `port`',
      family('ldb [0]\njeq #@1, y\nldb [1]\njeq #@1, y, n\ny: ret #9\nn: ret #0', [[0], [1], [2], [3]]),
    ],
    [
      'either of two values against two constants',
      family('ldb [0]\njeq #@1, y\nldb [1]\njeq #@2, y, n\ny: ret #9\nn: ret #0', PAIRS),
    ],
    ['neither of two values', family('ldb [0]\njeq #@1, n\nldb [1]\njeq #@2, n\nret #9\nn: ret #0', PAIRS)],
    [
      'a test that only some paths reach, then another',
      family('ldb [0]\njset #1, b\nldb [1]\njeq #@1, n\nb: ldb [2]\njeq #@2, n\nret #5\nn: ret #0', PAIRS),
    ],
    [
      'a picked program that goes on with its own test',
      family(
        'ldb [0]\njeq #@1, m\nldb [1]\njeq #@2, y, n\nm: ldb [2]\njeq #@2, y, n\ny: ret #3\nn: ret #0',
        PAIRS,
      ),
    ],
    [
      'a picked program that needs what A, X and M[] held',
      family(
        'ldb [1]\ntax\nldb [2]\nst M[3]\nldb [0]\njeq #@1, m\nadd x\njeq #@2, y, n\nm: add x\ntax\nld M[3]\nadd x\njeq #@2, y, n\ny: ret a\nn: ret #0',
        PAIRS,
      ),
    ],
    ['verdicts computed from the packet', family('ldb [0]\njeq #@1, n\nldb [1]\nret a\nn: ret #@2', PAIRS)],
    [
      'a constant tested twice: the first test counts',
      [assemble('ldb [0]\njeq #1, a\njeq #1, b\njeq #2, b, n\na: ldb [1]\nret a\nb: ret #7\nn: ret #0')],
    ],
    [
      'a chain with a load between its tests',
      [assemble('ldb [0]\njeq #1, y\nldb [2]\nldb [0]\njeq #2, y, n\ny: ret #7\nn: ret #0')],
    ],
    [
      'a load that nobody looks at',
      [assemble('ldb [3]\nret #1'), assemble('ldb [3]\nldb [0]\njeq #1, y, n\ny: ret #1\nn: ret #0')],
    ],
    [
      'paths that join after loads of different reach',
      family(
        'ldb [0]\njset #1, j\nldb [2]\nj: ldb [1]\njeq #@1, n\nldb [2]\njeq #@2, n\nret #4\nn: ret #0',
        PAIRS,
      ),
    ],
    [
      'the same rest with different registers',
      [1, 2].map((x) =>
        assemble(`ldx #${x}\nldb [0]\njeq #1, go, n\ngo: ldb [x + 1]\njeq #2, n\nret #6\nn: ret #0`),
      ),
    ],
    [
      'every kind of comparison as a first test',
      ['jgt #1', 'jge #1', 'jset #2', 'jeq x', 'jgt x', 'jge x', 'jset x'].flatMap((test) =>
        ['y, n', 'n, y'].map((labels) =>
          assemble(`ldb [1]\ntax\nldb [0]\n${test}, ${labels}\ny: ldb [2]\nret a\nn: ret #0`),
        ),
      ),
    ],
    [
      'tests of computed values',
      [
        'and #1',
        'or #2',
        'xor #3',
        'add #1',
        'sub #1',
        'mul #3',
        'div #2',
        'mod #2',
        'lsh #1',
        'rsh #1',
        'neg',
        'add x',
        'lsh #40',
      ].map((step) => assemble(`ldxb 4*([1]&0xf)\nldb [0]\n${step}\njeq #2, y, n\ny: ret #1\nn: ret #0`)),
    ],
    [
      'one of several constants',
      ['0', '1'].map((c) => assemble(`ldb [0]\njeq #${c}, y\njeq #2, y, n\ny: ldb [1]\nret a\nn: ret #0`)),
    ],
    ['the length on the wire', family('ld len\njeq #@1, y, n\ny: ret #@2\nn: ret #0', PAIRS)],
  ];
  it.each(table)('%s', (_, programs) => {
    expectSameVerdicts(programs, SMALL_PACKETS);
  });

  it('constants by the hundred, whether dense or far apart', () => {
    for (const step of [1, 7, 65537, 0x01000193]) {
      const constants = Array.from({ length: 300 }, (_, i) => [Math.imul(i, step) >>> 0]);
      const packets = constants.map(([c]) => Uint8Array.of(c! >>> 24, c! >>> 16, c! >>> 8, c!));
      const programs = family('ld [0]\njeq #@1, y, n\ny: ret #1\nn: ret #0', constants);
      expectSameVerdicts(programs, [...packets.slice(0, 40), Uint8Array.of(9, 9, 9, 9)]);
    }
  });

  it('a loop beside programs without one', () => {
    const loop = assemble(
      'ldx #0\nup: ldb [x + 0]\njeq #2, y\ntxa\nadd #1\ntax\nja up\ny: txa\nadd #1\nret a',
      {
        backwardJumps: true,
      },
    );
    expectSameVerdicts([loop, assemble('ldb [0]\nret a'), loop], SMALL_PACKETS);
  });
});

const FOLDER = join(import.meta.dirname, '../../filters');
const READY_MADE = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.bpf'))
  .map((file) => parseProgram(readFileSync(join(FOLDER, file), 'utf8')));

/** `tcp port N` as the ready-made filter @http has it. */
function tcpPort(port: number): Program {
  const http = readFileSync(join(FOLDER, 'http.bpf'), 'utf8');
  return parseProgram(http.replaceAll('#80,', `#${port},`));
}

describe('fused filters', () => {
  it('256 times `tcp port N`', () => {
    const programs = Array.from({ length: 256 }, (_, i) => tcpPort(i * 257));
    const ports = [0, 257, 514, 257 * 255, 80, 258];
    const packets = ports.flatMap((from) =>
      ports.flatMap((to) => [
        ethernet(0x0800, ipv4(6, tcp(from, to))),
        ethernet(0x0800, ipv4(6, tcp(from, to), { optionBytes: 8 })),
        ethernet(0x0800, ipv4(6, tcp(from, to), { fragment: 1 })),
        ethernet(0x86dd, ipv6(6, tcp(from, to))),
        ethernet(0x0800, ipv4(17, udp(from, to))),
      ]),
    );
    expectSameVerdicts(programs, packets);
    expect(prepareFused(programs)(packets[0]!).filter((verdict) => verdict > 0)).toEqual([262144]);
  });

  it.runIf(hasVectors('corpus-en10mb.pcap'))('all ready-made ones and ports, over the capture corpus', () => {
    const programs = [...READY_MADE, ...[80, 53, 443, 22].map(tcpPort), ...READY_MADE, Program.from([])];
    const fused = prepareFused(programs);
    for (const { bytes, wireLength } of readCorpus('corpus-en10mb.pcap')) {
      expect(fused(bytes, wireLength)).toEqual(
        programs.map((program) => interpret(program, bytes, wireLength)),
      );
    }
  });
});

describe('compileFused', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });

  it('lets every program of the linux dialect draw its own random numbers', () => {
    const random = assemble('ld rand\nor #1\nret a', { dialect: 'linux' });
    const match = compileFused([random, random], { memory, metadataOffset: 128 });
    packMetadata({ randomState: 1 }, new Int32Array(memory.buffer), 32);
    expect(match(1024, 0, 0, 2048)).toBe(2);
    const results = new Uint32Array(memory.buffer, 2048, (2 * MATCH_BYTES) / 4);
    expect([results[0], results[2]]).toEqual([0, 1]);
    expect(results[1]).not.toBe(results[3]);
  });

  it('refuses programs that are too large together', () => {
    const large = Program.from(Array(4096).fill({ code: 0x06, jt: 0, jf: 0, k: 0 }));
    expect(() => compileFused(Array<Program>(123).fill(large), { memory })).toThrow(RangeError);
  });

  it('takes the longest programs, with a jump at every instruction', () => {
    const jumps = Array.from({ length: 4094 }, (_, i) => ({
      code: 0x15,
      jt: i % 7 === 0 && i < 4000 ? 9 : 0,
      jf: 0,
      k: i,
    }));
    const rets = [1, 2].map((k) => ({ code: 0x06, jt: 0, jf: 0, k }));
    const long = Program.from([...jumps, ...rets]);
    expectSameVerdicts([long, tcpPort(1), long], [new Uint8Array(3)]);
  });
});
