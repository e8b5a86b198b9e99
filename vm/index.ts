/**
 * taplab/vm: classic BPF programs for JavaScript. Pure: no I/O, nothing from Node, runs in a browser.
 *
 *     import { interpret, parseProgram } from 'taplab/vm';
 *     const program = parseProgram(text);              // `tcpdump -ddd` output, a listing, or bpf_asm source
 *     const snapLength = interpret(program, packet);   // 0: rejected
 */

export { assemble } from './assemble.ts';
export { type DisassemblyStyle, disassemble } from './disassemble.ts';
export type { Dialect, Instruction } from './instruction.ts';
export { ACCEPT_ALL, interpret, REWIND_LIMIT, runProgram } from './interpreter.ts';
export { parseProgram } from './parse.ts';
export { InvalidProgramError, Program, type ProgramOptions, WORDS_PER_INSTRUCTION } from './program.ts';
export { ProgramSyntaxError } from './syntax-error.ts';
