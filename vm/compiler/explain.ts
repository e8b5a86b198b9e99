/** Prints a compiled expression with a comment on every instruction, in the expression's own terms. */

import { disassemble } from '../disassemble.ts';
import { Program } from '../program.ts';
import { type CompileOptions, compileAnnotated } from './compile.ts';
import type { AnnotatedInstruction } from './linearize.ts';

/** Longest piece of the expression to repeat beside an instruction. */
const LONGEST_QUOTE = 48;

/**
 * Compiles an expression and lists the program as `tcpdump -d` does, each instruction with what it is for and,
 * when the expression has several parts, the part it belongs to.
 *
 *     (000) ldh      [12]                           ; EtherType or 802.3 length
 *     (001) jeq      #0x800          jt 2    jf 4   ; is it IPv4?
 *
 * @throws as `compileFilter` does
 */
export function explain(expression: string, options: CompileOptions = {}): string {
  const instructions = compileAnnotated(expression, options);
  const program = Program.from(instructions, { dialect: options.dialect });
  const listing = disassemble(program, 'd').trimEnd().split('\n').map(alignTargets);
  const codeWidth = Math.max(...listing.map((line) => line.length));
  const parts = new Set(instructions.map((instruction) => partOf(instruction, expression)));
  parts.delete('');
  const noteWidth = Math.max(...instructions.map(({ note }) => note.length));
  const lines = instructions.map((instruction, pc) => {
    const code = listing[pc]!.padEnd(codeWidth);
    const part = parts.size > 1 ? partOf(instruction, expression) : '';
    if (part === '') return `${code}  ; ${instruction.note}`;
    return `${code}  ; ${instruction.note.padEnd(noteWidth)}  | ${part}`;
  });
  return `${lines.join('\n')}\n`;
}

/** The listing separates jump targets by a tab; comments behind them need columns. */
function alignTargets(line: string): string {
  return line.replace(/jt (\d+)\tjf/, (_, target: string) => `jt ${target.padEnd(4)} jf`);
}

/** The text of the expression that an instruction serves, on one line. */
function partOf({ span }: AnnotatedInstruction, expression: string): string {
  if (span === undefined) return '';
  const text = expression.slice(span.start, span.end).replace(/\s+/g, ' ');
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE - 3)}...` : text;
}
