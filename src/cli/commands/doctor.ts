/** `taplab doctor`: what this system allows, and what to do about the rest. */
import { Command } from 'commander';
import type { Check } from '../../lab/doctor.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../errors.ts';
import type { Color, Terminal } from '../terminal.ts';

const COLORS: Readonly<Record<Check['status'], Color>> = { ok: 'green', warn: 'yellow', fail: 'red' };

export function doctorCommand(context: Context): Command {
  return new Command('doctor')
    .summary('check what this system allows')
    .description(
      'Checks TUN, namespaces, rights and Node, and says what to do about each. Exit status 1 when a lab on kernel devices cannot work.',
    )
    .addOption(jsonOption('print the checks as JSON'))
    .action(async ({ json }: { json?: true }) => {
      const { diagnose } = await import('../../lab/doctor.ts');
      const checks = await diagnose();
      if (json) context.terminal.printJson(checks);
      else printChecks(context.terminal, checks);
      if (checks.some((check) => check.status === 'fail')) context.exitStatus = EXIT_FAILURE;
    });
}

function printChecks(terminal: Terminal, checks: readonly Check[]): void {
  const width = Math.max(...checks.map((check) => check.name.length));
  for (const { name, status, detail, advice } of checks) {
    terminal.print(`${terminal.paint(COLORS[status], status.padEnd(4))}  ${name.padEnd(width)}  ${detail}`);
    if (advice !== undefined) terminal.print(`${' '.repeat(width + 8)}→ ${advice}`);
  }
}
