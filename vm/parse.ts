/**
 * Reads a program from text in any of the forms in which classic BPF programs are passed around: `tcpdump -ddd`
 * (decimal, also the comma-separated one-line form of bpf_asm and iptables), `tcpdump -dd` (C initialisers),
 * `tcpdump -d` (the listing), and bpf_asm source. The form is recognised from the first significant line.
 */

import { assemble } from './assemble.ts';
import { BPF_A, BPF_JA, BPF_JMP, BPF_RET, type Dialect, type Instruction } from './instruction.ts';
import { TokenReader, tokenize } from './lexer.ts';
import { CONDITIONAL_JUMPS } from './mnemonics.ts';
import { parseOperand, parseOperation } from './operands.ts';
import { Program, type ProgramOptions } from './program.ts';
import { ProgramSyntaxError } from './syntax-error.ts';

/**
 * Parses and validates a program.
 *
 * @throws ProgramSyntaxError with line and column for text that cannot be read
 * @throws InvalidProgramError for a program its dialect's validator refuses
 */
export function parseProgram(text: string, options: ProgramOptions = {}): Program {
  const first = significantLines(text)[0];
  if (first === undefined) throw new ProgramSyntaxError(1, 1, 'expected a program, found empty text');
  if (/^\(\d+\)/.test(first.text)) return Program.from(parseListing(text, options.dialect ?? 'bsd'), options);
  if (first.text.startsWith('{')) return Program.from(parseInitialisers(text), options);
  if (/^\d+\s*(,|$)/.test(first.text)) return Program.from(parseDecimal(text), options);
  return assemble(text, options);
}

type Line = { readonly text: string; readonly line: number; readonly column: number };

/** Lines that hold more than blanks and a comment, trimmed. */
function significantLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const trimmed = raw.trim();
    if (trimmed === '' || trimmed.startsWith(';') || trimmed.startsWith('#')) continue;
    lines.push({ text: trimmed, line: index + 1, column: raw.indexOf(trimmed) + 1 });
  }
  return lines;
}

/** `tcpdump -ddd`: the count, then `code jt jf k` a line, or the same separated by commas on one line. */
function parseDecimal(text: string): Instruction[] {
  const rows = significantLines(text).flatMap((line) => splitAt(line, /,/g));
  const [head, ...body] = rows;
  const count = Number(head!.text);
  const instructions = body
    .filter((row) => row.text !== '')
    .map((row) => fields(row, /^(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$/, "four decimal numbers 'code jt jf k'"));
  if (instructions.length !== count) {
    const { line, column } = head!;
    throw new ProgramSyntaxError(line, column, `the count says ${count}, but ${instructions.length} follow`);
  }
  return instructions;
}

/** `tcpdump -dd`: `{ 0x28, 0, 0, 0x0000000c },` a line. */
function parseInitialisers(text: string): Instruction[] {
  const number = '(0[xX][0-9a-fA-F]+|\\d+)';
  const row = new RegExp(`^\\{\\s*${[number, number, number, number].join('\\s*,\\s*')}\\s*\\}$`);
  return significantLines(text)
    .flatMap((line) => splitAt(line, /(?<=\})\s*,?/g))
    .filter((line) => line.text !== '')
    .map((line) => fields(line, row, "'{ code, jt, jf, k },'"));
}

/** The parts of a line between separators, each with its own column. */
function splitAt({ text, line, column }: Line, separator: RegExp): Line[] {
  const parts: Line[] = [];
  let start = 0;
  const push = (end: number): void => {
    const raw = text.slice(start, end);
    parts.push({ text: raw.trim(), line, column: column + start + (raw.length - raw.trimStart().length) });
  };
  for (const match of text.matchAll(separator)) {
    push(match.index);
    start = match.index + match[0].length;
  }
  push(text.length);
  return parts;
}

function fields({ text, line, column }: Line, row: RegExp, expected: string): Instruction {
  const match = row.exec(text);
  if (match === null) throw new ProgramSyntaxError(line, column, `expected ${expected}, found '${text}'`);
  const [code, jt, jf, k] = match.slice(1).map(Number);
  return { code: code!, jt: jt!, jf: jf!, k: k! };
}

const LISTING_ROW = /^\((?<index>\d+)\)\s*(?<operation>.*?)(?:\s+jt\s+(?<jt>\d+)\s+jf\s+(?<jf>\d+))?$/;

/** `tcpdump -d`: `(001) jeq      #0x800           jt 2	jf 5`; jump targets are instruction numbers. */
function parseListing(text: string, dialect: Dialect): Instruction[] {
  return significantLines(text).map((row, pc) => {
    const groups = LISTING_ROW.exec(row.text)?.groups;
    if (groups === undefined || Number(groups.index) !== pc) {
      const number = String(pc).padStart(3, '0');
      throw new ProgramSyntaxError(row.line, row.column, `expected '(${number})' and an instruction`);
    }
    const operation = groups.operation!;
    const column = row.column + row.text.indexOf(operation, groups.index!.length + 2);
    const reader = new TokenReader(tokenize(operation, row.line, column));
    const instruction = listedInstruction(reader, pc, groups.jt, groups.jf, dialect);
    if (reader.peek().kind !== 'end') reader.fail('the end of the line');
    return instruction;
  });
}

function listedInstruction(
  reader: TokenReader,
  pc: number,
  jt: string | undefined,
  jf: string | undefined,
  dialect: Dialect,
): Instruction {
  const mnemonic = reader.peek();
  const conditional = CONDITIONAL_JUMPS.get(mnemonic.text);
  if (conditional !== undefined && !conditional.negated) {
    reader.take();
    const { source, k } = parseOperand(reader);
    if (jt === undefined || jf === undefined) reader.fail("'jt' and 'jf' with instruction numbers");
    return { code: conditional.code | source, jt: Number(jt) - pc - 1, jf: Number(jf) - pc - 1, k };
  }
  if (jt !== undefined) {
    throw new ProgramSyntaxError(mnemonic.line, mnemonic.column, `'${mnemonic.text}' takes no jt and jf`);
  }
  if (reader.accept('ja'))
    return { code: BPF_JMP | BPF_JA, jt: 0, jf: 0, k: (reader.number() - pc - 1) >>> 0 };
  // libpcap prints RET A as `ret` alone.
  if (mnemonic.text === 'ret' && reader.peek(1).kind === 'end') {
    reader.take();
    return { code: BPF_RET | BPF_A, jt: 0, jf: 0, k: 0 };
  }
  const { code, k } = parseOperation(reader, dialect);
  return { code, jt: 0, jf: 0, k };
}
