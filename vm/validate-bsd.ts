/**
 * The rules a program must satisfy before it may run in the `bsd` dialect.
 *
 * They are those of `bpf_validate()` in FreeBSD's sys/net/bpf_filter.c: an opcode whitelist, forward jumps
 * within the program, scratch indices below BPF_MEMWORDS, no constant division by zero, a RET at the end.
 * The empty program is valid and accepts every packet. One rule can be lifted on request: libpcap's own
 * userland validator lets `ja` jump backwards, which is how it compiles `protochain`.
 */

import { BPF_JMP, BPF_RET, type Instruction } from './instruction.ts';
import { jumpViolation, opcodeViolation, operandViolation, type Violation } from './validate.ts';

/**
 * The first rule of the `bsd` dialect that `program` breaks, or undefined when it may run.
 *
 * @param backwardJumps let `ja` jump backwards
 */
export function validateBsd(program: readonly Instruction[], backwardJumps: boolean): Violation | undefined {
  const length = program.length;
  for (const [pc, instruction] of program.entries()) {
    const isJump = (instruction.code & 0x07) === BPF_JMP;
    const reason =
      opcodeViolation(instruction.code) ??
      (isJump ? jumpViolation(instruction, pc, length, backwardJumps) : operandViolation(instruction));
    if (reason !== undefined) return { pc, reason };
  }
  const last = program.at(-1);
  if (last !== undefined && (last.code & 0x07) !== BPF_RET) {
    return { pc: length - 1, reason: 'the last instruction is not a RET' };
  }
  return undefined;
}
