/**
 * The rules a program must satisfy before it may run in the `linux` dialect.
 *
 * They are those of `bpf_check_classic()` in Linux's net/core/filter.c, so that what is valid here is what
 * SO_ATTACH_FILTER takes: everything the `bsd` dialect asks, and no empty program, no constant shift by 32 or
 * more, only known ancillary loads, no load from M[] that some path reaches without a store. Not taken over are
 * the ancillary loads `nla` and `nlan`: they read netlink messages, which are no frames.
 */

import {
  BPF_ABS,
  BPF_ALU,
  BPF_JA,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_LSH,
  BPF_MEM,
  BPF_RET,
  BPF_RSH,
  BPF_ST,
  BPF_STX,
  type Instruction,
} from './instruction.ts';
import { isAncillaryOffset, SKF_AD_OFF } from './metadata.ts';
import { hex, jumpViolation, opcodeViolation, operandViolation, type Violation } from './validate.ts';

/** The first rule of the `linux` dialect that `program` breaks, or undefined when it may run. */
export function validateLinux(program: readonly Instruction[]): Violation | undefined {
  const length = program.length;
  if (length === 0) return { pc: 0, reason: 'the program is empty' };
  for (const [pc, instruction] of program.entries()) {
    const isJump = (instruction.code & 0x07) === BPF_JMP;
    const reason =
      opcodeViolation(instruction.code) ??
      (isJump ? jumpViolation(instruction, pc, length, false) : operandViolation(instruction)) ??
      shiftViolation(instruction) ??
      ancillaryViolation(instruction);
    if (reason !== undefined) return { pc, reason };
  }
  if ((program[length - 1]!.code & 0x07) !== BPF_RET) {
    return { pc: length - 1, reason: 'the last instruction is not a RET' };
  }
  return scratchViolation(program);
}

function shiftViolation({ code, k }: Instruction): string | undefined {
  const isShift = code === (BPF_ALU | BPF_LSH | BPF_K) || code === (BPF_ALU | BPF_RSH | BPF_K);
  return isShift && k >= 32 ? `shift by the constant ${k}, 32 or more` : undefined;
}

function ancillaryViolation({ code, k }: Instruction): string | undefined {
  const isAbsolute = (code & 0xe7) === (BPF_LD | BPF_ABS);
  if (!isAbsolute || k < SKF_AD_OFF || isAncillaryOffset(k)) return undefined;
  return `unknown ancillary load at ${hex(k)}`;
}

/**
 * The first load from M[] that may see no store. Like `check_load_and_stores()`, one pass that carries the set
 * of written words along, and over a RET into the instruction after it; so it refuses a few programs that would
 * be safe, and they are the ones the kernel refuses.
 */
function scratchViolation(program: readonly Instruction[]): Violation | undefined {
  const ALL = 0xffff;
  const writtenAt = new Uint16Array(program.length).fill(ALL);
  let written = 0;
  for (const [pc, { code, jt, jf, k }] of program.entries()) {
    written &= writtenAt[pc]!;
    if (code === BPF_ST || code === BPF_STX) written |= 1 << k;
    else if (code === (BPF_LD | BPF_MEM) || code === (BPF_LDX | BPF_MEM)) {
      if (((written >> k) & 1) === 0) return { pc, reason: `M[${k}] is read, but not written on every path` };
    } else if ((code & 0x07) === BPF_JMP) {
      const targets = code === (BPF_JMP | BPF_JA) ? [pc + 1 + k] : [pc + 1 + jt, pc + 1 + jf];
      for (const target of targets) writtenAt[target]! &= written;
      written = ALL;
    }
  }
  return undefined;
}
