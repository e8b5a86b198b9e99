/**
 * Fused matching: one WebAssembly function for all filters of an interface, whose cost per packet grows far more
 * slowly than the number of filters.
 *
 * Two ways of sharing, both exact. Tests that programs begin with are merged into a decision tree (fusion/trie.ts),
 * so that an EtherType is loaded and dispatched on once for all. Where programs then differ only in constants, as
 * `tcp port 80` and `tcp port 443` do, they run as one, and a table looks up whose constant it was (wasm/body.ts).
 * Programs that fit neither run one after the other inside the same function. The idea is that of MPF, PathFinder
 * and BPF+.
 */

import { type FusedMatcher, instantiateFused, MATCH_BYTES } from './fused.ts';
import { TreeEmitter } from './fusion/emit-tree.ts';
import { ExpressionTable } from './fusion/expression.ts';
import { buildTrie, type Subject } from './fusion/trie.ts';
import { META_RANDOM_STATE, SKF_AD_OFF } from './metadata.ts';
import type { Program } from './program.ts';
import { isAncillary } from './wasm/flow.ts';
import { FunctionBuilder, I32, OP } from './wasm/function-builder.ts';
import { Helpers } from './wasm/helpers.ts';
import { encodeModule, isShared } from './wasm/module.ts';
import { LocalPool } from './wasm/registers.ts';
import { buildProgramFunction, type CompileWasmOptions } from './wasm.ts';

/** Instructions of all programs together beyond which fusing is refused. */
const MAXIMUM_INSTRUCTIONS = 200_000;
/** Bytes of code in one function that every engine takes (V8's limit is 7,654,321). */
const MAXIMUM_CODE_BYTES = 7_000_000;

/**
 * The WebAssembly module of all programs: imports the memory `e.m`, exports `matchAll`. It can be made, and
 * compiled, in another thread than the one that runs it.
 *
 * @throws RangeError when the programs are too large together: run them one by one; TypeError when one reads metadata
 *   and `metadataOffset` is missing
 */
export function encodeFused(
  programs: readonly Program[],
  options: { readonly shared: boolean; readonly metadataOffset?: number | undefined },
): Uint8Array<ArrayBuffer> {
  fusedLength(programs);
  const helpers = new Helpers(options.metadataOffset);
  const builder = buildFusedFunction(programs, helpers);
  if (builder.size > MAXIMUM_CODE_BYTES) {
    throw new RangeError(`fusing ${programs.length} programs takes ${builder.size} bytes of code, too many`);
  }
  const main = { builder, parameters: 4, results: 1, exportName: 'matchAll' } as const;
  return encodeModule([main, ...helpers.functions], options.shared);
}

/**
 * The instructions of all programs together; what would send them to another thread asks before it packs them.
 *
 * @throws RangeError when they are too many
 */
export function fusedLength(programs: readonly Program[]): number {
  const size = programs.reduce((sum, { length }) => sum + length, 0);
  if (size <= MAXIMUM_INSTRUCTIONS) return size;
  throw new RangeError(`${size} instructions are too many to fuse (at most ${MAXIMUM_INSTRUCTIONS})`);
}

/**
 * Compiles all programs into one matcher for packets in `memory`. The filters' indices are their places in
 * `programs`.
 *
 * @throws RangeError when the programs are too large together: run them one by one; TypeError when one reads metadata
 *   and `metadataOffset` is missing
 */
export function compileFused(programs: readonly Program[], options: CompileWasmOptions): FusedMatcher {
  const { memory, metadataOffset } = options;
  return instantiateFused(encodeFused(programs, { shared: isShared(memory), metadataOffset }), memory);
}

function buildFusedFunction(programs: readonly Program[], helpers: Helpers): FunctionBuilder {
  const f = new FunctionBuilder(4);
  const resultOffset = 3;
  const out = f.local(I32);
  const packet = { offset: 0, wireLength: 1, bufferLength: 2 };
  const target = { f, packet, pool: new LocalPool(f), helpers };
  const table = new ExpressionTable();
  const emitter = new TreeEmitter(target, table, out);
  f.get(resultOffset);
  f.set(out);
  const subjects = distinct(programs);
  const mergeable = subjects.filter(({ program }) => !mustRunAlone(program));
  emitter.emit(buildTrie(table, mergeable));
  for (const subject of subjects)
    if (mustRunAlone(subject.program)) emitCall(target.pool, f, helpers, emitter, subject);
  f.get(out);
  f.get(resultOffset);
  f.op(OP.i32Sub);
  f.i32(Math.log2(MATCH_BYTES));
  f.op(OP.i32ShrU);
  return f;
}

/** Programs, each once, with the indices at which they occur. */
function distinct(programs: readonly Program[]): Subject[] {
  const subjects = new Map<string, { program: Program; indices: number[] }>();
  for (const [index, program] of programs.entries()) {
    const key = `${program.dialect},${program.hasBackwardJumps},${program.words.join()}`;
    const subject = subjects.get(key);
    if (subject === undefined) subjects.set(key, { program, indices: [index] });
    else if (drawsRandom(program)) subjects.set(`${key},${index}`, { program, indices: [index] });
    else subject.indices.push(index);
  }
  return [...subjects.values()];
}

/** Loops cannot be merged; and every program draws its own random numbers, so none may share them. */
function mustRunAlone(program: Program): boolean {
  return program.hasBackwardJumps || drawsRandom(program);
}

function drawsRandom({ dialect, instructions }: Program): boolean {
  if (dialect !== 'linux') return false;
  return instructions.some(
    (instruction) => isAncillary(instruction) && (instruction.k - SKF_AD_OFF) / 4 === META_RANDOM_STATE,
  );
}

/** Runs one program as a function of its own. */
function emitCall(
  pool: LocalPool,
  f: FunctionBuilder,
  helpers: Helpers,
  emitter: TreeEmitter,
  { program, indices }: Subject,
): void {
  const index = helpers.add(buildProgramFunction(program, helpers), 3);
  const verdict = pool.takeI32();
  for (const parameter of [0, 1, 2]) f.get(parameter);
  f.call(index);
  f.tee(verdict);
  const matched = f.if();
  emitter.emitMatches(indices, () => f.get(verdict));
  f.end(matched);
  pool.returnI32(verdict);
}
