/** Code for a decision tree: its tests from the root down, then the groups of leaves, each in its place. */

import { BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET, BPF_K, BPF_RET } from '../instruction.ts';
import { analyseShape, emitBody, type Verdict } from '../wasm/body.ts';
import { type Label, OP } from '../wasm/function-builder.ts';
import { emitLookup } from '../wasm/lookup.ts';
import { SIMPLE_ARITHMETIC, type Target } from '../wasm/operations.ts';
import { checkLength, pushLoad } from '../wasm/packet-access.ts';
import type { ExpressionTable } from './expression.ts';
import { groupLeaves, type LeafGroup } from './grouping.ts';
import type { Guard, TrieNode } from './trie.ts';

/** What holds where code is being emitted: expressions whose values locals hold, bytes the packet has for sure. */
type Scope = { readonly values: ReadonlyMap<number, number>; readonly known: number };

type Opcode = (typeof OP)[keyof typeof OP];

const COMPARISONS: ReadonlyMap<number, Opcode> = new Map([
  [BPF_JEQ, OP.i32Eq],
  [BPF_JGT, OP.i32GtU],
  [BPF_JGE, OP.i32GeU],
  [BPF_JSET, OP.i32And],
]);

/** Emits trees into one function; `out` is the local with the address of the next match. */
export class TreeEmitter {
  readonly #target: Target;
  readonly #table: ExpressionTable;
  readonly #out: number;

  constructor(target: Target, table: ExpressionTable, out: number) {
    this.#target = target;
    this.#table = table;
    this.#out = out;
  }

  /** Emits what happens to a packet that reaches `node`. */
  emit(node: TrieNode): void {
    this.#node(node, { values: new Map(), known: 0 });
  }

