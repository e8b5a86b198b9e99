/**
 * Drops statements whose result nobody reads. A load may also reject a packet that is too short: it is dropped only
 * where an earlier load has made sure that the packet is long enough, or where a later one, or the verdict, rejects
 * the same packets anyway.
 */

import type { Block } from '../flow-graph.ts';
import { bytesNeeded, type Statement } from '../predicate.ts';
import { canReject, comparedAtoms, definedAtom, usedAtoms } from './atoms.ts';
import { liveAtEntry } from './liveness.ts';

/** Returns whether anything was dropped. */
export function dropDeadCode(order: readonly Block[]): boolean {
  const { dead, changed } = dropUnread(order);
  if (dead.size === 0) return changed;
  const checkedBefore = dropCheckedBefore(order, dead);
  const checkedAfter = dropCheckedAfter(order, dead);
  return changed || checkedBefore || checkedAfter;
}

/** Drops what cannot reject; returns the unread statements that can. */
function dropUnread(order: readonly Block[]): { dead: Set<Statement>; changed: boolean } {
  const live = liveAtEntry(order);
  const dead = new Set<Statement>();
  let changed = false;
  for (let index = order.length - 1; index >= 0; index--) {
    const block = order[index]!;
    if (block.kind === 'verdict') continue;
    let atoms = live[block.onTrue.index]! | live[block.onFalse.index]! | comparedAtoms(block.comparison);
    const kept: Statement[] = [];
    for (let at = block.statements.length - 1; at >= 0; at--) {
      const statement = block.statements[at]!;
      const defined = 1 << definedAtom(statement);
      const unread = (atoms & defined) === 0;
      if (unread && !canReject(statement)) {
        changed = true;
        continue;
      }
      // Statements are shared between blocks: a dead one must be its own object to be told apart.
      const own = unread ? { ...statement } : statement;
      if (unread) dead.add(own);
      kept.push(own);
      atoms = (atoms & ~defined) | usedAtoms(statement);
    }
    block.statements = kept.reverse();
    live[index] = atoms;
  }
  return { dead, changed };
}

/** Forward: drops dead loads of bytes that every way here has loaded already. */
function dropCheckedBefore(order: readonly Block[], dead: ReadonlySet<Statement>): boolean {
  const lengths = new Float64Array(order.length).fill(Number.POSITIVE_INFINITY);
  lengths[0] = 0;
  let changed = false;
  for (const block of order) {
    if (block.kind === 'verdict') continue;
    let length = lengths[block.index]!;
    block.statements = block.statements.filter((statement) => {
      const bytes = bytesNeeded(statement);
      if (dead.has(statement) && bytes > 0 && bytes <= length) {
        changed = true;
        return false;
      }
      length = Math.max(length, bytes);
      return true;
    });
    for (const next of [block.onTrue, block.onFalse]) {
      lengths[next.index] = Math.min(lengths[next.index]!, length);
    }
  }
  return changed;
}

/** Backward: drops dead loads where too short a packet is rejected further on whatever happens. */
function dropCheckedAfter(order: readonly Block[], dead: ReadonlySet<Statement>): boolean {
  const rejected = new Float64Array(order.length);
  let changed = false;
  for (let index = order.length - 1; index >= 0; index--) {
    const block = order[index]!;
    if (block.kind === 'verdict') {
      rejected[index] = block.value === 0 ? Number.POSITIVE_INFINITY : 0;
      continue;
    }
    let length = Math.min(rejected[block.onTrue.index]!, rejected[block.onFalse.index]!);
    const kept: Statement[] = [];
    for (let at = block.statements.length - 1; at >= 0; at--) {
      const statement = block.statements[at]!;
      const bytes = bytesNeeded(statement);
      const covered = length === Number.POSITIVE_INFINITY || (bytes > 0 && bytes <= length);
      if (dead.has(statement) && covered) {
        changed = true;
        continue;
      }
      length = Math.max(length, bytes);
      kept.push(statement);
    }
    block.statements = kept.reverse();
    rejected[index] = length;
  }
  return changed;
}
