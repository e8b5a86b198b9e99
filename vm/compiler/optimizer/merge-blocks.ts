/** Makes one block of equal ones, and of those that always follow each other; skips blocks that do nothing. */

import type { Block, Branch } from '../flow-graph.ts';

/**
 * Merges blocks of a topological order; returns the block to enter in place of the first, and whether anything
 * changed. The order must be taken anew after a change.
 */
export function mergeBlocks(order: readonly Block[]): { root: Block; changed: boolean } {
  const replacements: Block[] = [...order];
  const seen = new Map<string, Block>();
  let changed = false;
  for (let index = order.length - 1; index >= 0; index--) {
    const block = order[index]!;
    if (block.kind === 'branch') {
      block.onTrue = replacements[block.onTrue.index]!;
      block.onFalse = replacements[block.onFalse.index]!;
      if (block.onTrue === block.onFalse) {
        changed ||= block.comparison !== undefined;
        block.comparison = undefined;
        if (block.statements.length === 0) {
          replacements[index] = block.onTrue;
          changed = true;
          continue;
        }
      }
    }
    const key = keyOf(block);
    const equal = seen.get(key);
    if (equal === undefined) {
      seen.set(key, block);
    } else {
      replacements[index] = equal;
      changed = true;
    }
  }
  const root = replacements[0]!;
  return { root, changed: joinChains(root, order) || changed };
}

/** Equal for blocks that do the same; what they lead to has been merged before. */
function keyOf(block: Block): string {
  if (block.kind === 'verdict') return `=${block.value}`;
  let key = `${block.onTrue.index},${block.onFalse.index}`;
  for (const { code, k } of block.statements) key += `;${code},${k}`;
  if (block.comparison !== undefined) key += `?${block.comparison.jump},${block.comparison.k}`;
  return key;
}

/** Appends to a block without a test the only block it leads to, when nothing else leads there. */
function joinChains(root: Block, order: readonly Block[]): boolean {
  const entered = new Int32Array(order.length);
  const reachable: Branch[] = [];
  const visited = new Set<Block>([root]);
  for (const block of visited) {
    if (block.kind === 'verdict') continue;
    reachable.push(block);
    for (const next of new Set([block.onTrue, block.onFalse])) {
      entered[next.index]!++;
      visited.add(next);
    }
  }
  let changed = false;
  for (const block of reachable) {
    for (;;) {
      const next = block.onTrue;
      if (next !== block.onFalse || next.kind === 'verdict' || entered[next.index] !== 1) break;
      block.statements = [...block.statements, ...next.statements];
      block.comparison = next.comparison;
      block.onTrue = next.onTrue;
      block.onFalse = next.onFalse;
      changed = true;
    }
  }
  return changed;
}
