/** Whether programs and expressions are right, and where not. Findings are data: nothing here throws for a bad one. */
import { readFileSync, statSync } from 'node:fs';
import { compileFilter, FilterSyntaxError, type LinkType } from '../../../vm/compiler/index.ts';
import {
  type Dialect,
  InvalidProgramError,
  type Program,
  ProgramSyntaxError,
  parseProgram,
} from '../../../vm/index.ts';
import { CliError } from '../errors.ts';
import { plural } from '../format.ts';
import { pointAt } from './caret.ts';
import { resolverFor } from './host-lookup.ts';
import { advice, readyProgram } from './source.ts';

/** One thing that was checked. Where it is bad, `reason` says why, and the other members where, as far as is known. */
export type Finding = {
  /** The file as it was named, or the expression. */
  readonly subject: string;
  readonly kind: 'file' | 'expression';
  readonly ok: boolean;
  /** Number of instructions of a good one. */
  readonly instructions?: number;
  /** Of a good one that not everybody takes: who does not. */
  readonly note?: string;
  /** Of the text, from 1. */
  readonly line?: number;
  readonly column?: number;
  /** The instruction that the validator refuses, from 0. */
  readonly pc?: number;
  readonly reason?: string;
};

/** What expressions and programs are checked against. */
export type CheckRules = { readonly linkType: LinkType; readonly dialect: Dialect };

const MAX_PROGRAM_BYTES = 1_000_000;
const ETHERNET = 1;
const STDIN = '-';
const BACKWARD_JUMPS = 'it jumps backwards: taplab runs it, but no kernel takes it';

/** Checks a file, standard input as `-`, or a ready-made filter as `@name`. */
export async function checkFile(path: string, { dialect }: CheckRules): Promise<Finding> {
  return finding(path, 'file', async () => {
    if (path.startsWith('@')) return readyProgram(path, ETHERNET, dialect);
    const text = await readText(path);
    try {
      // What libpcap makes of `protochain` goes back.
      return parseProgram(text, { dialect, backwardJumps: dialect === 'bsd' });
    } catch (error) {
      if (!(error instanceof ProgramSyntaxError)) throw error;
      const { line, column } = error;
      throw new ProgramSyntaxError(line, column, reasonOf(error) + advice(text));
    }
  });
}

/** Checks an expression. */
export async function checkExpression(
  expression: string,
  { linkType, dialect }: CheckRules,
): Promise<Finding> {
  return finding(expression, 'expression', async () => {
    const resolver = await resolverFor(expression);
    return compileFilter(expression, { linkType: linkType.name, dialect, resolver });
  });
}

/** A finding as lines for people; files as editors and terminals make links of. */
export function describeFinding(found: Finding): string {
  const { subject, kind, ok, line, column, pc, reason } = found;
  const name = kind === 'file' ? subject : `'${subject.replace(/\p{Cc}/gu, ' ')}'`;
  if (ok) {
    const note = found.note === undefined ? '' : `; ${found.note}`;
    return `${name}: OK, ${plural(found.instructions ?? 0, 'instruction')}${note}`;
  }
  const place = line === undefined ? '' : kind === 'file' ? `:${line}:${column}` : `:${column}`;
  const instruction = pc === undefined ? '' : `instruction ${pc}: `;
  const caret = kind === 'expression' && column !== undefined ? `\n${pointAt(subject, column - 1)}` : '';
  return `${name}${place}: ${instruction}${reason}${caret}`;
}

async function finding(
  subject: string,
  kind: Finding['kind'],
  program: () => Program | Promise<Program>,
): Promise<Finding> {
  try {
    const { length, hasBackwardJumps } = await program();
    return {
      subject,
      kind,
      ok: true,
      instructions: length,
      ...(hasBackwardJumps && { note: BACKWARD_JUMPS }),
    };
  } catch (error) {
    return { subject, kind, ok: false, ...problem(error) };
  }
}

function problem(error: unknown): Omit<Finding, 'subject' | 'kind' | 'ok'> {
  if (error instanceof ProgramSyntaxError) {
    return { line: error.line, column: error.column, reason: reasonOf(error) };
  }
  if (error instanceof InvalidProgramError) return { pc: error.pc, reason: error.reason };
  if (error instanceof FilterSyntaxError) {
    return { line: 1, column: error.position + 1, reason: error.message };
  }
  if (error instanceof CliError) return { reason: error.message };
  throw error;
}

/** The message without the line and column that it begins with. */
function reasonOf({ message, line, column }: ProgramSyntaxError): string {
  return message.slice(`${line}:${column}: `.length);
}

async function readText(path: string): Promise<string> {
  if (path === STDIN) return readStdin();
  try {
    const status = statSync(path);
    if (status.isDirectory()) throw new CliError('is a folder');
    if (status.size > MAX_PROGRAM_BYTES) throw new CliError('is too large for a program');
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code}`);
  }
}

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY === true) throw new CliError('is a terminal; pipe a program into it');
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_PROGRAM_BYTES) throw new CliError('is too large for a program');
  }
  return Buffer.concat(chunks).toString('utf8');
}
