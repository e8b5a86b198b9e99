/** `taplab verify`: measures whether the links of a lab do on this machine what the lab file says. */
import { Command } from 'commander';
import type { Check } from '../../verify/verdict.ts';
import type { DirectionVerdict } from '../../verify/verify.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../errors.ts';
import { si } from '../format.ts';
import { readLabFile } from '../lab-file.ts';
import { type Cell, numbers, table, texts } from '../table.ts';
import type { Terminal } from '../terminal.ts';

type Options = { readonly seconds: number; readonly json?: true };

export function verifyCommand(context: Context): Command {
  return new Command('verify')
    .summary("measure whether a lab's links do what they say")
    .description(
      "Sends probes through all links of a lab in real time, and compares what became of them with what the same links do on a virtual clock, where nothing is late: delay, jitter, loss and rate of each direction. Exits with status 1 when a link does not do what it says on this machine. The links run in this process, on sockets in place of the lab's devices: no node is disturbed, no privilege is needed, and the lab need not be up.",
    )
    .argument('<lab.yaml>', 'lab file')
    .option(
      '--seconds <n>',
      'how long to send probes, besides a second of full load',
      wholeNumber(1, 3600),
      3,
    )
    .addOption(jsonOption('print every direction and check as JSON'))
    .addHelpText(
      'after',
      `
docs/verify.md says what is measured, what is not, and what is tolerated.

Examples:
  $ taplab verify wan.yaml
  $ taplab verify wan.yaml --seconds 20 --json | jq '.directions[] | select(.ok != true)'`,
    )
    .action((labFile: string, options: Options) => run(context, labFile, options));
}

async function run(context: Context, labFile: string, { seconds, json }: Options): Promise<void> {
  const { verify } = await import('../../verify/verify.ts');
  const { terminal } = context;
  const lab = await readLabFile(labFile);
  const directions = await verify(lab, seconds);
  const ok = directions.every((each) => each.ok === true);
  if (json) terminal.printJson({ lab: lab.name, seconds, ok, directions });
  else print(terminal, directions);
  if (!ok) context.exitStatus = EXIT_FAILURE;
}

function print(terminal: Terminal, directions: readonly DirectionVerdict[]): void {
  for (const { link, direction, impairment, note } of directions) {
    terminal.print(`${link} ${direction}: ${impairment}${note === undefined ? '' : ` (${note})`}`);
  }
  const rows = directions.flatMap(({ link, direction, checks }) =>
    checks.map((check): Cell[] => [
      link,
      direction,
      check.what,
      shown(check, check.requested),
      shown(check, check.achieved),
      `± ${shown(check, check.tolerance)}`,
      check.ok ? { text: 'ok', color: 'green' } : { text: 'FAILED', color: 'red' },
    ]),
  );
  if (rows.length === 0) return;
  const columns = [
    ...texts('LINK', 'DIRECTION', 'WHAT'),
    ...numbers('REQUESTED', 'ACHIEVED', 'TOLERANCE'),
    ...texts('VERDICT'),
  ];
  terminal.print('');
  for (const line of table(terminal, columns, rows)) terminal.print(line);
}

function shown({ unit }: Check, value: number): string {
  if (unit === 'ns') return `${(value / 1e6).toFixed(3)} ms`;
  return unit === 'probability' ? `${(value * 100).toFixed(2)} %` : si(value, 'bit/s');
}
