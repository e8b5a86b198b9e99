/** What each instruction reads and writes: A, X and the words of scratch memory, as bits of a set. */

import {
  BPF_ALU,
  BPF_DIV,
  BPF_IND,
  BPF_LD,
  BPF_LDX,
  BPF_MEM,
  BPF_MISC,
  BPF_MOD,
  BPF_NEG,
  BPF_ST,
  BPF_STX,
  BPF_TAX,
  BPF_X,
} from '../../instruction.ts';
import { bytesNeeded, type Comparison, isIndirectLoad, type Statement } from '../predicate.ts';

export const A = 0;
export const X = 1;

/** The atom of M[k]. */
export function scratch(k: number): number {
  return 2 + k;
}

const CLASS = 0x07;
const MODE = 0xe0;
const OPERATION = 0xf0;

/** The atom a statement writes. */
export function definedAtom({ code, k }: Statement): number {
  switch (code & CLASS) {
    case BPF_LD:
    case BPF_ALU:
      return A;
    case BPF_LDX:
      return X;
    case BPF_ST:
    case BPF_STX:
      return scratch(k);
    default:
      return code === (BPF_MISC | BPF_TAX) ? X : A;
  }
}

/** The atoms a statement reads, as a bit set. */
export function usedAtoms({ code, k }: Statement): number {
  switch (code & CLASS) {
    case BPF_LD:
    case BPF_LDX:
      if ((code & MODE) === BPF_MEM) return 1 << scratch(k);
      return (code & MODE) === BPF_IND ? 1 << X : 0;
    case BPF_ALU:
      if ((code & OPERATION) === BPF_NEG) return 1 << A;
      return (code & BPF_X) === 0 ? 1 << A : (1 << A) | (1 << X);
    case BPF_ST:
      return 1 << A;
    case BPF_STX:
      return 1 << X;
    default:
      return code === (BPF_MISC | BPF_TAX) ? 1 << A : 1 << X;
  }
}

/** The atoms a comparison reads, as a bit set. */
export function comparedAtoms(comparison: Comparison | undefined): number {
  if (comparison === undefined) return 0;
  return (comparison.jump & BPF_X) === 0 ? 1 << A : (1 << A) | (1 << X);
}

/** Whether running the statement can reject the packet: loads outside it, division by an X that is 0. */
export function canReject(statement: Statement): boolean {
  return bytesNeeded(statement) > 0 || isIndirectLoad(statement.code) || dividesByX(statement.code);
}

/** Whether a division or modulo by X. */
export function dividesByX(code: number): boolean {
  const operation = code & OPERATION;
  return (code & (CLASS | BPF_X)) === (BPF_ALU | BPF_X) && (operation === BPF_DIV || operation === BPF_MOD);
}
