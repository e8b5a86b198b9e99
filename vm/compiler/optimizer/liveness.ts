/** Which atoms still matter where: those a later statement or comparison reads before they are written again. */

import type { Block } from '../flow-graph.ts';
import { comparedAtoms, definedAtom, usedAtoms } from './atoms.ts';

/** The set of atoms that matter where each block of a topological order begins, by block index. */
export function liveAtEntry(order: readonly Block[]): Int32Array {
  const live = new Int32Array(order.length);
  for (let index = order.length - 1; index >= 0; index--) {
    const block = order[index]!;
    if (block.kind === 'verdict') continue;
    let atoms = live[block.onTrue.index]! | live[block.onFalse.index]! | comparedAtoms(block.comparison);
    for (let at = block.statements.length - 1; at >= 0; at--) {
      const statement = block.statements[at]!;
      atoms = (atoms & ~(1 << definedAtom(statement))) | usedAtoms(statement);
    }
    live[index] = atoms;
  }
  return live;
}
