import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type Instruction, InvalidProgramError, interpret, Program } from '../../vm/index.ts';
import { linuxInstruction, packet, validProgram } from './helpers/arbitraries.ts';
import { listing, openKernelOracle } from './helpers/kernel.ts';

const oracle = openKernelOracle();
if (typeof oracle === 'string') console.warn(`SKIPPED: comparing with the kernel's BPF: ${oracle}`);

/** The netlink loads, which this project's linux dialect leaves out on purpose. */
const NETLINK_LOADS = [0xfffff00c, 0xfffff010];

function readsNetlink({ code, k }: Instruction): boolean {
  return (code & 0xe7) === 0x20 && NETLINK_LOADS.includes(k);
}

/** Whether a load may go beside the packet, where a Unix socket has nothing, or has it otherwise. */
function mayReadBesidePacket({ instructions }: Program): boolean {
  const near = (k: number): boolean => k >= 0xff000000 || (k >= 0x00100000 && k <= 0x00200000);
  return instructions.some(({ code, k }) => near(k) && (code & 0x07) !== 0x06);
}

function pack(instructions: readonly Instruction[]): Int32Array {
  return Int32Array.from(
    instructions.flatMap(({ code, jt, jf, k }) => [code | (jt << 16) | (jf << 24), k | 0]),
  );
}

describe.skipIf(typeof oracle === 'string')("the linux dialect and the kernel's own BPF", () => {
  const kernel = oracle as Exclude<typeof oracle, string>;
  afterAll(() => kernel?.close?.());

  it('accept the same programs', () => {
    const instructions = fc.array(linuxInstruction, { minLength: 1, maxLength: 8 });
    let accepted = 0;
    fc.assert(
      fc.property(instructions, (program) => {
        fc.pre(!program.some(readsNetlink));
        let reason: string | undefined;
        try {
          Program.from(program, { dialect: 'linux' });
          accepted++;
        } catch (error) {
          if (!(error instanceof InvalidProgramError)) throw error;
          reason = `${error.pc}: ${error.reason}`;
        }
        expect(kernel.attach(pack(program)), reason).toBe(reason === undefined);
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  it('give the same verdicts', () => {
    const programs = validProgram({ dialect: 'linux' });
    fc.assert(
      fc.property(programs, fc.array(packet, { minLength: 1, maxLength: 8 }), (program, packets) => {
        fc.pre(!mayReadBesidePacket(program));
        expect(kernel.attach(program.words), listing(program)).toBe(true);
        for (const data of packets) {
          if (data.length === 0) continue;
          const kept = Math.min(interpret(program, data), data.length);
          expect(kernel.keptBytes(data), listing(program)).toBe(kept);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
