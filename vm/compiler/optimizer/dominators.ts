/**
 * The dominator tree of a flow graph, over blocks and edges: what a run must have passed to be where it is. Edges
 * are nodes too, as it is by the edge taken that the outcome of a test is known.
 *
 * Node `i` is the block of index `i`; its true and false edges are nodes `n + 2i` and `n + 2i + 1`. Common ancestors
 * are found in logarithmic time by skip pointers, so a chain of thousands of tests costs no more than its length.
 */

import type { Block } from '../flow-graph.ts';

export class DominatorTree {
  readonly #parent: Int32Array;
  readonly #skip: Int32Array;
  readonly #depth: Int32Array;
  readonly #firstChild: Int32Array;
  readonly #lastChild: Int32Array;
  readonly #nextSibling: Int32Array;

  /** Builds the tree of blocks in topological order. */
  constructor(order: readonly Block[]) {
    const blocks = order.length;
    const nodes = 3 * blocks;
    this.#parent = new Int32Array(nodes).fill(-1);
    this.#skip = new Int32Array(nodes);
    this.#depth = new Int32Array(nodes);
    this.#firstChild = new Int32Array(nodes).fill(-1);
    this.#lastChild = new Int32Array(nodes).fill(-1);
    this.#nextSibling = new Int32Array(nodes).fill(-1);
    const dominators = new Int32Array(blocks).fill(-1);
    for (const block of order) {
      const { index } = block;
      if (index > 0) this.#insert(index, dominators[index]!);
      if (block.kind === 'verdict') continue;
      for (const [side, next] of [block.onTrue, block.onFalse].entries()) {
        const edge = blocks + 2 * index + side;
        this.#insert(edge, index);
        const known = dominators[next.index]!;
        dominators[next.index] = known < 0 ? edge : this.#commonAncestor(known, edge);
      }
    }
  }

  /** The nodes whose nearest dominator is `node`, in topological order. */
  *children(node: number): Generator<number> {
    for (let child = this.#firstChild[node]!; child >= 0; child = this.#nextSibling[child]!) yield child;
  }

  #insert(node: number, parent: number): void {
    this.#parent[node] = parent;
    this.#depth[node] = this.#depth[parent]! + 1;
    const skip = this.#skip[parent]!;
    const sameStride =
      this.#depth[parent]! - this.#depth[skip]! === this.#depth[skip]! - this.#depth[this.#skip[skip]!]!;
    this.#skip[node] = sameStride ? this.#skip[skip]! : parent;
    const last = this.#lastChild[parent]!;
    if (last < 0) this.#firstChild[parent] = node;
    else this.#nextSibling[last] = node;
    this.#lastChild[parent] = node;
  }

  #commonAncestor(first: number, second: number): number {
    let [a, b] = this.#depth[first]! < this.#depth[second]! ? [second, first] : [first, second];
    while (this.#depth[a]! > this.#depth[b]!) {
      const skip = this.#skip[a]!;
      a = this.#depth[skip]! >= this.#depth[b]! ? skip : this.#parent[a]!;
    }
    while (a !== b) {
      const [skipA, skipB] = [this.#skip[a]!, this.#skip[b]!];
      if (skipA !== skipB) [a, b] = [skipA, skipB];
      else [a, b] = [this.#parent[a]!, this.#parent[b]!];
    }
    return a;
  }
}
