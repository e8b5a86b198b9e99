/**
 * The control-flow graph: blocks of statements that end in a comparison with two ways on, or in a verdict. Edges
 * only lead forward (the graph has no cycle), as BPF demands.
 */

import type { Span } from './errors.ts';
import { FilterSyntaxError } from './errors.ts';
import type { Comparison, Predicate, Statement } from './predicate.ts';

/** Runs `statements`, then goes to `onTrue` or `onFalse`; without a comparison the two are the same. */
export type Branch = {
  readonly kind: 'branch';
  statements: Statement[];
  comparison: Comparison | undefined;
  onTrue: Block;
  onFalse: Block;
  /** Position in the order of the last `topologicalOrder`. */
  index: number;
};

/** Ends the program: the number of bytes to keep, 0 to reject. */
export type Verdict = { readonly kind: 'verdict'; readonly value: number; index: number };

export type Block = Branch | Verdict;

/** Blocks before optimisation. Four times what the longest program could hold, with room for what goes away. */
const MAX_BLOCKS = 0x8000;

/** Builds the graph of a predicate: `accept` bytes where it holds, 0 where not. */
export function buildGraph(predicate: Predicate, accept: number): Block {
  return new GraphBuilder().build(predicate, verdict(accept), verdict(0));
}

function verdict(value: number): Verdict {
  return { kind: 'verdict', value, index: -1 };
}

class GraphBuilder {
  #blocks = 0;

  /** The block to enter for `predicate`. Built from its end, so that every way on exists before it is led to. */
  build(predicate: Predicate, onTrue: Block, onFalse: Block): Block {
    let [current, whenTrue, whenFalse] = [predicate, onTrue, onFalse];
    // The first member of each level is entered in this loop: it nests as deep as the expression is long.
    for (;;) {
      switch (current.kind) {
        case 'constant':
          return current.value ? whenTrue : whenFalse;
        case 'test':
          return this.#branch(current.statements, current.comparison, whenTrue, whenFalse);
        case 'run':
          return this.#branch(current.statements, undefined, whenTrue, whenTrue);
        case 'not':
          [current, whenTrue, whenFalse] = [current.member, whenFalse, whenTrue];
          break;
        case 'when': {
          const action: Block = this.build(current.action, whenTrue, whenTrue);
          [current, whenTrue, whenFalse] = [current.condition, action, whenTrue];
          break;
        }
        default: {
          const { kind, members } = current;
          for (let index = members.length - 1; index > 0; index--) {
            const entry: Block = this.build(members[index]!, whenTrue, whenFalse);
            if (kind === 'all') whenTrue = entry;
            else whenFalse = entry;
          }
          current = members[0]!;
        }
      }
    }
  }

  #branch(
    statements: readonly Statement[],
    comparison: Comparison | undefined,
    onTrue: Block,
    onFalse: Block,
  ): Block {
    if (++this.#blocks > MAX_BLOCKS) {
      const span: Span = comparison?.span ?? statements[0]!.span;
      throw new FilterSyntaxError(span.start, `the expression needs more than ${MAX_BLOCKS} tests`);
    }
    return { kind: 'branch', statements: [...statements], comparison, onTrue, onFalse, index: -1 };
  }
}

/**
 * Every reachable block, each before those it leads to; sets their `index`. A block's true branch is placed close
 * after it where it can be.
 */
export function topologicalOrder(root: Block): Block[] {
  const visited = new Set<Block>([root]);
  const order: Block[] = [];
  // Each entry is visited twice: to push what it leads to, and, when all that is placed, to be placed itself.
  const stack: { block: Block; stage: 0 | 1 | 2 }[] = [{ block: root, stage: 0 }];
  while (stack.length > 0) {
    const entry = stack.at(-1)!;
    const { block } = entry;
    if (block.kind === 'verdict' || entry.stage === 2) {
      order.push(block);
      stack.pop();
      continue;
    }
    const next = entry.stage === 0 ? block.onFalse : block.onTrue;
    entry.stage++;
    if (!visited.has(next)) {
      visited.add(next);
      stack.push({ block: next, stage: 0 });
    }
  }
  order.reverse();
  for (const [index, block] of order.entries()) block.index = index;
  return order;
}
