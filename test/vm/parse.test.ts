import { describe, expect, it } from 'vitest';
import {
  assemble,
  disassemble,
  type Instruction,
  Program,
  ProgramSyntaxError,
  parseProgram,
} from '../../vm/index.ts';
import { fromRows, type InstructionRows } from './helpers/vectors.ts';

/** `tcp dst port 80 and less 1000` on Ethernet, IPv4 only, in all four forms. */
const ROWS: InstructionRows = [
  [0x28, 0, 0, 12],
  [0x15, 0, 8, 0x800],
  [0x30, 0, 0, 23],
  [0x15, 0, 6, 6],
  [0x28, 0, 0, 20],
  [0x45, 4, 0, 0x1fff],
  [0xb1, 0, 0, 14],
  [0x48, 0, 0, 16],
  [0x15, 0, 1, 80],
  [0x06, 0, 0, 262144],
  [0x06, 0, 0, 0],
];
const DDD = `11
40 0 0 12
21 0 8 2048
48 0 0 23
21 0 6 6
40 0 0 20
69 4 0 8191
177 0 0 14
72 0 0 16
21 0 1 80
6 0 0 262144
6 0 0 0
`;
const DD = `{ 0x28, 0, 0, 0x0000000c },
{ 0x15, 0, 8, 0x00000800 },
{ 0x30, 0, 0, 0x00000017 },
{ 0x15, 0, 6, 0x00000006 },
{ 0x28, 0, 0, 0x00000014 },
{ 0x45, 4, 0, 0x00001fff },
{ 0xb1, 0, 0, 0x0000000e },
{ 0x48, 0, 0, 0x00000010 },
{ 0x15, 0, 1, 0x00000050 },
{ 0x6, 0, 0, 0x00040000 },
{ 0x6, 0, 0, 0x00000000 },
`;
const D = `(000) ldh      [12]
(001) jeq      #0x800           jt 2\tjf 10
(002) ldb      [23]
(003) jeq      #0x6             jt 4\tjf 10
(004) ldh      [20]
(005) jset     #0x1fff          jt 10\tjf 6
(006) ldxb     4*([14]&0xf)
(007) ldh      [x + 16]
(008) jeq      #0x50            jt 9\tjf 10
(009) ret      #262144
(010) ret      #0
`;
const ASM = `; IPv4 TCP to port 80
# a line for the preprocessor
        ldh [12]
        jne #0x800, drop
        ldb [23]
        jneq #6, drop       /* not
                               TCP */
        ldh [20]
        jset #0x1fff, drop
        ldxb 4*([14]&0xf)
        ldh [x+16]
        jeq #80, keep, drop
keep:   ret #0x40000
drop:
        ret #0
`;

describe('parseProgram reads', () => {
  it.each([
    ['tcpdump -ddd output', DDD],
    ['the one-line form of -ddd', DDD.trim().replaceAll('\n', ',')],
    ['tcpdump -dd output', DD],
    ['-dd output on one line', DD.replaceAll('\n', ' ')],
    ['a tcpdump -d listing', D],
    ['bpf_asm source', ASM],
    ['text with carriage returns', DDD.replaceAll('\n', '\r\n')],
  ])('%s', (_, text) => {
    expect(parseProgram(text).instructions).toEqual(fromRows(ROWS));
  });

  it('a program of no instructions as -ddd writes it', () => {
    expect(parseProgram('0\n').length).toBe(0);
  });
  it("libpcap's protochain loop, with backwardJumps", () => {
    const listing = '(000) ret      \n(001) ja       0\n(002) ret      #-1\n';
    const program = parseProgram(listing, { backwardJumps: true });
    expect(program.instructions).toEqual(
      fromRows([
        [0x16, 0, 0, 0],
        [0x05, 0, 0, 0xfffffffe],
        [0x06, 0, 0, 0xffffffff],
      ]),
    );
    expect(program.hasBackwardJumps).toBe(true);
    expect(() => parseProgram(listing)).toThrow(/instruction 1: backward jump to 0/);
  });
});

