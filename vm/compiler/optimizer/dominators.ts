/**
 * The dominator tree of a flow graph, over blocks and edges: what a run must have passed to be where it is. Edges
 * are nodes too, as it is by the edge taken that the outcome of a test is known.
 *
 * Node `i` is the block of index `i`; its true and false edges are nodes `n + 2i` and `n + 2i + 1`. Common ancestors
 * are found in logarithmic time by skip pointers, so a chain of thousands of tests costs no more than its length.
 */

import type { Block } from '../flow-graph.ts';

const PARENT = 0;
/** An ancestor further up, as in a skew-binary skip list. */
const SKIP = 1;
const DEPTH = 2;
const FIRST_CHILD = 3;
const LAST_CHILD = 4;
const NEXT_SIBLING = 5;
const FIELDS = 6;

export class DominatorTree {
  /** `FIELDS` numbers a node. */
  readonly #nodes: Int32Array;

  /** Builds the tree of blocks in topological order. */
  constructor(order: readonly Block[]) {
    const blocks = order.length;
    this.#nodes = new Int32Array(3 * blocks * FIELDS).fill(-1);
    this.#nodes[SKIP] = 0;
    this.#nodes[DEPTH] = 0;
    const dominators = new Array<number>(blocks).fill(-1);
    for (const block of order) {
      const { index } = block;
      if (index > 0) this.#insert(index, dominators[index]!);
      if (block.kind === 'verdict') continue;
      const edge = blocks + 2 * index;
      this.#addEdge(edge, index, block.onTrue.index, dominators);
      this.#addEdge(edge + 1, index, block.onFalse.index, dominators);
    }
  }

  /** The nodes whose nearest dominator is `node`, in topological order. */
  children(node: number): number[] {
    const children: number[] = [];
    for (let child = this.#get(node, FIRST_CHILD); child >= 0; child = this.#get(child, NEXT_SIBLING)) {
      children.push(child);
    }
    return children;
  }

  #get(node: number, field: number): number {
    return this.#nodes[node * FIELDS + field]!;
  }

  #set(node: number, field: number, value: number): void {
    this.#nodes[node * FIELDS + field] = value;
  }

  #addEdge(edge: number, from: number, to: number, dominators: number[]): void {
    this.#insert(edge, from);
    const known = dominators[to]!;
    dominators[to] = known < 0 ? edge : this.#commonAncestor(known, edge);
  }

  #insert(node: number, parent: number): void {
    const depth = this.#get(parent, DEPTH);
    const skip = this.#get(parent, SKIP);
    const stride = this.#get(skip, DEPTH) - this.#get(this.#get(skip, SKIP), DEPTH);
    this.#set(node, PARENT, parent);
    this.#set(node, DEPTH, depth + 1);
    this.#set(node, SKIP, depth - this.#get(skip, DEPTH) === stride ? this.#get(skip, SKIP) : parent);
    const last = this.#get(parent, LAST_CHILD);
    if (last < 0) this.#set(parent, FIRST_CHILD, node);
    else this.#set(last, NEXT_SIBLING, node);
    this.#set(parent, LAST_CHILD, node);
  }

  #commonAncestor(first: number, second: number): number {
    let [a, b] = this.#get(first, DEPTH) < this.#get(second, DEPTH) ? [second, first] : [first, second];
    const depth = this.#get(b, DEPTH);
    while (this.#get(a, DEPTH) > depth) {
      const skip = this.#get(a, SKIP);
      a = this.#get(skip, DEPTH) >= depth ? skip : this.#get(a, PARENT);
    }
    while (a !== b) {
      const field = this.#get(a, SKIP) === this.#get(b, SKIP) ? PARENT : SKIP;
      [a, b] = [this.#get(a, field), this.#get(b, field)];
    }
    return a;
  }
}
