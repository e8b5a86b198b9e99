/** `taplab filter explain`: a program with a comment on every instruction. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { explain } from '../../../vm/compiler/index.ts';
import { PACKAGE_ROOT } from '../../package.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { addCompileOptions, type CompileOptions, linkTypeOf, settingsFor } from '../filter/options.ts';
import { asExpressionError, type FilterSource, readFilter, readyProgram } from '../filter/source.ts';

export function filterExplainCommand(context: Context): Command {
  const command = new Command('explain')
    .summary('show what each instruction of a filter is for')
    .description(
      'Compiles an expression and prints the program, each instruction with what it tests and the part of the expression it belongs to. Of a ready-made filter it prints the commented source.',
    )
    .argument('<filter...>', 'expression, or @name of a ready-made filter');
  return addCompileOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ taplab filter explain 'host 198.18.0.1 and not port 22'
  $ taplab filter explain vlan and ip --no-optimize
  $ taplab filter explain @tcp-syn`,
    )
    .action(async (words: string[], options: CompileOptions) => {
      context.terminal.out.write(explanation(await readFilter(words), options));
    });
}

function explanation(source: FilterSource, options: CompileOptions): string {
  const { text, name, resolver } = source;
  if (source.kind === 'program') {
    throw new CliError(
      `${name} is a program, and nothing says what its instructions are for; \`taplab filter compile --format d\` lists it`,
    );
  }
  const settings = settingsFor(source, options);
  const linkType = linkTypeOf(options);
  if (source.kind === 'ready') {
    readyProgram(text, linkType.number, settings.dialect);
    return readFileSync(join(PACKAGE_ROOT, 'filters', `${text.slice(1)}.bpf`), 'utf8');
  }
  try {
    return explain(text, { ...settings, linkType: linkType.name, resolver });
  } catch (error) {
    throw asExpressionError(error, text, settings.dialect);
  }
}
