/** `taplab filter check`: whether filters are right, for scripts and CI. */
import { Command } from 'commander';
import type { LinkType } from '../../../vm/compiler/index.ts';
import type { Dialect } from '../../../vm/index.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_FAILURE, EXIT_USAGE } from '../errors.ts';
import {
  type CheckRules,
  checkExpression,
  checkFile,
  describeFinding,
  type Finding,
} from '../filter/check.ts';
import { dialectOption, linkTypeOf, linkTypeOption } from '../filter/options.ts';

type Options = {
  readonly expression?: readonly string[];
  readonly linkType?: LinkType;
  readonly dialect?: Dialect;
  readonly json?: true;
};

export function filterCheckCommand(context: Context): Command {
  return new Command('check')
    .summary('check programs and expressions')
    .description(
      'Checks files with programs (tcpdump -d, -dd or -ddd output, or bpf_asm source), - for stdin, and expressions with --expression. Says OK, or what is wrong and where. Exit status 1 when any is bad.',
    )
    .argument('[file...]', 'program files')
    .option('-e, --expression <expression...>', 'expressions, each quoted')
    .addOption(linkTypeOption())
    .addOption(dialectOption())
    .addOption(jsonOption('print the findings as JSON'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab filter check filters/*.bpf
  $ taplab filter check --expression 'tcp port 80' 'udp portrange 5000-5100'
  $ tcpdump -ddd tcp port 80 | taplab filter check -`,
    )
    .action(async (files: string[], options: Options) => {
      const findings = await check(files, options);
      if (options.json) context.terminal.printJson(findings);
      else for (const found of findings) context.terminal.print(describeFinding(found));
      if (findings.some(({ ok }) => !ok)) context.exitStatus = EXIT_FAILURE;
    });
}

async function check(files: readonly string[], options: Options): Promise<Finding[]> {
  const { expression: expressions = [], dialect = 'bsd' } = options;
  if (files.length + expressions.length === 0) {
    throw new CliError(
      'there is nothing to check: name a file, or an expression with --expression',
      EXIT_USAGE,
    );
  }
  const rules: CheckRules = { linkType: linkTypeOf(options), dialect };
  const findings: Finding[] = [];
  for (const path of files) findings.push(await checkFile(path, rules));
  for (const each of expressions) findings.push(await checkExpression(each, rules));
  return findings;
}
