/** Code of one program by itself, wherever it stands: as a function of its own, or in the loop over a batch. */

import { BPF_A, BPF_RET } from '../instruction.ts';
import type { Program } from '../program.ts';
import { ACCEPT_ALL } from '../run-program.ts';
import { analyseShape, emitBody, type Verdict } from './body.ts';
import { BIT_A, BIT_X } from './flow.ts';
import type { Label } from './function-builder.ts';
import type { Target } from './operations.ts';
import type { Registers } from './registers.ts';

/** All registers, as bits. */
const EVERY_REGISTER: number = BIT_A | BIT_X | 0xffff;

/**
 * Emits a program; rejected packets go to `exit`.
 *
 * @param leave emits what a verdict does, which must not go on: by returning, or by branching to `exit`;
 *   `pushVerdict` pushes the verdict, which may be 0
 * @param again whether the code may have run before in the same call: registers then hold what was left in them
 */
export function emitProgram(
  target: Target,
  { instructions, dialect, hasBackwardJumps }: Program,
  exit: Label,
  leave: (pushVerdict: () => void) => void,
  again = false,
): void {
  const { f, pool } = target;
  if (instructions.length === 0) {
    leave(() => f.i32(ACCEPT_ALL));
    return;
  }
  const shape = analyseShape(instructions, 0, dialect, hasBackwardJumps);
  const registers = pool.takeRegisters();
  // What is read first is read as 0. Of a program that jumps back it is not known what that is.
  if (again) clear(target, registers, hasBackwardJumps ? EVERY_REGISTER : shape.live[0]!);
  const members = [{ instructions, indices: [] }];
  const entry = { members, pc: 0, registers, known: 0, picked: [], exit };
  emitBody(target, shape, entry, ({ pc }: Verdict) => {
    const { code, k } = instructions[pc]!;
    leave(() => (code === (BPF_RET | BPF_A) ? f.get(registers.a) : f.i32(k)));
  });
}

function clear({ f }: Target, registers: Registers, bits: number): void {
  for (const { local } of registers.of(bits)) {
    f.i32(0);
    f.set(local);
  }
}
