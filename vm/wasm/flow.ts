/**
 * What the compiler has to know of a program's control flow: which instructions can be reached, where jumps go,
 * which registers are read later, and which loads may skip the swap from network byte order.
 */

import {
  BPF_A,
  BPF_ABS,
  BPF_ALU,
  BPF_H,
  BPF_IND,
  BPF_JA,
  BPF_JEQ,
  BPF_JMP,
  BPF_JSET,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_MEM,
  BPF_MISC,
  BPF_NEG,
  BPF_RET,
  BPF_ST,
  BPF_STX,
  BPF_TAX,
  BPF_W,
  BPF_X,
  type Instruction,
} from '../instruction.ts';
import { META_XOR_X, SKF_AD_OFF } from '../metadata.ts';

/** Registers as bits: M[k] is `1 << k`, then A and X. */
export const BIT_A: number = 1 << 16;
export const BIT_X: number = 1 << 17;

/** The instructions that may follow the one at `pc`: none after RET, two after a conditional jump, jt first. */
export function successors({ code, jt, jf, k }: Instruction, pc: number): readonly number[] {
  if ((code & 0x07) === BPF_RET) return [];
  if ((code & 0x07) !== BPF_JMP) return [pc + 1];
  return code === (BPF_JMP | BPF_JA) ? [pc + 1 + (k | 0)] : [pc + 1 + jt, pc + 1 + jf];
}

/** Whether the load is one of Linux's ancillary loads, when the program is of that dialect. */
export function isAncillary({ code, k }: Instruction): boolean {
  return (code & 0xe7) === (BPF_LD | BPF_ABS) && k >= SKF_AD_OFF;
}

/** Reachable instructions from `entry`, in order. Takes time in proportion to their number, not the program's. */
export function reachableFrom(instructions: readonly Instruction[], entry: number): number[] {
  const seen = new Set([entry]);
  // A set yields what is added to it while it is walked.
  for (const pc of seen) for (const next of successors(instructions[pc]!, pc)) seen.add(next);
  return [...seen].sort((a, b) => a - b);
}

/** Registers that an instruction reads and writes, as bits. */
export function registerUse(instruction: Instruction): { reads: number; writes: number } {
  const { code, k } = instruction;
  const readsX = (code & BPF_X) !== 0 ? BIT_X : 0;
  switch (code & 0x07) {
    case BPF_LD:
      if (code === (BPF_LD | BPF_MEM)) return { reads: 1 << k, writes: BIT_A };
      if ((code & 0xe0) === BPF_IND) return { reads: BIT_X, writes: BIT_A };
      if (isAncillary(instruction) && (k - SKF_AD_OFF) / 4 === META_XOR_X) {
        return { reads: BIT_A | BIT_X, writes: BIT_A };
      }
      return { reads: 0, writes: BIT_A };
    case BPF_LDX:
      return { reads: code === (BPF_LDX | BPF_MEM) ? 1 << k : 0, writes: BIT_X };
    case BPF_ST:
      return { reads: BIT_A, writes: 1 << k };
    case BPF_STX:
      return { reads: BIT_X, writes: 1 << k };
    case BPF_ALU:
      return { reads: BIT_A | (code === (BPF_ALU | BPF_NEG) ? 0 : readsX), writes: BIT_A };
    case BPF_JMP:
      return { reads: code === (BPF_JMP | BPF_JA) ? 0 : BIT_A | readsX, writes: 0 };
    case BPF_MISC:
      return code === (BPF_MISC | BPF_TAX)
        ? { reads: BIT_A, writes: BIT_X }
        : { reads: BIT_X, writes: BIT_A };
    default:
      return { reads: code === (BPF_RET | BPF_A) ? BIT_A : 0, writes: 0 };
  }
}

/** For every instruction of a program without backward jumps, the registers whose values it or a later one reads. */
export function liveRegisters(instructions: readonly Instruction[]): Int32Array {
  const live = new Int32Array(instructions.length);
  for (let pc = instructions.length - 1; pc >= 0; pc--) {
    const { reads, writes } = registerUse(instructions[pc]!);
    let after = 0;
    for (const next of successors(instructions[pc]!, pc)) after |= live[next]!;
    live[pc] = (after & ~writes) | reads;
  }
  return live;
}

