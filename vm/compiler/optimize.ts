import type { Block } from './flow-graph.ts';
export function optimize(root: Block): Block {
  return root;
}
