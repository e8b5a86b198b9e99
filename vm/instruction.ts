/**
 * The classic BPF instruction set: what one instruction is, and the names of its parts.
 *
 * Values and names follow `struct bpf_insn` and the macros of FreeBSD's sys/net/bpf.h, which Linux's
 * uapi/linux/bpf_common.h shares. An opcode is class | size | mode for loads, class | operation | source
 * for arithmetic and jumps.
 */

/** One instruction, as in `struct bpf_insn`: `code` 16 bits, `jt` and `jf` 8 bits, `k` 32 bits unsigned. */
export type Instruction = {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
};

/** Whose rules a program follows: FreeBSD's bpf(4) or Linux's socket filters. */
export type Dialect = 'bsd' | 'linux';

/** Instruction classes: the low three bits of `code`. */
export const BPF_LD = 0x00;
export const BPF_LDX = 0x01;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_ALU = 0x04;
export const BPF_JMP = 0x05;
export const BPF_RET = 0x06;
export const BPF_MISC = 0x07;

/** Load sizes. */
export const BPF_W = 0x00;
export const BPF_H = 0x08;
export const BPF_B = 0x10;

/** Load modes. */
export const BPF_IMM = 0x00;
export const BPF_ABS = 0x20;
export const BPF_IND = 0x40;
export const BPF_MEM = 0x60;
export const BPF_LEN = 0x80;
export const BPF_MSH = 0xa0;

/** Arithmetic operations. */
export const BPF_ADD = 0x00;
export const BPF_SUB = 0x10;
export const BPF_MUL = 0x20;
export const BPF_DIV = 0x30;
export const BPF_OR = 0x40;
export const BPF_AND = 0x50;
export const BPF_LSH = 0x60;
export const BPF_RSH = 0x70;
export const BPF_NEG = 0x80;
export const BPF_MOD = 0x90;
export const BPF_XOR = 0xa0;

/** Jumps. */
export const BPF_JA = 0x00;
export const BPF_JEQ = 0x10;
export const BPF_JGT = 0x20;
export const BPF_JGE = 0x30;
export const BPF_JSET = 0x40;

/** Operand sources of arithmetic, jumps and RET; RET alone may also take A. */
export const BPF_K = 0x00;
export const BPF_X = 0x08;
export const BPF_A = 0x10;

/** Register moves. */
export const BPF_TAX = 0x00;
export const BPF_TXA = 0x80;

/** Words of scratch memory M[]. */
export const BPF_MEMWORDS = 16;

/** The longest program a validator accepts (FreeBSD `net.bpf.maxinsns` is 512; Linux BPF_MAXINSNS is 4096). */
export const BPF_MAXINSNS = 4096;