/**
 * Loads of 2 or 4 bytes whose value is only ever compared with constants need no swap: the constants are swapped
 * instead. The result holds, at each load and at each comparison of such a value, its size in bytes; else 0.
 *
 * Definitions of A that can reach the same instruction are merged into one web; a web qualifies when all of its
 * definitions are packet loads of one size and all of its uses are `jeq #k` and `jset #k`.
 */
export function unswappedSizes(instructions: readonly Instruction[], entry: number): Uint8Array {
  const length = instructions.length;
  const parent = Int32Array.from({ length: length + 1 }, (_, web) => web);
  const find = (web: number): number => {
    let root = web;
    while (parent[root] !== root) root = parent[root] = parent[parent[root]!]!;
    return root;
  };
  // Web n + 1 is defined by instruction n, web 0 by whoever runs the program. -1: nothing known yet.
  const reaching = new Int32Array(length).fill(-1);
  reaching[entry] = 0;
  const spoiled = new Uint8Array(length + 1);
  spoiled[0] = 1;
  for (let pc = entry; pc < length; pc++) {
    const web = reaching[pc]!;
    if (web === -1) continue;
    const instruction = instructions[pc]!;
    const { reads, writes } = registerUse(instruction);
    if ((reads & BIT_A) !== 0 && !comparesConstantBits(instruction.code)) spoiled[web] = 1;
    const after = (writes & BIT_A) !== 0 ? pc + 1 : web;
    for (const next of successors(instruction, pc)) {
      if (reaching[next] === -1) reaching[next] = after;
      else parent[find(after)] = find(reaching[next]!);
    }
  }
  return qualify(instructions, reaching, spoiled, find);
}

function qualify(
  instructions: readonly Instruction[],
  reaching: Int32Array,
  spoiled: Uint8Array,
  find: (web: number) => number,
): Uint8Array {
  const length = instructions.length;
  const sizeOfWeb = new Uint8Array(length + 1);
  const mixed = new Uint8Array(length + 1);
  for (let web = 0; web <= length; web++) {
    const defining = web > 0 && reaching[web - 1] !== -1 ? instructions[web - 1] : undefined;
    const definesA = defining !== undefined && (registerUse(defining).writes & BIT_A) !== 0;
    if (web > 0 && !definesA) continue;
    const root = find(web);
    const size = defining === undefined ? 0 : packetLoadSize(defining);
    if (size < 2 || (sizeOfWeb[root] !== 0 && sizeOfWeb[root] !== size)) mixed[root] = 1;
    sizeOfWeb[root] = size;
  }
  for (let web = 0; web <= length; web++) if (spoiled[web] === 1) mixed[find(web)] = 1;
  const sizeAt = (web: number): number => (mixed[find(web)] === 1 ? 0 : sizeOfWeb[find(web)]!);
  return Uint8Array.from(instructions, (instruction, pc) => {
    if (reaching[pc] === -1) return 0;
    if (packetLoadSize(instruction) > 0) return sizeAt(pc + 1);
    return comparesConstantBits(instruction.code) ? sizeAt(reaching[pc]!) : 0;
  });
}

/** Whether the jump compares A with constants in a way that does not depend on byte order. */
function comparesConstantBits(code: number): boolean {
  return code === (BPF_JMP | BPF_JEQ | BPF_K) || code === (BPF_JMP | BPF_JSET | BPF_K);
}

/** Bytes that a load into A takes from the packet; 0 for every other instruction. */
export function packetLoadSize(instruction: Instruction): number {
  const mode = instruction.code & 0xe7;
  if ((mode !== (BPF_LD | BPF_ABS) && mode !== (BPF_LD | BPF_IND)) || isAncillary(instruction)) return 0;
  const size = instruction.code & 0x18;
  if (size === BPF_W) return 4;
  return size === BPF_H ? 2 : 1;
}
