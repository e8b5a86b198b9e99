import { describe, expect, it } from 'vitest';
import { InvalidProgramError, Program } from '../../vm/index.ts';
import { fromRows, type InstructionRows } from './helpers/vectors.ts';

const RET = [0x06, 0, 0, 1] as const;
const RET_A = [0x16, 0, 0, 0] as const;

function refusal(rows: InstructionRows): InvalidProgramError | undefined {
  try {
    Program.from(fromRows(rows), { dialect: 'linux', backwardJumps: true });
    return undefined;
  } catch (error) {
    if (error instanceof InvalidProgramError) return error;
    throw error;
  }
}

// linux-kernel.test.ts compares the validator with the kernel's on random programs.
describe('the linux validator refuses', () => {
  const table: { description: string; rows: InstructionRows; pc: number; reason: RegExp }[] = [
    { description: 'the empty program', rows: [], pc: 0, reason: /the program is empty/ },
    { description: 'an unknown opcode', rows: [[0x0e, 0, 0, 0]], pc: 0, reason: /unknown opcode 0xe/ },
    {
      description: 'a shift left by 32',
      rows: [[0x64, 0, 0, 32], RET],
      pc: 0,
      reason: /shift by the constant 32/,
    },
    {
      description: 'a shift right by 33',
      rows: [[0x74, 0, 0, 33], RET],
      pc: 0,
      reason: /shift by the constant 33/,
    },
    { description: 'division by 0', rows: [[0x34, 0, 0, 0], RET], pc: 0, reason: /division/ },
    { description: 'a jump past the end', rows: [[0x15, 1, 0, 0], RET], pc: 0, reason: /past the end/ },
    {
      description: 'a jump back',
      rows: [RET, [0x05, 0, 0, 0xfffffffe], RET],
      pc: 1,
      reason: /backward jump/,
    },
    { description: 'a missing RET', rows: [[0x07, 0, 0, 0]], pc: 0, reason: /not a RET/ },
    {
      description: 'an ancillary load between two',
      rows: [[0x20, 0, 0, 0xfffff001], RET],
      pc: 0,
      reason: /0xfffff001/,
    },
    {
      description: 'an ancillary load past the last',
      rows: [[0x30, 0, 0, 0xfffff040], RET],
      pc: 0,
      reason: /ancillary/,
    },
    { description: 'the netlink loads', rows: [[0x20, 0, 0, 0xfffff00c], RET], pc: 0, reason: /ancillary/ },
    {
      description: 'ld M[] that was never written',
      rows: [[0x60, 0, 0, 0], RET_A],
      pc: 0,
      reason: /M\[0\] is read/,
    },
    {
      description: 'ldx M[] that was never written',
      rows: [[0x02, 0, 0, 1], [0x61, 0, 0, 0], RET],
      pc: 1,
      reason: /M\[0\]/,
    },
    {
      description: 'ld M[] that one path does not write',
      rows: [[0x15, 0, 1, 5], [0x02, 0, 0, 3], [0x60, 0, 0, 3], RET_A],
      pc: 2,
      reason: /M\[3\]/,
    },
    {
      description: 'ld M[] after a RET that came before the store, as the kernel does',
      rows: [[0x15, 0, 2, 1], [0x02, 0, 0, 0], [0x05, 0, 0, 1], RET, [0x60, 0, 0, 0], RET_A],
      pc: 4,
      reason: /M\[0\]/,
    },
  ];
  it.each(table)('$description', ({ rows, pc, reason }) => {
    const error = refusal(rows);
    expect(error?.pc).toBe(pc);
    expect(error?.reason).toMatch(reason);
  });
});

describe('the linux validator accepts', () => {
  it.each([
    ['ld M[] after a store', [[0x02, 0, 0, 3], [0x60, 0, 0, 3], RET_A]],
    [
      'ld M[] that both paths write',
      [[0x15, 0, 2, 5], [0x02, 0, 0, 3], [0x05, 0, 0, 1], [0x03, 0, 0, 3], [0x60, 0, 0, 3], RET_A],
    ],
    [
      'every ancillary load',
      [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        .map((i) => [0x20, 0, 0, 0xfffff000 + 4 * i] as const)
        .concat([RET as never]),
    ],
    ['an indexed load with any offset', [[0x48, 0, 0, 0xfffffff0], RET_A]],
    ['a shift by 31', [[0x64, 0, 0, 31], RET_A]],
  ] as [string, InstructionRows][])('%s', (_, rows) => expect(refusal(rows)).toBeUndefined());
});
