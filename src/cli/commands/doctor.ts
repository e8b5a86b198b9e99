/** `taplab doctor`: what this system allows, and what to do about the rest. */
import { Command, Option } from 'commander';
import { type Check, PURPOSES, type Purpose } from '../../lab/doctor.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../errors.ts';
import type { Color, Terminal } from '../terminal.ts';

const COLORS: Readonly<Record<Check['status'], Color>> = { ok: 'green', warn: 'yellow', fail: 'red' };

const MEANING: Readonly<Record<Purpose, string>> = {
  up: 'taplab up, with nodes that it makes',
  'up-joined': 'taplab up, with nodes that join',
  join: 'taplab join',
};

type DoctorOptions = { readonly for?: Purpose; readonly json?: true };

export function doctorCommand(context: Context): Command {
  return new Command('doctor')
    .summary('check what this system allows')
    .description(
      'Checks TUN, namespaces, rights, sockets and Node, here or in a container, and says what to do about each. Exit status 1 when a lab on kernel devices cannot work, or with --for when that cannot.',
    )
    .addOption(
      new Option(
        '--for <what>',
        'only what that needs: up (nodes that taplab makes), up-joined (nodes that join), join (being one)',
      ).choices(PURPOSES),
    )
    .addOption(jsonOption('print the checks as JSON'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab doctor
  $ docker compose run --rm client doctor --for join
  $ taplab doctor --json | jq '.[] | select(.blocks[] == "join")'`,
    )
    .action(async ({ for: purpose, json }: DoctorOptions) => {
      const { diagnose } = await import('../../lab/doctor.ts');
      const checks = await diagnose({ purpose, controlSocket: context.socketPath });
      if (json) context.terminal.printJson(checks);
      else {
        printChecks(context.terminal, checks);
        printVerdicts(context.terminal, checks, purpose);
      }
      if (checks.some((check) => check.status === 'fail')) context.exitStatus = EXIT_FAILURE;
    });
}

function printChecks(terminal: Terminal, checks: readonly Check[]): void {
  const width = Math.max(...checks.map((check) => check.name.length));
  for (const { name, status, detail, advice } of checks) {
    terminal.print(`${terminal.paint(COLORS[status], status.padEnd(4))}  ${name.padEnd(width)}  ${detail}`);
    if (advice !== undefined && status !== 'ok') terminal.print(`${' '.repeat(width + 8)}→ ${advice}`);
  }
}

function printVerdicts(terminal: Terminal, checks: readonly Check[], asked: Purpose | undefined): void {
  const width = Math.max(...Object.values(MEANING).map((text) => text.length));
  terminal.print('');
  for (const purpose of asked === undefined ? PURPOSES : [asked]) {
    const missing = checks.filter(({ blocks }) => blocks.includes(purpose)).map(({ name }) => name);
    const verdict = missing.length === 0 ? 'works here' : `does not work here: ${missing.join(', ')}`;
    terminal.print(`${MEANING[purpose].padEnd(width)}  ${verdict}`);
  }
}
