/**
 * The optimizer: works on the flow graph until nothing changes.
 *
 * First branches move while every block still loads what it tests; then loads of what is there already go, and with
 * them whatever nobody reads any more. Every step keeps the program's decision for every packet, however short.
 */

import { type Block, topologicalOrder } from '../flow-graph.ts';
import { dropDeadCode } from './drop-dead-code.ts';
import { mergeBlocks } from './merge-blocks.ts';
import { numberValues } from './number-values.ts';
import { threadJumps } from './thread-jumps.ts';

/** Rounds of each phase. Few programs need more than three; the limit bounds the time. */
const MAX_ROUNDS = 16;

/** The graph, optimised in place; returns the block to enter. */
export function optimize(graph: Block): Block {
  let root = graph;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const moved = moveBranches(root, false);
    root = moved.root;
    if (!moved.changed) break;
  }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const moved = moveBranches(root, true);
    root = moved.root;
    const dropped = dropDeadCode(topologicalOrder(root));
    const merged = mergeBlocks(topologicalOrder(root));
    root = merged.root;
    if (!moved.changed && !dropped && !merged.changed) break;
  }
  return root;
}

function moveBranches(root: Block, dropRedundant: boolean): { root: Block; changed: boolean } {
  const order = topologicalOrder(root);
  const numbering = numberValues(order, dropRedundant);
  const threaded = threadJumps(order, numbering);
  const merged = mergeBlocks(topologicalOrder(root));
  return { root: merged.root, changed: numbering.changed || threaded || merged.changed };
}
