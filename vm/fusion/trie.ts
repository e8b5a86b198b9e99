/**
 * Merges the tests that programs begin with into one decision tree.
 *
 * A node holds, for some of the programs, that a packet which reaches it has passed all of their tests so far. A
 * program goes down the tree as long as failing its next test rejects the packet: then its test can be shared with
 * others that ask the same, and nobody who fails it has anything left to do. Tests `value == constant` on the same
 * value become one switch. Where a program's tests are of another kind, the rest of it becomes a leaf, to be
 * compiled as code.
 */

import { BPF_A, BPF_JEQ, BPF_RET, BPF_X, type Instruction } from '../instruction.ts';
import type { Program } from '../program.ts';
import { ACCEPT_ALL } from '../run-program.ts';
import type { ExpressionTable } from './expression.ts';
import { advance, INITIAL_STATE, type State } from './symbolic.ts';

/** A program and the numbers under which its verdict is wanted. */
export type Subject = { readonly program: Program; readonly indices: readonly number[] };

/** A condition other than equality with one constant: `left operation right` must come out as `holds`. */
export type Guard =
  | {
      readonly kind: 'compare';
      readonly operation: number;
      readonly left: number;
      readonly right: number;
      readonly holds: boolean;
    }
  | { readonly kind: 'oneOf'; readonly value: number; readonly constants: readonly number[] }
  | { readonly kind: 'length'; readonly atLeast: number };

/** The rest of a program, to be run from a state on. */
export type Leaf = { readonly subject: Subject; readonly state: State };

export type TrieNode = {
  /** Verdicts that are settled here: programs, and the expressions of what they return. */
  readonly verdicts: { readonly subject: Subject; readonly value: number }[];
  /** By the expression that is tested: what follows for each constant. */
  readonly switches: Map<number, Map<number, TrieNode>>;
  readonly guards: Map<string, { readonly guard: Guard; readonly node: TrieNode }>;
  readonly leaves: Leaf[];
};

export function newNode(): TrieNode {
  return { verdicts: [], switches: new Map(), guards: new Map(), leaves: [] };
}

/** Builds the tree of all programs. */
export function buildTrie(table: ExpressionTable, subjects: readonly Subject[]): TrieNode {
  const root = newNode();
  for (const subject of subjects) new Insertion(table, subject).insert(root, INITIAL_STATE, 0);
  return root;
}

/**
 * Instructions that one program's leaves may come to, and the least number of tree steps: paths that join again in
 * a program are apart in the tree, so a program of many joins must not be followed to all of its ends.
 */
const STEP_BUDGET = 4096;
const LEAST_STEPS = 4;
const MOST_STEPS = 128;

/** A way on from a conditional jump: what must hold, and where the program then is. */
type Step =
  | { readonly kind: 'switch'; readonly value: number; readonly cases: ReadonlyMap<number, State> }
  | { readonly kind: 'guard'; readonly guard: Guard; readonly state: State };

/** Puts one program into the tree. */
class Insertion {
  readonly #table: ExpressionTable;
  readonly #subject: Subject;
  readonly #instructions: readonly Instruction[];
  #steps: number;

