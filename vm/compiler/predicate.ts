/**
 * What an expression means in terms of BPF: tests on loaded values, joined by boolean operators. The link type,
 * names and offsets are resolved here; what is left to do is control flow.
 */

import { BPF_ABS, BPF_B, BPF_IND, BPF_LD, BPF_LDX, BPF_MSH } from '../instruction.ts';
import type { Span } from './errors.ts';

/** One straight-line instruction, with the text it serves and what it does in that text's terms. */
export type Statement = {
  readonly code: number;
  readonly k: number;
  readonly span: Span;
  readonly note: string;
};

/** A comparison of A with `k`, or with X; `jump` is BPF_JEQ, BPF_JGT, BPF_JGE or BPF_JSET, with BPF_X or BPF_K. */
export type Comparison = {
  readonly jump: number;
  readonly k: number;
  readonly span: Span;
  readonly note: string;
};

export type Predicate =
  | { readonly kind: 'constant'; readonly value: boolean }
  | { readonly kind: 'test'; readonly statements: readonly Statement[]; readonly comparison: Comparison }
  | { readonly kind: 'all' | 'any'; readonly members: readonly Predicate[] }
  | { readonly kind: 'not'; readonly member: Predicate }
  /** Runs statements; always true. */
  | { readonly kind: 'run'; readonly statements: readonly Statement[] }
  /** Where `condition` holds, does `action`; true either way. */
  | { readonly kind: 'when'; readonly condition: Predicate; readonly action: Predicate };

export const TRUE: Predicate = { kind: 'constant', value: true };
export const FALSE: Predicate = { kind: 'constant', value: false };

/** All of the members, tested in order. */
export function all(...members: readonly Predicate[]): Predicate {
  return join('all', members);
}

/** Any of the members, tested in order. */
export function any(...members: readonly Predicate[]): Predicate {
  return join('any', members);
}

function join(kind: 'all' | 'any', members: readonly Predicate[]): Predicate {
  const neutral = kind === 'all';
  const kept: Predicate[] = [];
  for (const member of members) {
    if (member.kind === 'constant') {
      if (member.value !== neutral) return member;
    } else if (member.kind === kind && 'members' in member) {
      kept.push(...member.members);
    } else {
      kept.push(member);
    }
  }
  if (kept.length === 0) return neutral ? TRUE : FALSE;
  return kept.length === 1 ? kept[0]! : { kind, members: kept };
}

export function not(member: Predicate): Predicate {
  if (member.kind === 'constant') return member.value ? FALSE : TRUE;
  return member.kind === 'not' ? member.member : { kind: 'not', member };
}

/** Bytes a packet must have for an absolute load to succeed; 0 for statements that cannot fail that way. */
export function bytesNeeded(statement: Statement): number {
  const { code, k } = statement;
  if (code === (BPF_LDX | BPF_MSH | BPF_B)) return k + 1;
  if ((code & 0xe7) !== (BPF_LD | BPF_ABS)) return 0;
  return k + loadSize(code);
}

/** Whether a load relative to X, which fails on a packet that is too short for it. */
export function isIndirectLoad(code: number): boolean {
  return (code & 0xe7) === (BPF_LD | BPF_IND);
}

/** Bytes a packet load reads. */
export function loadSize(code: number): number {
  return (code & 0x18) === 0x10 ? 1 : (code & 0x18) === 0x08 ? 2 : 4;
}
