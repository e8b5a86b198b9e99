/**
 * Lays the blocks of a flow graph out as instructions. Conditional jumps reach 255 instructions; where a target is
 * further away they go through an unconditional jump, or through a copy of the verdict when that is the target.
 */

import { BPF_JA, BPF_JMP, BPF_K, BPF_RET, type Instruction } from '../instruction.ts';
import type { Span } from './errors.ts';
import { type Block, type Branch, topologicalOrder } from './flow-graph.ts';

/** An instruction with the text it came from and what it does in that text's terms. */
export type AnnotatedInstruction = Instruction & {
  readonly span: Span | undefined;
  readonly note: string;
};

const LONGEST_CONDITIONAL_JUMP = 255;

/** How a block ends: nothing when the next block follows, else jumps; `far` edges go through a helper. */
type Layout = { farTrue: boolean; farFalse: boolean };

/** The instructions of the graph, in an order that only jumps forward. */
export function linearize(root: Block): AnnotatedInstruction[] {
  const order = topologicalOrder(root);
  const layouts: Layout[] = order.map(() => ({ farTrue: false, farFalse: false }));
  let starts = measure(order, layouts);
  while (markFarEdges(order, layouts, starts)) starts = measure(order, layouts);
  return order.flatMap((block) => emitBlock(block, layouts[block.index]!, starts));
}

/** Where each block starts, given which edges are far. */
function measure(order: readonly Block[], layouts: readonly Layout[]): number[] {
  const starts: number[] = [];
  let at = 0;
  for (const block of order) {
    starts.push(at);
    at += lengthOf(block, layouts[block.index]!);
  }
  return starts;
}

function lengthOf(block: Block, layout: Layout): number {
  if (block.kind === 'verdict') return 1;
  const { statements } = block;
  if (block.onTrue === block.onFalse) return statements.length + (followedBy(block, block.onTrue) ? 0 : 1);
  return statements.length + 1 + Number(layout.farTrue) + Number(layout.farFalse);
}

function followedBy(block: Branch, next: Block): boolean {
  return next.index === block.index + 1;
}

/** Marks edges that have become too long; edges once marked stay so, which bounds the iteration. */
function markFarEdges(
  order: readonly Block[],
  layouts: readonly Layout[],
  starts: readonly number[],
): boolean {
  let changed = false;
  for (const block of order) {
    if (block.kind === 'verdict' || block.onTrue === block.onFalse) continue;
    const layout = layouts[block.index]!;
    const after = starts[block.index]! + block.statements.length + 1;
    if (!layout.farTrue && starts[block.onTrue.index]! - after > LONGEST_CONDITIONAL_JUMP) {
      layout.farTrue = true;
      changed = true;
    }
    if (!layout.farFalse && starts[block.onFalse.index]! - after > LONGEST_CONDITIONAL_JUMP) {
      layout.farFalse = true;
      changed = true;
    }
  }
  return changed;
}

function emitBlock(block: Block, layout: Layout, starts: readonly number[]): AnnotatedInstruction[] {
  if (block.kind === 'verdict') return [emitVerdict(block.value)];
  const emitted: AnnotatedInstruction[] = block.statements.map(({ code, k, span, note }) => {
    return { code, jt: 0, jf: 0, k, span, note };
  });
  const { comparison, onTrue, onFalse } = block;
  if (onTrue === onFalse) {
    if (!followedBy(block, onTrue))
      emitted.push(emitFar(onTrue, starts[block.index]! + emitted.length, starts));
    return emitted;
  }
  const after = starts[block.index]! + emitted.length + 1;
  const { jump, k, span, note } = comparison!;
  const jt = layout.farTrue ? 0 : starts[onTrue.index]! - after;
  const jf = layout.farFalse ? Number(layout.farTrue) : starts[onFalse.index]! - after;
  emitted.push({ code: BPF_JMP | jump, jt, jf, k, span, note });
  if (layout.farTrue) emitted.push(emitFar(onTrue, after, starts));
  if (layout.farFalse) emitted.push(emitFar(onFalse, after + Number(layout.farTrue), starts));
  return emitted;
}

function emitVerdict(value: number): AnnotatedInstruction {
  const note = value === 0 ? 'reject' : `accept, keeping up to ${value} bytes`;
  return { code: BPF_RET | BPF_K, jt: 0, jf: 0, k: value, span: undefined, note };
}

/** At `at`: on to a block out of reach. */
function emitFar(target: Block, at: number, starts: readonly number[]): AnnotatedInstruction {
  if (target.kind === 'verdict') return emitVerdict(target.value);
  const k = starts[target.index]! - at - 1;
  return { code: BPF_JMP | BPF_JA, jt: 0, jf: 0, k, span: undefined, note: 'on to a test further down' };
}
