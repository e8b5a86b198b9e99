/**
 * Names of instructions as bpf_asm (Linux tools/bpf) and `tcpdump -d` write them; the assembler and the
 * disassembler both work from these tables.
 */

import {
  BPF_ABS,
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_B,
  BPF_DIV,
  BPF_H,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JMP,
  BPF_JSET,
  BPF_LD,
  BPF_LSH,
  BPF_MOD,
  BPF_MUL,
  BPF_OR,
  BPF_RSH,
  BPF_SUB,
  BPF_W,
  BPF_XOR,
} from './instruction.ts';

/** Arithmetic with an operand `#k` or `x`: mnemonic to class and operation. */
export const ARITHMETIC: ReadonlyMap<string, number> = new Map([
  ['add', BPF_ALU | BPF_ADD],
  ['sub', BPF_ALU | BPF_SUB],
  ['mul', BPF_ALU | BPF_MUL],
  ['div', BPF_ALU | BPF_DIV],
  ['mod', BPF_ALU | BPF_MOD],
  ['or', BPF_ALU | BPF_OR],
  ['and', BPF_ALU | BPF_AND],
  ['xor', BPF_ALU | BPF_XOR],
  ['lsh', BPF_ALU | BPF_LSH],
  ['rsh', BPF_ALU | BPF_RSH],
]);

/** Conditional jumps; the negated ones are the opcode of their opposite with the branches swapped. */
export const CONDITIONAL_JUMPS: ReadonlyMap<string, { readonly code: number; readonly negated: boolean }> =
  new Map([
    ['jeq', { code: BPF_JMP | BPF_JEQ, negated: false }],
    ['jgt', { code: BPF_JMP | BPF_JGT, negated: false }],
    ['jge', { code: BPF_JMP | BPF_JGE, negated: false }],
    ['jset', { code: BPF_JMP | BPF_JSET, negated: false }],
    ['jneq', { code: BPF_JMP | BPF_JEQ, negated: true }],
    ['jne', { code: BPF_JMP | BPF_JEQ, negated: true }],
    ['jlt', { code: BPF_JMP | BPF_JGE, negated: true }],
    ['jle', { code: BPF_JMP | BPF_JGT, negated: true }],
  ]);

/** Loads into A from the packet: mnemonic to class, size and mode of the absolute form. */
export const PACKET_LOADS: ReadonlyMap<string, number> = new Map([
  ['ld', BPF_LD | BPF_W | BPF_ABS],
  ['ldh', BPF_LD | BPF_H | BPF_ABS],
  ['ldb', BPF_LD | BPF_B | BPF_ABS],
]);

/** Linux's ancillary loads by the names bpf_asm gives them, as offsets from SKF_AD_OFF. */
export const ANCILLARY: ReadonlyMap<string, number> = new Map([
  ['proto', 0],
  ['type', 4],
  ['ifidx', 8],
  ['mark', 20],
  ['queue', 24],
  ['hatype', 28],
  ['rxhash', 32],
  ['cpu', 36],
  ['xor_x', 40],
  ['vlan_tci', 44],
  ['vlan_avail', 48],
  ['poff', 52],
  ['rand', 56],
  ['vlan_tpid', 60],
]);

/** Other spellings: `vlan_pr` of bpf_asm, `vlanp` of `tcpdump -d`. */
export const ANCILLARY_ALIASES: ReadonlyMap<string, string> = new Map([
  ['vlan_pr', 'vlan_avail'],
  ['vlanp', 'vlan_avail'],
  ['ifindex', 'ifidx'],
  ['pkttype', 'type'],
]);
