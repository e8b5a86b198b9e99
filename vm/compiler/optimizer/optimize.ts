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

/** Rounds of each phase, and blocks looked at in all of them. Few programs need more than three rounds. */
const MAX_ROUNDS = 16;
const MIN_ROUNDS = 3;
const MAX_BLOCKS_LOOKED_AT = 100_000;

/** Rounds to spend on a graph: fewer on one so large that it hardly fits in a program. */
function roundsFor(root: Block): number {
  const affordable = Math.floor(MAX_BLOCKS_LOOKED_AT / topologicalOrder(root).length);
  return Math.max(MIN_ROUNDS, Math.min(MAX_ROUNDS, affordable));
}

/** The graph, optimised in place; returns the block to enter. */
export function optimize(graph: Block): Block {
  return dropRepetitions(moveBranches(graph));
}

/** While every block still loads what it tests, edges can be led past tests whose outcome is known. */
function moveBranches(graph: Block): Block {
  const rounds = roundsFor(graph);
  let root = graph;
  for (let round = 0; round < rounds; round++) {
    const order = topologicalOrder(root);
    const moved = threadJumps(order, numberValues(order, false));
    if (!moved && round > 0) break;
    root = mergeBlocks(topologicalOrder(root)).root;
  }
  return root;
}

/** What is there already need not be loaded again; what nobody reads need not be there. */
function dropRepetitions(graph: Block): Block {
  const rounds = roundsFor(graph);
  let root = graph;
  for (let round = 0; round < rounds; round++) {
    let order = topologicalOrder(root);
    const numbering = numberValues(order, true);
    // The first round has nothing to thread: `moveBranches` has just found no more.
    const moved = round > 0 && threadJumps(order, numbering);
    if (moved) order = topologicalOrder(root);
    const dropped = dropDeadCode(order);
    const merged = mergeBlocks(order);
    root = merged.root;
    if (!numbering.changed && !moved && !dropped && !merged.changed) break;
  }
  return root;
}
