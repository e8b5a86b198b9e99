/**
 * Jump threading: an edge that leads to a test whose outcome is known on that edge is led past it.
 *
 * An edge may skip a block only if nothing the block computes is missed further on, and if none of its loads could
 * have rejected the packet: what an optimised program decides is the same for every packet, however short. (libpcap's
 * optimizer accepts some packets that its unoptimised programs reject as too short.)
 */

import { BPF_JEQ, BPF_X } from '../../instruction.ts';
import type { Block, Branch } from '../flow-graph.ts';
import { bytesNeeded } from '../predicate.ts';
import { A, canReject, X } from './atoms.ts';
import { DominatorTree } from './dominators.ts';
import { Facts } from './facts.ts';
import { liveAtEntry } from './liveness.ts';
import type { Numbering } from './number-values.ts';

/** Blocks that edges may skip in one round: each a few, and in small graphs as many as there are. */
const STEPS_PER_BLOCK = 8;
const STEPS_IN_ANY_GRAPH = 20_000;

/** Threads the edges of blocks in topological order; returns whether any was moved. */
export function threadJumps(order: readonly Block[], numbering: Numbering): boolean {
  return new Threader(order, numbering).run();
}

/** For each block that is only entered where a comparison with a constant found equality: those comparisons. */
function equalitiesInto(order: readonly Block[]): (Branch[] | undefined)[] {
  const equalities: (Branch[] | undefined)[] = order.map(() => []);
  for (const block of order) {
    if (block.kind === 'verdict') continue;
    const { comparison, onTrue, onFalse } = block;
    equalities[onFalse.index] = undefined;
    if (comparison?.jump === BPF_JEQ) equalities[onTrue.index]?.push(block);
    else equalities[onTrue.index] = undefined;
  }
  return equalities;
}

class Threader {
  readonly #order: readonly Block[];
  readonly #numbering: Numbering;
  readonly #live: Int32Array;
  readonly #facts: Facts;
  readonly #equalities: readonly (readonly Branch[] | undefined)[];
  #stepsLeft: number;
  #changed = false;

  constructor(order: readonly Block[], numbering: Numbering) {
    this.#order = order;
    this.#numbering = numbering;
    this.#live = liveAtEntry(order);
    this.#facts = new Facts(numbering.values);
    this.#equalities = equalitiesInto(order);
    this.#stepsLeft = STEPS_IN_ANY_GRAPH + STEPS_PER_BLOCK * order.length;
  }

  /**
   * Walks the dominator tree of the graph as it was. Edges that have moved since lead to the same places under the
   * same conditions, so what dominated a place still holds there.
   */
  run(): boolean {
    const tree = new DominatorTree(this.#order);
    const stack: { node: number; mark: number }[] = [{ node: 0, mark: -1 }];
    while (stack.length > 0) {
      const entry = stack.at(-1)!;
      if (entry.mark >= 0) {
        this.#leave(entry.node);
        this.#facts.forget(entry.mark);
        stack.pop();
        continue;
      }
      entry.mark = this.#facts.mark();
      this.#enter(entry.node);
      for (const child of tree.children(entry.node)) stack.push({ node: child, mark: -1 });
    }
    return this.#changed;
  }

  /** Threads an edge when what lies behind it is done, so that it meets edges already threaded. */
  #leave(node: number): void {
    const blocks = this.#order.length;
    if (node < blocks) {
      this.#decide(this.#order[node]!);
      return;
    }
    this.#thread(this.#order[(node - blocks) >> 1] as Branch, ((node - blocks) & 1) === 0);
  }

  /** A test whose outcome is known wherever it is reached is no test; its loads stay. */
  #decide(block: Block): void {
    if (block.kind === 'verdict' || block.onTrue === block.onFalse) return;
    const target = this.#wayOn(block);
    if (target === undefined) return;
    block.onTrue = target;
    block.onFalse = target;
    this.#changed = true;
  }

  #enter(node: number): void {
    const blocks = this.#order.length;
    if (node < blocks) {
      const block = this.#order[node]!;
      if (block.kind === 'branch') {
        this.#learnChoices(block);
        this.#learnLoads(block);
      }
      return;
    }
    const block = this.#order[(node - blocks) >> 1] as Branch;
    const side = ((node - blocks) & 1) === 0;
    const { comparison } = block;
    if (comparison !== undefined && block.onTrue !== block.onFalse) {
      const { jump } = comparison;
      this.#facts.learn(jump & ~BPF_X, this.#exit(block, A), this.#operand(block), side);
    }
  }

  /** Where `a = 1 or a = 2` leads, `a` is 1 or 2. */
  #learnChoices(block: Branch): void {
    const equalities = this.#equalities[block.index];
    if (equalities === undefined || equalities.length < 2) return;
    const number = this.#exit(equalities[0]!, A);
    if (equalities.some((from) => this.#exit(from, A) !== number)) return;
    this.#facts.learnChoices(
      number,
      equalities.map((from) => from.comparison!.k),
    );
  }

  #learnLoads(block: Branch): void {
    const computed = this.#numbering.computed[block.index]!;
    for (const [at, statement] of block.statements.entries()) {
      if (!canReject(statement)) continue;
      this.#facts.learnLength(bytesNeeded(statement));
      this.#facts.learnComputed(computed[at]!);
    }
  }

  #exit(block: Block, atom: number): number {
    return this.#numbering.atExit[block.index]![atom]!;
  }

  /** The value number of what a block compares A with. */
  #operand(block: Branch): number {
    const { jump, k } = block.comparison!;
    return (jump & BPF_X) === 0 ? this.#numbering.values.constant(k) : this.#exit(block, X);
  }

  #thread(block: Branch, side: boolean): void {
    while (this.#stepsLeft > 0) {
      this.#stepsLeft--;
      const next = side ? block.onTrue : block.onFalse;
      if (next.kind === 'verdict') return;
      const target = this.#wayOn(next);
      if (target === undefined || !this.#maySkip(next) || this.#isMissed(block, next, target)) return;
      if (side) block.onTrue = target;
      else block.onFalse = target;
      this.#changed = true;
    }
  }

  /** Where a block must lead to. */
  #wayOn(block: Branch): Block | undefined {
    if (block.onTrue === block.onFalse) return block.onTrue;
    const jump = block.comparison!.jump & ~BPF_X;
    const outcome = this.#facts.outcome(jump, this.#exit(block, A), this.#operand(block));
    if (outcome === undefined) return undefined;
    return outcome ? block.onTrue : block.onFalse;
  }

  /** Nothing in the block can reject a packet that gets here. */
  #maySkip(block: Branch): boolean {
    const computed = this.#numbering.computed[block.index]!;
    return block.statements.every((statement, at) => {
      if (!canReject(statement) || this.#facts.isComputed(computed[at]!)) return true;
      const bytes = bytesNeeded(statement);
      return bytes > 0 && bytes <= this.#facts.length;
    });
  }

  /** Some atom that `target` relies on is not what it would be after `skipped`. */
  #isMissed(from: Block, skipped: Block, target: Block): boolean {
    const live = this.#live[target.index]!;
    for (let atom = 0; live >>> atom !== 0; atom++) {
      if ((live & (1 << atom)) !== 0 && this.#exit(from, atom) !== this.#exit(skipped, atom)) return true;
    }
    return false;
  }
}
