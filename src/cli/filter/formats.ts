/** The forms in which `taplab filter compile` gives a program out. Pure. */
import type { LinkType } from '../../../vm/compiler/index.ts';
import { disassemble, encodeWasm, type Program } from '../../../vm/index.ts';
import { CliError } from '../errors.ts';
import { cSource } from './c-source.ts';

export const PROGRAM_FORMATS = ['asm', 'd', 'ddd', 'dd', 'json', 'wasm', 'c'] as const;
export type ProgramFormat = (typeof PROGRAM_FORMATS)[number];

/** A program and where it comes from. */
export type CompiledFilter = {
  readonly program: Program;
  /** The expression, or the name of the ready-made filter or file. */
  readonly title: string;
  /** For which frames; undefined for a program whose file does not say. */
  readonly linkType: LinkType | undefined;
};

/** The program in a format: bytes for `wasm`, text that ends with a newline for all others. */
export function render(compiled: CompiledFilter, format: ProgramFormat): string | Uint8Array {
  const { program } = compiled;
  switch (format) {
    case 'asm':
      return `${heading(compiled)}${disassemble(program, 'asm')}`;
    case 'd':
      return listing(compiled);
    case 'dd':
    case 'ddd':
      return disassemble(program, format);
    case 'json':
      return `${JSON.stringify({
        linkType: compiled.linkType?.name ?? null,
        dialect: program.dialect,
        instructions: program.instructions,
      })}\n`;
    case 'wasm':
      // The help of `filter compile` says where metadata lie.
      return encodeWasm(program, { shared: false, metadataOffset: 0 });
    case 'c':
      return cSource(compiled);
  }
}

/** Comments that say what the program is; bpf_asm source is kept in files. */
function heading({ program, title, linkType }: CompiledFilter): string {
  const frames = linkType === undefined ? '' : `link type ${linkType.name}, `;
  return `; ${oneLine(title) || 'every packet'}\n; ${frames}dialect ${program.dialect}\n\n`;
}

function listing({ program, title }: CompiledFilter): string {
  try {
    return disassemble(program, 'd');
  } catch (error) {
    // The bsd dialect takes opcodes with bits that mean nothing and that a listing cannot show.
    if (!(error instanceof TypeError)) throw error;
    throw new CliError(`${title}: ${error.message}, so it cannot be listed; use --format asm`);
  }
}

/** Text without what would end a comment's line. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}
