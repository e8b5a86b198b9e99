/**
 * What a FILTER on the command line is, and its program for a link type. Nothing here asks a running lab: the
 * `taplab filter` commands work on any system.
 *
 * Every error is a CliError: one that concerns an expression shows the expression with a caret under the place, one
 * that concerns a file begins with the file's name, and its line and column where there are any.
 */
import { existsSync } from 'node:fs';
import { compileFilter, FilterSyntaxError, type LinkType } from '../../../vm/compiler/index.ts';
import {
  type Dialect,
  InvalidProgramError,
  Program,
  ProgramSyntaxError,
  parseProgram,
  type Resolver,
} from '../../../vm/index.ts';
import { FilterError, filterProblem, looksLikeProgram, resolveFilter } from '../../control/filter.ts';
import { filterBody } from '../arguments.ts';
import { CliError } from '../errors.ts';
import { pointAt } from './caret.ts';
import { resolverFor } from './host-lookup.ts';

/** A FILTER as it was given: `text` is the expression, `@name`, or the text of a program; `name` is for messages. */
export type FilterSource = {
  readonly kind: 'expression' | 'ready' | 'program';
  readonly text: string;
  readonly name: string;
  /** What names in it mean. */
  readonly resolver?: Resolver;
};

/** How an expression is compiled; the validator's rules (`dialect`) hold for programs as well. */
export type CompileSettings = {
  readonly dialect?: Dialect | undefined;
  readonly optimize?: boolean | undefined;
  readonly snapLength?: number | undefined;
  readonly netmask?: number | string | undefined;
};

const ETHERNET = 1;

/** The FILTER that words of the command line give. Rejects with CliError for a file that cannot be used. */
export async function readFilter(words: readonly string[]): Promise<FilterSource> {
  const { filter, program } = filterBody(words);
  if (typeof program === 'string') return { kind: 'program', text: program, name: words.join(' ').trim() };
  const text = String(filter);
  if (text.startsWith('@')) return { kind: 'ready', text, name: text };
  // White space alone is the expression that accepts everything.
  if (text !== '' && looksLikeProgram(text)) return { kind: 'program', text, name: 'the program' };
  return { kind: 'expression', text, name: text, resolver: await resolverFor(text) };
}

/**
 * The program of a FILTER for frames of a link type. A program given as such is the same for every link type.
 *
 * @throws CliError
 */
export function compileSource(
  source: FilterSource,
  linkType: LinkType,
  settings: CompileSettings = {},
): Program {
  switch (source.kind) {
    case 'expression':
      return compileExpression(source, linkType, settings);
    case 'ready':
      return readyProgram(source.text, linkType.number, settings.dialect);
    case 'program':
      return programOf(source, settings.dialect);
  }
}

/** A ready-made filter in the rules of a dialect. Throws CliError for an unknown name or another link type. */
export function readyProgram(name: string, linkType: number, dialect: Dialect | undefined): Program {
  try {
    const { program } = resolveFilter(name, linkType);
    return dialect === undefined ? program : Program.from(program.instructions, { dialect });
  } catch (error) {
    if (error instanceof FilterError) throw new CliError(error.message);
    if (error instanceof InvalidProgramError) throw new CliError(invalid(name, error));
    throw error;
  }
}

/**
 * The program of text that is one. It may jump backwards, as what libpcap makes of `protochain` does: the engines
 * here run that, though no kernel takes it. Throws CliError.
 */
export function programOf({ text, name }: FilterSource, dialect?: Dialect): Program {
  try {
    return parseProgram(text, { dialect, backwardJumps: dialect !== 'linux' });
  } catch (error) {
    // The message of a ProgramSyntaxError begins with line and column.
    if (error instanceof ProgramSyntaxError) throw new CliError(`${name}:${error.message}${advice(text)}`);
    if (error instanceof InvalidProgramError) throw new CliError(invalid(name, error));
    throw error;
  }
}

/** What to do about a file that holds an expression, which `tcpdump -F` would take. */
export function advice(text: string): string {
  if (looksLikeProgram(text) || filterProblem(text, ETHERNET) !== undefined) return '';
  return '; this is an expression, not a program: give it in place of the file';
}

function invalid(name: string, { pc, reason }: InvalidProgramError): string {
  return `${name}: instruction ${pc}: ${reason}`;
}

function compileExpression(
  { text, resolver }: FilterSource,
  linkType: LinkType,
  settings: CompileSettings,
): Program {
  try {
    return compileFilter(text, { ...settings, linkType: linkType.name, resolver });
  } catch (error) {
    throw asExpressionError(error, text, settings.dialect);
  }
}

/** Turns what the compiler throws about an expression into a CliError; anything else is a bug and stays itself. */
export function asExpressionError(error: unknown, expression: string, dialect: Dialect = 'bsd'): unknown {
  if (error instanceof InvalidProgramError) {
    return new CliError(
      `the expression compiles to a program that dialect ${dialect} does not take: instruction ${error.pc}: ${error.reason}`,
    );
  }
  if (!(error instanceof FilterSyntaxError)) return error;
  const place = expression === '' ? '' : `\n${pointAt(expression, error.position)}`;
  return new CliError(`${error.message}${place}${fileHint(expression)}`);
}

/** A file whose name does not show that it is one is taken for an expression. */
function fileHint(expression: string): string {
  if (/[\s/]/.test(expression) || !existsSync(expression)) return '';
  return `\n  there is a file of that name: write ./${expression} to use it`;
}
