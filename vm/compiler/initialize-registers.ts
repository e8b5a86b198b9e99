/**
 * Makes sure that no word of scratch memory is read before it is written, which Linux refuses and other machines
 * leave to chance. It happens where a tunnel is only one of several alternatives: `geneve or ip`. There the words
 * start as 0.
 */

import { BPF_IMM, BPF_LD, BPF_LDX, BPF_MEM, BPF_ST, BPF_STX } from '../instruction.ts';
import { type Block, topologicalOrder } from './flow-graph.ts';
import type { Statement } from './predicate.ts';

/** The graph, with a block before it that clears what may be read unwritten. */
export function initializeRegisters(root: Block): Block {
  const unwritten = readsUnwritten(root);
  if (unwritten === 0) return root;
  const span = { start: 0, end: 0 };
  const statements: Statement[] = [{ code: BPF_LD | BPF_IMM, k: 0, span, note: 'nothing found yet' }];
  for (let register = 0; register < 32; register++) {
    if ((unwritten & (1 << register)) === 0) continue;
    statements.push({ code: BPF_ST, k: register, span, note: 'no tunnel entered yet' });
  }
  return { kind: 'branch', statements, comparison: undefined, onTrue: root, onFalse: root, index: -1 };
}

/** The set of words that some path reads before it writes them, a bit for each. */
function readsUnwritten(root: Block): number {
  const order = topologicalOrder(root);
  const written = new Int32Array(order.length).fill(-1);
  written[root.index] = 0;
  let unwritten = 0;
  for (const block of order) {
    if (block.kind === 'verdict') continue;
    let known = written[block.index]!;
    for (const { code, k } of block.statements) {
      if (code === (BPF_LD | BPF_MEM) || code === (BPF_LDX | BPF_MEM)) unwritten |= (1 << k) & ~known;
      else if (code === BPF_ST || code === BPF_STX) known |= 1 << k;
    }
    for (const next of [block.onTrue, block.onFalse]) written[next.index]! &= known;
  }
  return unwritten;
}