  constructor(table: ExpressionTable, subject: Subject) {
    this.#table = table;
    this.#subject = subject;
    this.#instructions = subject.program.instructions;
    const affordable = Math.floor(STEP_BUDGET / Math.max(1, this.#instructions.length));
    this.#steps = Math.min(MOST_STEPS, Math.max(LEAST_STEPS, affordable));
  }

  /** Inserts what the program does from `state` on below `node`, where the packet has at least `known` bytes. */
  insert(node: TrieNode, state: State, known: number): void {
    if (this.#instructions.length === 0) {
      node.verdicts.push({ subject: this.#subject, value: this.#table.constant(ACCEPT_ALL) });
      return;
    }
    const stop = this.#steps > 0 ? advance(this.#table, this.#instructions, state) : undefined;
    this.#steps--;
    if (stop?.kind === 'return') {
      this.#settle(node, stop.state, known);
      return;
    }
    const step = stop?.kind === 'branch' ? this.#step(stop.state) : undefined;
    if (step === undefined) node.leaves.push({ subject: this.#subject, state });
    else this.#follow(node, step, stop!.state.needed, known);
  }

  /** Records the verdict of a `ret` that was reached. */
  #settle(node: TrieNode, { pc, a, needed }: State, known: number): void {
    const { code, k } = this.#instructions[pc]!;
    const value = code === (BPF_RET | BPF_A) ? a : this.#table.constant(k);
    if (this.#table.constantValue(value) === 0) return;
    const checked = Math.max(known, this.#table.end(value));
    const below = needed > checked ? guardNode(node, { kind: 'length', atLeast: needed }) : node;
    below.verdicts.push({ subject: this.#subject, value });
  }

  #follow(node: TrieNode, step: Step, needed: number, known: number): void {
    const checkedByTest =
      step.kind === 'switch' ? this.#table.end(step.value) : guardEnd(this.#table, step.guard);
    const checked = Math.max(known, checkedByTest);
    // A load on the way whose value the test does not look at must still succeed.
    const below = needed > checked ? guardNode(node, { kind: 'length', atLeast: needed }) : node;
    const knownBelow = Math.max(needed, checked);
    if (step.kind === 'guard') {
      this.insert(guardNode(below, step.guard), step.state, knownBelow);
      return;
    }
    let cases = below.switches.get(step.value);
    if (cases === undefined) {
      cases = new Map();
      below.switches.set(step.value, cases);
    }
    for (const [constant, state] of step.cases) {
      let child = cases.get(constant);
      if (child === undefined) {
        child = newNode();
        cases.set(constant, child);
      }
      this.insert(child, state, knownBelow);
    }
  }

  /** How to go on from the conditional jump at `state`, or undefined when neither side of it just rejects. */
  #step(state: State): Step | undefined {
    const { code, jt, jf, k } = this.#instructions[state.pc]!;
    const operation = code & 0xf0;
    const right = (code & BPF_X) !== 0 ? state.x : this.#table.constant(k);
    const taken = { ...state, pc: state.pc + 1 + jt };
    const other = { ...state, pc: state.pc + 1 + jf };
    if (operation === BPF_JEQ && this.#table.constantValue(right) !== undefined) {
      const step = this.#equalityStep(state);
      if (step !== undefined) return step;
    }
    const guard = { kind: 'compare', operation, left: state.a, right } as const;
    if (this.#rejects(other)) return { kind: 'guard', guard: { ...guard, holds: true }, state: taken };
    if (this.#rejects(taken)) return { kind: 'guard', guard: { ...guard, holds: false }, state: other };
    return undefined;
  }

  /** A chain of tests of one value for equality, whose end rejects. */
  #equalityStep(start: State): Step | undefined {
    const cases = new Map<number, State>();
    let state = start;
    for (;;) {
      const { code, jt, jf, k } = this.#instructions[state.pc]!;
      const constant = (code & BPF_X) !== 0 ? this.#table.constantValue(state.x) : k;
      if ((code & 0xf0) !== BPF_JEQ || constant === undefined) return undefined;
      if (!cases.has(constant)) cases.set(constant, { ...state, pc: state.pc + 1 + jt });
      const other = { ...state, pc: state.pc + 1 + jf };
      if (this.#rejects(other)) break;
      const next = advance(this.#table, this.#instructions, other);
      const sameTest =
        next.kind === 'branch' && next.state.a === start.a && next.state.needed === start.needed;
      if (!sameTest) return undefined;
      state = next.state;
    }
    return this.#withoutRejecting(start.a, cases);
  }

  #withoutRejecting(value: number, cases: Map<number, State>): Step {
    for (const [constant, state] of cases) if (this.#rejects(state)) cases.delete(constant);
    const states = [...cases.values()];
    const [first] = states;
    if (states.length > 1 && states.every((state) => sameState(state, first!))) {
      const constants = [...cases.keys()].sort((a, b) => a - b);
      return { kind: 'guard', guard: { kind: 'oneOf', value, constants }, state: first! };
    }
    return { kind: 'switch', value, cases };
  }

  /** Whether the path from `state` runs straight into `ret #0`. */
  #rejects(state: State): boolean {
    const stop = advance(this.#table, this.#instructions, state);
    if (stop.kind !== 'return') return false;
    const { code, k } = this.#instructions[stop.state.pc]!;
    const value = code === (BPF_RET | BPF_A) ? this.#table.constantValue(stop.state.a) : k;
    return value === 0;
  }
}

function sameState(one: State, two: State): boolean {
  return one.pc === two.pc && one.a === two.a && one.x === two.x && one.scratch === two.scratch;
}

function guardEnd(table: ExpressionTable, guard: Guard): number {
  switch (guard.kind) {
    case 'compare':
      return Math.max(table.end(guard.left), table.end(guard.right));
    case 'oneOf':
      return table.end(guard.value);
    default:
      return guard.atLeast;
  }
}

/** The node below a guard, made when it is not there. */
function guardNode(node: TrieNode, guard: Guard): TrieNode {
  const key = JSON.stringify(guard);
  let entry = node.guards.get(key);
  if (entry === undefined) {
    entry = { guard, node: newNode() };
    node.guards.set(key, entry);
  }
  return entry.node;
}