describe('assemble reads every statement', () => {
  const table: [string, Instruction['code'], number?][] = [
    ['ld [4]', 0x20, 4],
    ['ld [x + 4]', 0x40, 4],
    ['ld [%x+4]', 0x40, 4],
    ['ld [x]', 0x40, 0],
    ['ld [x - 4]', 0x40, 0xfffffffc],
    ['ld #4', 0x00, 4],
    ['ld #-1', 0x00, 0xffffffff],
    ['ldi 4', 0x00, 4],
    ['ldi #0b101', 0x00, 5],
    ['ld len', 0x80],
    ['ld #len', 0x80],
    ['ld #pktlen', 0x80],
    ['ld M[3]', 0x60, 3],
    ['ldh [4]', 0x28, 4],
    ['ldh [x + 4]', 0x48, 4],
    ['ldb [4]', 0x30, 4],
    ['ldb [x + 010]', 0x50, 8],
    ['ldx #4', 0x01, 4],
    ['ldxi 4', 0x01, 4],
    ['ldx len', 0x81],
    ['ldx M[3]', 0x61, 3],
    ['ldx 4*([14]&0xf)', 0xb1, 14],
    ['ldxb 4 * ([14] & 15)', 0xb1, 14],
    ['st M[3]', 0x02, 3],
    ['stx M[3]', 0x03, 3],
    ['add #4', 0x04, 4],
    ['add x', 0x0c],
    ['sub %x', 0x1c],
    ['mul #4', 0x24, 4],
    ['div #4', 0x34, 4],
    ['mod x', 0x9c],
    ['and #0xff', 0x54, 0xff],
    ['or x', 0x4c],
    ['xor #1', 0xa4, 1],
    ['lsh #1', 0x64, 1],
    ['rsh x', 0x7c],
    ['neg', 0x84],
    ['tax', 0x07],
    ['txa', 0x87],
    ['ret a', 0x16],
    ['ret %a', 0x16],
    ['ret #5', 0x06, 5],
    ['.insn 0x87, 1, 2, 3', 0x87, 3],
  ];
  it.each(table)('%s', (text, code, k = 0) => {
    expect(assemble(`${text}\nret #0`).instructions[0]).toMatchObject({ code, k });
  });

  const jumps: [string, number, number, number][] = [
    ['jeq #1, yes, no', 0x15, 1, 2],
    ['jeq #1, yes', 0x15, 1, 0],
    ['jeq x, yes, no', 0x1d, 1, 2],
    ['jne #1, no', 0x15, 0, 2],
    ['jneq #1, no, yes', 0x15, 1, 2],
    ['jgt #1, yes, no', 0x25, 1, 2],
    ['jge %x, yes, no', 0x3d, 1, 2],
    ['jlt #1, yes, no', 0x35, 2, 1],
    ['jle x, yes, no', 0x2d, 2, 1],
    ['jset #1, yes, no', 0x45, 1, 2],
  ];
  it.each(jumps)('%s', (text, code, jt, jf) => {
    const source = `${text}\nret #9\nyes: ret #1\nno: ret #0`;
    expect(assemble(source).instructions[0]).toMatchObject({ code, jt, jf });
  });
});

describe('text that cannot be read is refused with its place', () => {
  const table: [string, string, number, number, RegExp][] = [
    ['empty text', '', 1, 1, /empty text/],
    ['an unknown mnemonic', 'ldh [12]\n  frob #1\n', 2, 3, /unknown instruction 'frob'/],
    ['a missing bracket', 'ldh 12', 1, 5, /expected '\[', found '12'/],
    ['a missing operand', 'ret', 1, 4, /expected '#' and a number, or 'a', found end of text/],
    ['an unknown label', 'jeq #1, yes, no\nyes: ret #0', 1, 14, /label 'no' is not defined/],
    ['a label defined twice', 'yes: ret #0\nyes: ret #0', 2, 1, /'yes' is defined twice/],
    ['a conditional jump back', 'up: ld #1\njeq #1, up\nret #0', 2, 9, /lies behind/],
    ['a jump too far', `jeq #1, end\n${'ld #1\n'.repeat(256)}end: ret #0`, 1, 9, /256 instructions away/],
    ['a number beyond 32 bits', 'ret #4294967296', 1, 6, /does not fit in 32 bits/],
    ['a stray character', 'ret #1 $', 1, 8, /unexpected character "\$"/],
    ['an open comment', 'ret #1 /* no end', 1, 8, /comment is not closed/],
    ['an ancillary load in the bsd dialect', 'ld #proto', 1, 5, /only in the linux dialect/],
    ['a decimal row too short', '1\n6 0 0', 2, 1, /expected four decimal numbers/],
    ['a wrong count', '2\n6 0 0 0', 1, 1, /count says 2, but 1 follow/],
    ['a bad C initialiser', '{ 6, 0, 0, 0 },\n{ 6, 0, 0 },', 2, 1, /expected '\{ code, jt, jf, k \},'/],
    ['a listing out of order', '(000) ret #0\n(002) ret #0', 2, 1, /expected '\(001\)'/],
    ['a listing without targets', '(000) jeq #1\n(001) ret #0', 1, 13, /expected 'jt' and 'jf'/],
    ['trailing words in a listing', '(000) ret #0 now', 1, 14, /expected the end of the line/],
  ];
  it.each(table)('%s', (_, text, line, column, message) => {
    let error: unknown;
    try {
      parseProgram(text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ProgramSyntaxError);
    expect(error).toMatchObject({ line, column });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message.startsWith(`${line}:${column}: `)).toBe(true);
  });
});

describe('disassemble', () => {
  const program = Program.from(fromRows(ROWS));
  it.each([
    ['ddd', DDD],
    ['dd', DD],
    ['d', D],
  ] as const)('writes style %s as tcpdump does', (style, text) => {
    expect(disassemble(program, style)).toBe(text);
  });
  it('writes bpf_asm source with labels', () => {
    expect(
      disassemble(
        Program.from(
          fromRows([
            [0x15, 0, 1, 1],
            [0x06, 0, 0, 1],
            [0x16, 0, 0, 0],
          ]),
        ),
      ),
    ).toBe('    jeq #0x1, L1, L2\nL1: ret #1\nL2: ret a\n');
  });
  it('keeps fields that an instruction does not use', () => {
    const odd = Program.from(
      fromRows([
        [0x07, 1, 2, 3],
        [0x28, 0, 9, 12],
        [0x16, 0, 0, 7],
      ]),
    );
    expect(assemble(disassemble(odd)).instructions).toEqual(odd.instructions);
  });
});
