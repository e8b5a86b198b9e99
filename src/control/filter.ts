/**
 * Turns a FILTER, as it is given on the command line, in a lab file or in a request, into a program.
 *
 * A FILTER is text or instructions. Text is one of:
 *   - nothing: every frame
 *   - `@name`: the ready-made filter filters/name.bpf of this package, written for Ethernet
 *   - program text: `tcpdump -ddd`, `-dd` or `-d` output, or bpf_asm source
 *   - anything else: a pcap-filter(7) expression; host names are those of the system's files
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CompileOptions,
  compileFilter,
  FilterSyntaxError,
  linkTypeByNumber,
} from '../../vm/compiler/index.ts';
import { type Instruction, Program, parseProgram } from '../../vm/index.ts';
import { PACKAGE_ROOT } from '../package.ts';
import { didYouMean } from '../text/suggest.ts';
import { SYSTEM_NAMES } from './system-names.ts';

export type ResolvedFilter = {
  /** What is shown as the descriptor's filter: the text as given, or what the program is. */
  readonly label: string;
  readonly program: Program;
};

/** A ready-made filter: its name without `@`, and its one-line purpose. */
export type ReadyFilter = { readonly name: string; readonly purpose: string };

/** A filter that cannot be used here, although its text may be right. */
export class FilterError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FilterError';
  }
}

/** Link type EN10MB of pcap. */
const ETHERNET = 1;
/** A verdict that keeps the whole frame: libpcap's MAXIMUM_SNAPLEN. */
const WHOLE_FRAME = 262_144;
const BPF_RET_K = 0x06;
const FILTER_FOLDER: string = join(PACKAGE_ROOT, 'filters');

/**
 * The program of a FILTER for frames of a link type (1 is EN10MB, 101 is RAW).
 *
 * @throws FilterError for an unknown `@name` and for one on a link type it is not written for
 * @throws FilterSyntaxError for an expression, ProgramSyntaxError for program text that cannot be read
 * @throws InvalidProgramError for a program that the validator refuses
 */
export function resolveFilter(filter: string | readonly Instruction[], linkType: number): ResolvedFilter {
  if (typeof filter !== 'string') return asProgram(Program.from(filter));
  const text = filter.trim();
  if (text === '') {
    return { label: '', program: Program.from([{ code: BPF_RET_K, jt: 0, jf: 0, k: WHOLE_FRAME }]) };
  }
  if (text.startsWith('@')) return { label: text, program: readyFilter(text.slice(1), linkType) };
  if (looksLikeProgram(text)) return resolveProgramText(text);
  return { label: text, program: compileExpression(text, linkType) };
}

/** What is wrong with a FILTER, if anything; `position` counts characters where the filter is an expression. */
export function filterProblem(
  filter: string,
  linkType: number,
): { message: string; position?: number } | undefined {
  try {
    resolveFilter(filter, linkType);
    return undefined;
  } catch (error) {
    if (error instanceof FilterSyntaxError) return { message: error.message, position: error.position };
    return { message: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * The program of text that is known to be a program, not an expression.
 *
 * @throws ProgramSyntaxError, InvalidProgramError
 */
export function resolveProgramText(text: string): ResolvedFilter {
  return asProgram(parseProgram(text));
}

/** The compiler knows link types by name; a number it does not know is an interface taplab does not make. */
function compileExpression(expression: string, linkType: number): Program {
  const known = linkTypeByNumber(linkType);
  if (known === undefined) {
    throw new FilterError(`expressions cannot be compiled for link type ${linkType}; give a program`);
  }
  const settings = { linkType: known.name, resolver: SYSTEM_NAMES };
  try {
    return compileFilter(expression, settings);
  } catch (error) {
    if (!(error instanceof FilterSyntaxError) || !compiles(expression, { ...settings, dialect: 'linux' }))
      throw error;
    throw new FilterSyntaxError(error.position, NO_METADATA);
  }
}

/** For what only the linux dialect has: of no use to say here, where descriptors take the bsd dialect alone. */
const NO_METADATA =
  'the filter of a descriptor sees the frame alone: instead of inbound, outbound and ifindex choose an interface and a ' +
  'direction (`--direction in`; in a request or lab file `direction: in`)';

function compiles(expression: string, settings: CompileOptions): boolean {
  try {
    compileFilter(expression, settings);
    return true;
  } catch {
    return false;
  }
}

function asProgram(program: Program): ResolvedFilter {
  const count = program.length;
  return { label: `program of ${count} instruction${count === 1 ? '' : 's'}`, program };
}

/** Mnemonics with which bpf_asm source can begin. No pcap-filter expression begins with one of these words. */
const FIRST_MNEMONIC =
  /^(?:\w+:\s*)?(?:ld[hbi]?|ldx[bi]?|stx?|jmp|ja|jeq|jneq?|jgt|jge|jlt|jle|jset|ret|tax|txa)(?:\s|$)/;

/** Whether text is a program rather than an expression; decided by its first line that is not a comment. */
export function looksLikeProgram(text: string): boolean {
  const lines = text.split('\n').map((line) => line.trim());
  const first = lines.findIndex((line) => line !== '' && !/^[;#]/.test(line));
  if (first === -1) return true;
  const line = lines[first]!;
  if (/^\d+$/.test(line)) return lines.slice(first + 1).some((next) => next !== '');
  if (/^\w+:\s*(?:;.*)?$/.test(line)) return true;
  return (
    /^\d+\s*,/.test(line) || /^\(\d{3}\)\s/.test(line) || line.startsWith('{') || FIRST_MNEMONIC.test(line)
  );
}

function readyFilter(name: string, linkType: number): Program {
  const known = readyFilters().map((filter) => filter.name);
  if (!known.includes(name)) {
    const names = known.map((each) => `@${each}`);
    const hint = didYouMean(`@${name}`, names);
    throw new FilterError(`there is no ready-made filter "@${name}"${hint}; there are ${names.join(' ')}`);
  }
  if (linkType !== ETHERNET) {
    throw new FilterError(
      `@${name} is written for Ethernet frames, and this interface has link type ${linkType}; ` +
        'give an expression instead, it is compiled for the link type of the interface',
    );
  }
  return parseProgram(readFileSync(join(FILTER_FOLDER, `${name}.bpf`), 'utf8'));
}

/** The ready-made filters of this package, by name. */
export function readyFilters(): ReadyFilter[] {
  return readdirSync(FILTER_FOLDER)
    .filter((file) => file.endsWith('.bpf'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.bpf'.length),
      purpose: purposeOf(readFileSync(join(FILTER_FOLDER, file), 'utf8')),
    }));
}

/** The first line of a filter file is `; name: purpose`. */
function purposeOf(text: string): string {
  return /^;\s*[\w-]+:\s*(.*)/.exec(text)?.[1]?.trim() ?? '';
}
