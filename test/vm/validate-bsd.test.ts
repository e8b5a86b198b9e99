import { describe, expect, it } from 'vitest';
import { type Instruction, InvalidProgramError, Program } from '../../vm/index.ts';
import { fromRows, type InstructionRows } from './helpers/vectors.ts';

const RET = [0x06, 0, 0, 1] as const;

function refusal(
  instructions: readonly Instruction[],
  backwardJumps = false,
): InvalidProgramError | undefined {
  try {
    Program.from(instructions, { backwardJumps });
    return undefined;
  } catch (error) {
    if (error instanceof InvalidProgramError) return error;
    throw error;
  }
}

describe('the bsd validator refuses', () => {
  const table: { description: string; rows: InstructionRows; pc: number; reason: RegExp }[] = [
    { description: 'an unknown opcode', rows: [[0x55, 0, 0, 0], RET], pc: 0, reason: /unknown opcode 0x55/ },
    { description: 'RET X', rows: [[0x0e, 0, 0, 0]], pc: 0, reason: /unknown opcode 0xe/ },
    { description: 'an opcode above 255', rows: [[0x106, 0, 0, 0]], pc: 0, reason: /unknown opcode 0x106/ },
    { description: 'ld M[16]', rows: [[0x60, 0, 0, 16], RET], pc: 0, reason: /M\[16\]/ },
    { description: 'ldx M[2^31]', rows: [[0x61, 0, 0, 0x80000000], RET], pc: 0, reason: /M\[2147483648\]/ },
    { description: 'st M[16]', rows: [RET, [0x02, 0, 0, 16], RET], pc: 1, reason: /M\[16\]/ },
    { description: 'stx M[16]', rows: [[0x03, 0, 0, 16], RET], pc: 0, reason: /M\[16\]/ },
    { description: 'ja past the end', rows: [[0x05, 0, 0, 1], RET], pc: 0, reason: /jump to 2 past the end/ },
    {
      description: 'ja backwards',
      rows: [RET, [0x05, 0, 0, 0xfffffffe], RET],
      pc: 1,
      reason: /backward jump to 0/,
    },
    { description: 'jt past the end', rows: [[0x15, 1, 0, 0], RET], pc: 0, reason: /jump to 2/ },
    { description: 'jf past the end', rows: [[0x25, 0, 255, 0], RET], pc: 0, reason: /jump to 256/ },
    { description: 'a last jump', rows: [[0x05, 0, 0, 0]], pc: 0, reason: /past the end/ },
    {
      description: 'division by 0',
      rows: [[0x34, 0, 0, 0], RET],
      pc: 0,
      reason: /division by the constant 0/,
    },
    { description: 'modulo by 0', rows: [[0x94, 0, 0, 0], RET], pc: 0, reason: /modulo by the constant 0/ },
    {
      description: 'a program without RET at its end',
      rows: [RET, [0x07, 0, 0, 0]],
      pc: 1,
      reason: /not a RET/,
    },
  ];
  it.each(table)('$description', ({ rows, pc, reason }) => {
    const error = refusal(fromRows(rows));
    expect(error?.pc).toBe(pc);
    expect(error?.reason).toMatch(reason);
    expect(error?.message).toContain(`instruction ${pc}: `);
  });

  it('more than 4,096 instructions, and accepts 4,096', () => {
    const ret = { code: 0x06, jt: 0, jf: 0, k: 0 };
    expect(refusal(Array(4096).fill(ret))).toBeUndefined();
    expect(refusal(Array(4097).fill(ret))?.reason).toMatch(/4097 instructions/);
  });

  it.each([
    ['code', 0x10000],
    ['jt', 256],
    ['jf', -1],
    ['k', 2 ** 32],
    ['k', 1.5],
    ['k', Number.NaN],
  ])('the field %s holding %s', (field, value) => {
    const error = refusal([{ code: 0x06, jt: 0, jf: 0, k: 0, [field]: value }]);
    expect(error?.reason).toContain(`${field} is ${value}`);
  });
});

describe('the bsd validator accepts', () => {
  it('the empty program', () => expect(Program.from([]).length).toBe(0));
  it('jumps to the last instruction', () => {
    expect(refusal(fromRows([[0x15, 1, 0, 0], RET, RET]))).toBeUndefined();
    expect(refusal(fromRows([[0x05, 0, 0, 1], RET, RET]))).toBeUndefined();
  });
  it('ja backwards, but not before the start, when backwardJumps is set', () => {
    expect(refusal(fromRows([RET, [0x05, 0, 0, 0xfffffffe], RET]), true)).toBeUndefined();
    expect(refusal(fromRows([RET, [0x05, 0, 0, 0xfffffffd], RET]), true)?.pc).toBe(1);
  });
});

describe('a Program', () => {
  it('does not change when the instructions it was made from do', () => {
    const instruction = { code: 0x06, jt: 0, jf: 0, k: 1 };
    const program = Program.from([instruction]);
    instruction.k = 2;
    program.words.fill(0);
    expect(program.instructions).toEqual([{ code: 0x06, jt: 0, jf: 0, k: 1 }]);
    expect([...program.words]).toEqual([0x06, 1]);
    expect(() => Object.assign(program.instructions[0]!, { k: 3 })).toThrow(TypeError);
  });
  it('packs code, jt, jf and k as struct bpf_insn, and unpacks them', () => {
    const rows: InstructionRows = [[0x15, 1, 0, 0xfedcba98], RET, RET];
    const { words } = Program.from(fromRows(rows));
    expect([...words].map((word) => word >>> 0)).toEqual([0x00010015, 0xfedcba98, 6, 1, 6, 1]);
    expect(Program.fromWords(words).instructions).toEqual(fromRows(rows));
  });
  it('refuses an unknown dialect', () => {
    expect(() => Program.from([], { dialect: 'ebpf' as 'bsd' })).toThrow(/unknown BPF dialect 'ebpf'/);
  });
});
