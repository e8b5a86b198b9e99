/**
 * What the validators of both dialects check alike: field ranges, the opcode whitelist, jump targets, scratch
 * indices and constant divisors. Each check names the rule that is broken, or returns undefined.
 */

import {
  BPF_ALU,
  BPF_DIV,
  BPF_JA,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_MAXINSNS,
  BPF_MEM,
  BPF_MEMWORDS,
  BPF_MOD,
  BPF_ST,
  BPF_STX,
  type Instruction,
} from './instruction.ts';

/** What is wrong with a program: the index of the offending instruction, and why it is refused. */
export type Violation = { readonly pc: number; readonly reason: string };

/**
 * The opcodes that exist: rows are the high nibble, bits the low nibble. It is `bpf_code_map` of FreeBSD's
 * sys/net/bpf_filter.c, and the same set as `chk_code_allowed()` of Linux's net/core/filter.c.
 */
const CODE_MAP: readonly number[] = [
  0x10ff, 0x3070, 0x3131, 0x3031, 0x3131, 0x1011, 0x1013, 0x1010, 0x0093, 0x1010, 0x1010, 0x0002,
];

/** Hexadecimal as error messages show opcodes and constants. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** The first field that does not fit `struct bpf_insn`, or a program that is too long. */
export function fieldViolation(program: readonly Instruction[]): Violation | undefined {
  if (program.length > BPF_MAXINSNS) {
    return {
      pc: BPF_MAXINSNS,
      reason: `the program has ${program.length} instructions, more than ${BPF_MAXINSNS}`,
    };
  }
  for (const [pc, { code, jt, jf, k }] of program.entries()) {
    const reason =
      outside('code', code, 0xffff) ??
      outside('jt', jt, 0xff) ??
      outside('jf', jf, 0xff) ??
      outside('k', k, 0xffffffff);
    if (reason !== undefined) return { pc, reason };
  }
  return undefined;
}

function outside(field: string, value: number, maximum: number): string | undefined {
  if (Number.isInteger(value) && value >= 0 && value <= maximum) return undefined;
  return `${field} is ${value}, not an integer from 0 to ${hex(maximum)}`;
}

/** Why `code` is refused: it is not in the whitelist. */
export function opcodeViolation(code: number): string | undefined {
  const known = (((CODE_MAP[code >> 4] ?? 0) >> (code & 0xf)) & 1) === 1;
  return known ? undefined : `unknown opcode ${hex(code)}`;
}

/** Why the operand of an instruction is refused: a scratch index out of range, or a constant divisor of zero. */
export function operandViolation({ code, k }: Instruction): string | undefined {
  switch (code) {
    case BPF_ST:
    case BPF_STX:
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
      return k < BPF_MEMWORDS ? undefined : `M[${k}] is outside scratch memory M[0]..M[${BPF_MEMWORDS - 1}]`;
    case BPF_ALU | BPF_DIV | BPF_K:
      return k !== 0 ? undefined : 'division by the constant 0';
    case BPF_ALU | BPF_MOD | BPF_K:
      return k !== 0 ? undefined : 'modulo by the constant 0';
    default:
      return undefined;
  }
}

/**
 * Why the jump at `pc` is refused: both targets must lie after it and inside the program.
 *
 * @param backwardJumps let `ja` jump backwards, as libpcap's userland validator does
 */
export function jumpViolation(
  { code, jt, jf, k }: Instruction,
  pc: number,
  length: number,
  backwardJumps: boolean,
): string | undefined {
  if (code !== (BPF_JMP | BPF_JA)) {
    const farthest = pc + 1 + Math.max(jt, jf);
    return farthest < length ? undefined : `jump to ${farthest} past the end of the program (${length})`;
  }
  const target = pc + 1 + (backwardJumps ? k | 0 : k);
  if (target >= 0 && target < length) return undefined;
  if (k >= 0x80000000) return `backward jump to ${pc + 1 + (k | 0)}: jumps must go forward`;
  return `jump to ${target} past the end of the program (${length})`;
}
