import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assemble,
  disassemble,
  InvalidProgramError,
  interpret,
  Program,
  parseProgram,
} from '../../vm/index.ts';
import { packet, programFamily, validProgram } from './helpers/arbitraries.ts';
import { ENGINES } from './helpers/engines.ts';
import { prepareFused } from './helpers/fused.ts';

const packets = fc.array(packet, { minLength: 1, maxLength: 12 });
const STYLES = ['asm', 'd', 'dd', 'ddd'] as const;

function verdictsOfEngines(program: Program, data: Uint8Array, wireLength: number): number[] {
  const metadata = { interfaceIndex: 2, mark: 3, networkOffset: 1, vlanTagPresent: true, randomState: 5 };
  return ENGINES.map(({ prepare }) => prepare(program)(data, wireLength, data.length, metadata));
}

describe('for random programs and packets', () => {
  it.each([
    ['bsd programs', { dialect: 'bsd' }],
    ['programs with loops', { dialect: 'bsd', mayLoop: true }],
    ['linux programs', { dialect: 'linux' }],
  ] as const)('the engines agree on %s', (_, shape) => {
    fc.assert(
      fc.property(
        validProgram(shape),
        packets,
        fc.integer({ min: 0, max: 0xffffffff }),
        (program, many, wireLength) => {
          for (const data of many) {
            const verdicts = verdictsOfEngines(program, data, wireLength);
            expect(verdicts).toEqual(verdicts.map(() => verdicts[0]));
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it('programs that differ in constants give fused what they give alone', () => {
    fc.assert(
      fc.property(programFamily(), packets, (programs, many) => {
        const fused = prepareFused(programs);
        for (const data of many)
          expect(fused(data)).toEqual(programs.map((program) => interpret(program, data)));
      }),
      { numRuns: 600 },
    );
  });

  it('unlike programs give fused what they give alone', () => {
    const mixture = fc
      .array(fc.oneof(programFamily({ maxLength: 8 }), programFamily({ mayLoop: true, maxLength: 10 })), {
        maxLength: 6,
      })
      .map((families) => families.flat());
    fc.assert(
      fc.property(mixture, packets, (programs, many) => {
        const fused = prepareFused(programs);
        for (const data of many)
          expect(fused(data)).toEqual(programs.map((program) => interpret(program, data)));
      }),
      { numRuns: 300 },
    );
  });

  it.each(STYLES)('a program written in style %s is read back as it was', (style) => {
    fc.assert(
      fc.property(validProgram(), (program) => {
        const read = style === 'asm' ? assemble : parseProgram;
        expect(read(disassemble(program, style)).instructions).toEqual(program.instructions);
      }),
    );
  });

  it.each(STYLES)('so is a linux program in style %s', (style) => {
    fc.assert(
      fc.property(validProgram({ dialect: 'linux' }), (program) => {
        const read = style === 'asm' ? assemble : parseProgram;
        const again = read(disassemble(program, style), { dialect: 'linux' });
        expect(again.instructions).toEqual(program.instructions);
      }),
    );
  });
});

describe('for random instructions', () => {
  const anyInstruction = fc.record({
    code: fc.integer({ min: 0, max: 0xff }),
    jt: fc.integer({ min: 0, max: 0xff }),
    jf: fc.integer({ min: 0, max: 0xff }),
    k: fc.integer({ min: 0, max: 0xffffffff }),
  });
  it.each(['bsd', 'linux'] as const)('the %s validator accepts or says why not', (dialect) => {
    fc.assert(
      fc.property(fc.array(anyInstruction, { maxLength: 5 }), fc.boolean(), (instructions, backwardJumps) => {
        try {
          interpret(Program.from(instructions, { dialect, backwardJumps }), new Uint8Array(4));
        } catch (error) {
          if (!(error instanceof InvalidProgramError)) throw error;
          expect(error.pc).toBeLessThanOrEqual(instructions.length);
          expect(error.reason).not.toBe('');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('unused fields survive disassembly into bpf_asm source', () => {
    fc.assert(
      fc.property(fc.array(anyInstruction, { maxLength: 4 }), (instructions) => {
        const program = [...instructions, { code: 6, jt: 0, jf: 0, k: 0 }];
        let valid: Program;
        try {
          valid = Program.from(program);
        } catch {
          return;
        }
        expect(assemble(disassemble(valid)).instructions).toEqual(valid.instructions);
      }),
      { numRuns: 2000 },
    );
  });
});
