/**
 * taplab/vm: classic BPF programs for JavaScript. Pure: no I/O, nothing from Node, runs in a browser.
 *
 *     import { compileFilter, createMatcher } from 'taplab/vm';
 *     const program = compileFilter('tcp port 80'); // pcap-filter(7); parseProgram() reads `tcpdump -ddd`, bpf_asm
 *     const match = createMatcher(program);
 *     const snapLength = match(packet);           // 0: rejected
 */

export { assemble } from './assemble.ts';
export { BATCH_VERDICT, BATCH_WORDS, type BatchMatcher, compileBatch } from './batch.ts';
export {
  type CompileOptions,
  compileFilter,
  DEFAULT_SNAP_LENGTH,
  explain,
  FilterSyntaxError,
  LINK_TYPES,
  type LinkType,
  type LinkTypeName,
  linkTypeByName,
  linkTypeByNumber,
  type Resolver,
  type ServicePorts,
  type Transport,
} from './compiler/index.ts';
export { type DisassemblyStyle, disassemble } from './disassemble.ts';
export { compileFused, encodeFused, fusedLength } from './fuse.ts';
export { type FusedMatcher, instantiateFused, MATCH_BYTES } from './fused.ts';
export type { Dialect, Instruction } from './instruction.ts';
export { interpret } from './interpreter.ts';
export { createMatcher, type Engine, type Matcher } from './matcher.ts';
export { type FrameMetadata, METADATA_WORDS, packMetadata } from './metadata.ts';
export { parseProgram } from './parse.ts';
export { InvalidProgramError, Program, type ProgramOptions, WORDS_PER_INSTRUCTION } from './program.ts';
export { ACCEPT_ALL, REWIND_LIMIT, runProgram } from './run-program.ts';
export { ProgramSyntaxError } from './syntax-error.ts';
export type { MemoryLike, ModuleLike } from './wasm/module.ts';
export { type CompiledProgram, type CompileWasmOptions, compileWasm, encodeWasm } from './wasm.ts';
