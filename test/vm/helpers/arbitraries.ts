/** Random programs and packets for property tests; small numbers, so that tests hold often and paths meet. */

import fc from 'fast-check';
import { type Dialect, type Instruction, InvalidProgramError, Program } from '../../../vm/index.ts';

const OPCODES = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x28,
  0x2c, 0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c, 0x60, 0x61,
  0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xac, 0xb1,
];
/** What filters are mostly made of: loads, comparisons, returns. */
const COMMON_OPCODES = [0x28, 0x30, 0x20, 0x15, 0x15, 0x15, 0x15, 0x06, 0x06, 0x45, 0x25, 0xb1, 0x48, 0x54];

const constant: fc.Arbitrary<number> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 2, arbitrary: fc.constantFrom(0x0101, 0x01010101, 0x10000, 0x80000000, 0xffffffff, 32, 33) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);

const linuxConstant: fc.Arbitrary<number> = fc.oneof(
  { weight: 3, arbitrary: constant },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(0xfffff000, 0xfff00000, 0xffe00000), fc.integer({ min: 0, max: 15 }))
      .map(([base, index]) => base + 4 * index),
  },
);

function rawInstruction(dialect: Dialect): fc.Arbitrary<Instruction> {
  return fc.record({
    code: fc.oneof(fc.constantFrom(...OPCODES), fc.constantFrom(...COMMON_OPCODES)),
    jt: fc.integer({ min: 0, max: 4 }),
    jf: fc.integer({ min: 0, max: 4 }),
    k: dialect === 'linux' ? linuxConstant : constant,
  });
}

/**
 * An instruction that may well be invalid on Linux, but in a short program often is not: its last instruction must
 * still be a return, its jumps must be short.
 */
export const linuxInstruction: fc.Arbitrary<Instruction> = fc.oneof(
  rawInstruction('linux').map(({ code, jt, jf, k }) => ({
    code,
    jt: jt % 3,
    jf: jf % 3,
    k: code === 0x05 ? k % 4 : k,
  })),
  fc.record({
    code: fc.constantFrom(0x02, 0x03, 0x60, 0x61),
    jt: fc.constant(0),
    jf: fc.constant(0),
    k: fc.integer({ min: 0, max: 2 }),
  }),
  fc.record({
    code: fc.constantFrom(0x06, 0x16),
    jt: fc.constant(0),
    jf: fc.constant(0),
    k: fc.integer({ min: 0, max: 9 }),
  }),
);

/** Bends what the validator would refuse into what it accepts. */
function repair(
  instruction: Instruction,
  pc: number,
  length: number,
  dialect: Dialect,
  mayLoop: boolean,
): Instruction {
  let { code, jt, jf, k } = instruction;
  const room = length - pc - 2;
  if (pc === length - 1) code = (k & 1) === 1 ? 0x16 : 0x06;
  else if ((code & 7) === 5) {
    if (room < 0) return { code: 0x06, jt: 0, jf: 0, k };
    jt = Math.min(jt, room);
    jf = Math.min(jf, room);
    if (code === 0x05) k = mayLoop && jt === 0 ? (-1 - Math.min(jf, pc)) >>> 0 : Math.min(k % 5, room);
  } else if ([0x02, 0x03, 0x60, 0x61].includes(code)) k %= 4;
  else if ((code === 0x34 || code === 0x94) && k === 0) k = 3;
  else if (dialect === 'linux' && (code === 0x64 || code === 0x74)) k %= 32;
  const jumps = (code & 7) === 5 && code !== 0x05;
  return { code, jt: jumps ? jt : 0, jf: jumps ? jf : 0, k: usesK(code) ? k : 0 };
}

function usesK(code: number): boolean {
  const byX = [4, 5].includes(code & 7) && (code & 8) !== 0;
  return !byX && ![0x16, 0x07, 0x87, 0x84, 0x80, 0x81].includes(code);
}

export type ProgramShape = {
  readonly dialect?: Dialect;
  readonly mayLoop?: boolean;
  readonly maxLength?: number;
};

/** A valid program, its unused fields zero. */
export function validProgram(shape: ProgramShape = {}): fc.Arbitrary<Program> {
  const { dialect = 'bsd', mayLoop = false, maxLength = 24 } = shape;
  return fc
    .array(rawInstruction(dialect), { minLength: 1, maxLength })
    .map((raw) => raw.map((instruction, pc) => repair(instruction, pc, raw.length, dialect, mayLoop)))
    .map((instructions) => tryProgram(instructions, dialect, mayLoop))
    .filter((program) => program !== undefined);
}

function tryProgram(
  instructions: Instruction[],
  dialect: Dialect,
  backwardJumps: boolean,
): Program | undefined {
  try {
    return Program.from(instructions, { dialect, backwardJumps });
  } catch (error) {
    if (error instanceof InvalidProgramError && dialect === 'linux') return undefined;
    throw error;
  }
}

/** Programs that are the same but for constants of `jeq` and `ret`. */
export function programFamily(shape: ProgramShape = {}): fc.Arbitrary<Program[]> {
  return fc
    .tuple(
      validProgram(shape),
      fc.array(fc.array(constant, { minLength: 24, maxLength: 24 }), { maxLength: 12 }),
    )
    .map(([program, variants]) => [
      program,
      ...variants.map((constants) =>
        Program.from(
          program.instructions.map((instruction, pc) =>
            instruction.code === 0x15 || instruction.code === 0x06
              ? { ...instruction, k: constants[pc]! }
              : instruction,
          ),
          { dialect: program.dialect, backwardJumps: program.hasBackwardJumps },
        ),
      ),
    ]);
}

/** A packet of few different bytes, so that comparisons with small constants come out either way. */
export const packet: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 9 }).map((values) => Uint8Array.from(values)),
  fc.uint8Array({ maxLength: 24 }),
);
