/**
 * Groups the leaves of a tree node that can run as one: programs whose rest has the same shape, that is, the same
 * instructions but for the constants of `jeq #k` and `ret #k`, entered with the same values in the registers that
 * matter.
 */

import { BPF_JEQ, BPF_JMP, BPF_K, BPF_RET, type Instruction } from '../instruction.ts';
import type { Program } from '../program.ts';
import type { Member } from '../wasm/body.ts';
import { BIT_A, BIT_X, liveRegisters, reachableFrom } from '../wasm/flow.ts';
import { ZERO } from './expression.ts';
import type { State } from './symbolic.ts';
import type { Leaf } from './trie.ts';

/** Programs to run as one. Their instructions begin at the leaf. */
export type LeafGroup = {
  readonly members: readonly Member[];
  readonly dialect: Program['dialect'];
  /** The registers that are read, by their bits (see flow.ts), and the expressions they start with. */
  readonly inputs: ReadonlyMap<number, number>;
};

/** Instructions that the code of one group may come to before its programs are compiled one by one instead. */
const GROUP_BUDGET = 50_000;

/** The leaves, grouped. */
export function groupLeaves(leaves: readonly Leaf[]): LeafGroup[] {
  const groups = new Map<string, LeafGroup & { members: Member[] }>();
  for (const { subject, state } of leaves) {
    const { program, indices } = subject;
    const instructions = program.instructions.slice(state.pc);
    const inputs = liveInputs(instructions, state);
    const key = shapeKey(instructions, inputs, program.dialect);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { members: [{ instructions, indices }], dialect: program.dialect, inputs });
    } else group.members.push({ instructions, indices });
  }
  return [...groups.values()].flatMap((group) => {
    if (codeCost(group.members, 0, GROUP_BUDGET) <= GROUP_BUDGET) return [group];
    return group.members.map((member) => ({ ...group, members: [member] }));
  });
}

function liveInputs(instructions: readonly Instruction[], state: State): Map<number, number> {
  const live = liveRegisters(instructions)[0]!;
  const inputs = new Map<number, number>();
  if ((live & BIT_A) !== 0) inputs.set(BIT_A, state.a);
  if ((live & BIT_X) !== 0) inputs.set(BIT_X, state.x);
  for (let k = 0; k < 16; k++) {
    if (((live >> k) & 1) === 1) inputs.set(1 << k, state.scratch.get(k) ?? ZERO);
  }
  return inputs;
}

function shapeKey(
  instructions: readonly Instruction[],
  inputs: ReadonlyMap<number, number>,
  dialect: string,
): string {
  const parts: (string | number)[] = [dialect];
  for (const [bit, expression] of inputs) parts.push(`${bit}=${expression}`);
  for (const pc of reachableFrom(instructions, 0)) {
    const { code, jt, jf, k } = instructions[pc]!;
    const varies = code === (BPF_JMP | BPF_JEQ | BPF_K) || code === (BPF_RET | BPF_K);
    parts.push(pc, code, jt, jf, varies ? '*' : k);
  }
  return parts.join();
}

/** Instructions that compiling the members from `pc` on as one emits; stops counting beyond `limit`. */
function codeCost(members: readonly Member[], pc: number, limit: number): number {
  const { instructions } = members[0]!;
  const reachable = reachableFrom(instructions, pc);
  let cost = reachable.length;
  if (members.length === 1) return cost;
  for (const at of reachable) {
    const { code, k, jt } = instructions[at]!;
    if (code !== (BPF_JMP | BPF_JEQ | BPF_K)) continue;
    if (members.every((member) => member.instructions[at]!.k === k)) continue;
    const branches = new Map<number, Member[]>();
    for (const member of members) {
      const constant = member.instructions[at]!.k;
      const branch = branches.get(constant);
      if (branch === undefined) branches.set(constant, [member]);
      else branch.push(member);
    }
    for (const branch of branches.values()) {
      cost += codeCost(branch, at + 1 + jt, limit - cost);
      if (cost > limit) return cost;
    }
  }
  return cost;
}