  /** Notes a match under each of `indices`; `pushSnapLength` pushes the verdict. */
  emitMatches(indices: readonly number[], pushSnapLength: () => void): void {
    const { f, helpers } = this.#target;
    for (const index of indices) {
      f.get(this.#out);
      f.i32(index);
      pushSnapLength();
      f.call(helpers.emitMatch());
      f.set(this.#out);
    }
  }

  #node(node: TrieNode, scope: Scope): void {
    for (const { subject, value } of node.verdicts) this.#verdict(subject.indices, value, scope);
    for (const [value, cases] of node.switches) this.#switch(value, cases, scope);
    for (const { guard, node: child } of node.guards.values()) this.#guard(guard, child, scope);
    for (const group of groupLeaves(node.leaves)) this.#leaves(group, scope);
  }

  #verdict(indices: readonly number[], value: number, scope: Scope): void {
    const { f } = this.#target;
    const constant = this.#table.constantValue(value);
    if (constant !== undefined) {
      this.emitMatches(indices, () => f.i32(constant));
      return;
    }
    const skip = f.block();
    this.#withValue(value, scope, skip, (local) => {
      f.get(local);
      f.op(OP.i32Eqz);
      f.brIf(skip);
      this.emitMatches(indices, () => f.get(local));
    });
    f.end(skip);
  }

  #switch(value: number, cases: ReadonlyMap<number, TrieNode>, scope: Scope): void {
    const { f } = this.#target;
    const nodes = [...cases.values()];
    const skip = f.block();
    this.#withValue(value, scope, skip, (local, inner) => {
      emitLookup(f, local, [...cases.keys()], (index) => this.#node(nodes[index]!, inner));
    });
    f.end(skip);
  }

  #guard(guard: Guard, node: TrieNode, scope: Scope): void {
    const { f, packet } = this.#target;
    const skip = f.block();
    if (guard.kind === 'length') {
      const known = checkLength(f, packet, guard.atLeast, scope.known, skip);
      this.#node(node, { ...scope, known });
    } else if (guard.kind === 'oneOf') {
      this.#withValue(guard.value, scope, skip, (local, inner) => {
        const found = f.block();
        for (const constant of guard.constants) {
          f.get(local);
          f.i32(constant);
          f.op(OP.i32Eq);
          f.brIf(found);
        }
        f.br(skip);
        f.end(found);
        this.#node(node, inner);
      });
    } else {
      this.#withValue(guard.left, scope, skip, (left, inner) => {
        this.#withValue(guard.right, inner, skip, (right, innermost) => {
          f.get(left);
          f.get(right);
          f.op(COMPARISONS.get(guard.operation)!);
          if (guard.holds) f.op(OP.i32Eqz);
          f.brIf(skip);
          this.#node(node, innermost);
        });
      });
    }
    f.end(skip);
  }

  /** Computes a value into a local, or finds the local that has it, for the code that `use` emits. */
  #withValue(value: number, scope: Scope, skip: Label, use: (local: number, inner: Scope) => void): void {
    const { f, pool } = this.#target;
    const existing = scope.values.get(value);
    if (existing !== undefined) {
      use(existing, scope);
      return;
    }
    const known = this.#push(value, scope, skip);
    const local = pool.takeI32();
    f.set(local);
    use(local, { values: new Map(scope.values).set(value, local), known });
    pool.returnI32(local);
  }

  /** Pushes a value; leaves for `skip` when a load fails. Returns how many bytes the packet is then known to have. */
  #push(value: number, scope: Scope, skip: Label): number {
    const { f, packet, pool } = this.#target;
    const existing = scope.values.get(value);
    const expression = this.#table.get(value);
    if (existing !== undefined) {
      f.get(existing);
      return scope.known;
    }
    switch (expression.kind) {
      case 'constant':
        f.i32(expression.value);
        return scope.known;
      case 'length':
        f.get(packet.wireLength);
        return scope.known;
      case 'load': {
        const { offset, size } = expression;
        const known = checkLength(f, packet, offset + size, scope.known, skip);
        pushLoad(
          f,
          () => f.get(packet.offset),
          offset,
          size,
          true,
          () => pool.temporary(),
        );
        return known;
      }
      default: {
        const known = this.#push(expression.left, scope, skip);
        const after = this.#push(expression.right, { ...scope, known }, skip);
        f.op(SIMPLE_ARITHMETIC.get(expression.operation)!);
        return after;
      }
    }
  }

  /** Runs a group of programs from the state they have in common. */
  #leaves(group: LeafGroup, scope: Scope): void {
    const { f, pool } = this.#target;
    const [first] = group.members;
    const exit = f.block();
    const registers = pool.takeRegisters();
    let { known } = scope;
    for (const [bit, value] of group.inputs) {
      known = this.#push(value, { ...scope, known }, exit);
      const [register] = registers.of(bit);
      f.set(register!.local);
    }
    const shape = analyseShape(first!.instructions, 0, group.dialect, false);
    const entry = { members: group.members, pc: 0, registers, known, picked: [], exit };
    emitBody(this.#target, shape, entry, (verdict) => this.#leafVerdict(verdict));
    pool.returnRegisters(registers);
    f.end(exit);
  }

  /** A `ret` in a leaf: notes a match for each member that none of the tests on the way has picked. */
  #leafVerdict({ members, pc, registers, picked, exit }: Verdict): void {
    const { f } = this.#target;
    for (const member of members) {
      const { code, k } = member.instructions[pc]!;
      const isConstant = code === (BPF_RET | BPF_K);
      if (isConstant && k === 0) continue;
      const skip = f.block();
      for (const { local, constantOf } of picked) {
        f.get(local);
        f.i64(constantOf(member));
        f.op(OP.i64Eq);
        f.brIf(skip);
      }
      if (!isConstant) {
        f.get(registers.a);
        f.op(OP.i32Eqz);
        f.brIf(skip);
      }
      this.emitMatches(member.indices, () => (isConstant ? f.i32(k) : f.get(registers.a)));
      f.end(skip);
    }
    f.br(exit);
  }
}
