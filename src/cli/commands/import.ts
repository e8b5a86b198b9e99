/** `taplab import`: lab files from the files of other tools. */
import { writeFileSync } from 'node:fs';
import { Argument, Command } from 'commander';
import { IMPORT_FORMATS, type ImportFormat, importLab } from '../../import/import.ts';
import { describe } from '../../import/write-lab.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { EXIT_USAGE } from '../errors.ts';
import { unwritable } from '../files.ts';

type Options = { readonly output?: string; readonly strict?: true; readonly json?: true };

export function importCommand(context: Context): Command {
  return new Command('import')
    .summary('make a lab file from the files of another tool')
    .description(
      "Makes a lab file of a containerlab topology, of Kathará's lab.conf (or the folder it is in), or of a script of tc-netem(8) commands, and prints it. What the lab cannot have is listed on stderr, with file and line (docs/import.md).",
    )
    .addArgument(new Argument('<format>', 'what the file is').choices(IMPORT_FORMATS))
    .argument('<file>', 'the file')
    .option('-o, --output <lab.yaml>', 'write the lab file there')
    .option('--strict', 'exit status 2 when anything was not taken over')
    .addOption(jsonOption('print the lab, and what was not taken over, as JSON'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab import containerlab clos.clab.yml -o clos.yaml
  $ taplab import kathara static-routing/ -o static-routing.yaml
  $ taplab import netem impair.sh`,
    )
    .action((format: ImportFormat, file: string, { output, strict, json }: Options) => {
      const { terminal } = context;
      const { lab, leftOut } = importLab(format, file);
      if (output !== undefined) write(output, lab);
      if (json) terminal.printJson({ lab, leftOut });
      else if (output === undefined) terminal.out.write(lab);
      if (!json) for (const each of leftOut) terminal.say(`not taken over: ${describe(each)}`);
      if (strict && leftOut.length > 0) context.exitStatus = EXIT_USAGE;
    });
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw unwritable(path, error);
  }
}
