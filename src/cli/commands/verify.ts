/** `taplab verify`: measures whether the links of a lab do on this machine what the lab file says. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { Command } from 'commander';
import { ControlClient } from '../../control/client.ts';
import { NAME_PATTERN } from '../../lab/names.ts';
import { listLabs } from '../../lab/state.ts';
import type { Check, Verdict } from '../../verify/verdict.ts';
import type { DirectionVerdict, Verification } from '../../verify/verify.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_FAILURE } from '../errors.ts';
import { si } from '../format.ts';
import { readLabFile } from '../lab-file.ts';
import { type Cell, numbers, table, texts } from '../table.ts';
import type { Terminal } from '../terminal.ts';

type Options = {
  readonly seconds: number;
  readonly flood: boolean;
  readonly sockets?: true;
  readonly json?: true;
};

/** No link failed, but something could not be measured. */
const EXIT_NOT_MEASURABLE = 2;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** What a shell reports for a command that was ended by a signal, plus the signal's number. */
const SIGNAL_STATUS = 128;

export function verifyCommand(context: Context): Command {
  return new Command('verify')
    .summary("measure whether a lab's links do what they say")
    .description(
      'Sends probes through all links of a lab, and compares what became of them with what is to become of them: delay, jitter, loss, duplication, reordering and rate of each direction. Of a lab file it brings the links up on devices of their own, and takes them down again. Without one, or given the name of a lab that is up, it measures the links of that lab from the side of its nodes.',
    )
    .argument('[lab]', 'lab file, or the name of a lab that is up; the lab of --socket unless given')
    .option(
      '--seconds <n>',
      'how long to send probes, besides the time to fill links',
      wholeNumber(1, 3600),
      3,
    )
    .option('--no-flood', 'do not fill links: their rates are not measured')
    .option('--sockets', 'of a lab file: on sockets instead of devices, which needs no privilege')
    .addOption(jsonOption('print every direction and check as JSON'))
    .addHelpText(
      'after',
      `
Needs root, except with --sockets. Exit status 1 when a link does not do what it says; 2 when none failed, but
some could not be measured, as on a machine that is too busy.
docs/verify.md says what is measured, what is not, what is tolerated, and what a running lab notices of it.

Examples:
  $ taplab verify wan.yaml
  $ taplab verify                          the lab that is up
  $ taplab verify wan --no-flood           the lab of that name, not filling its links
  $ taplab verify wan.yaml --seconds 20 --json | jq '.directions[] | select(.verdict != "ok")'`,
    )
    .action((lab: string | undefined, options: Options) => run(context, lab, options));
}

async function run(context: Context, lab: string | undefined, options: Options): Promise<void> {
  const { terminal } = context;
  const verification = await measure(context, lab, options);
  const verdicts = verification.directions.map(({ verdict }) => verdict);
  const failed = verdicts.includes('failed');
  const unknown = verdicts.includes('not measurable');
  if (options.json) {
    const { TEST } = await import('../../verify/verdict.ts');
    terminal.printJson({ ok: !failed && !unknown, test: TEST, seconds: options.seconds, ...verification });
  } else print(terminal, verification);
  if (failed) context.exitStatus = EXIT_FAILURE;
  else if (unknown) context.exitStatus = EXIT_NOT_MEASURABLE;
}

/** A signal ends it as soon as nothing of it is left. */
async function measure(context: Context, lab: string | undefined, options: Options): Promise<Verification> {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void =>
    stop.abort(new CliError('interrupted', SIGNAL_STATUS + constants.signals[name]));
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await measureUntil(stop.signal, context, lab, options);
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}

async function measureUntil(
  signal: AbortSignal,
  context: Context,
  lab: string | undefined,
  options: Options,
): Promise<Verification> {
  const { verify } = await import('../../verify/verify.ts');
  const { seconds, flood: floods, sockets } = options;
  const running = runningClient(context, lab);
  if (running !== undefined) {
    if (sockets) throw new CliError('--sockets is for a lab file; a lab that is up has its devices');
    const { runningRig } = await import('../../verify/running-rig.ts');
    try {
      return await verify(await runningRig(running), { seconds, floods }, signal);
    } finally {
      running.close();
    }
  }
  const { onDevices, socketRig } = await import('../../verify/lab-rig.ts');
  const definition = await readLabFile(lab!);
  if (sockets) return verify(socketRig(definition), { seconds, floods }, signal);
  return onDevices(definition, (rig) => verify(rig, { seconds, floods }, signal), signal);
}

/** Undefined when it is a file that was named. */
function runningClient(context: Context, lab: string | undefined): ControlClient | undefined {
  if (lab === undefined) return new ControlClient(context.socketPath);
  if (existsSync(lab)) return undefined;
  const listed = listLabs().find((each) => each.running && each.lab === lab && each.socket !== undefined);
  if (listed !== undefined) return new ControlClient(listed.socket!);
  if (NAME_PATTERN.test(lab)) throw new CliError(`no lab ${lab} is up, and there is no file of that name`);
  return undefined;
}

function print(terminal: Terminal, { directions, schedulerLagP99Ns }: Verification): void {
  for (const { link, direction, impairment, note } of directions) {
    terminal.print(`${link} ${direction}: ${impairment}${note === undefined ? '' : ` (${note})`}`);
  }
  const rows = directions.flatMap((direction) =>
    direction.checks.length === 0
      ? [emptyRow(direction)]
      : direction.checks.map((check) => row(direction, check)),
  );
  if (rows.length > 0) {
    const columns = [
      ...texts('LINK', 'DIRECTION', 'WHAT'),
      ...numbers('REQUESTED', 'ACHIEVED', 'TOLERANCE'),
      ...texts('VERDICT'),
    ];
    terminal.print('');
    for (const line of table(terminal, columns, rows)) terminal.print(line);
  }
  if (schedulerLagP99Ns === undefined) return;
  terminal.print('');
  terminal.print(`scheduler lag of this machine meanwhile: p99 ${(schedulerLagP99Ns / 1e6).toFixed(3)} ms`);
}

const CELLS: Readonly<Record<Verdict, Cell>> = {
  ok: { text: 'ok', color: 'green' },
  failed: { text: 'FAILED', color: 'red' },
  'not measurable': { text: 'not measurable', color: 'yellow' },
  varies: 'varies',
};

/** Of a direction that was not measured; why is what its note says. */
function emptyRow({ link, direction, verdict }: DirectionVerdict): Cell[] {
  return [link, direction, '-', '-', '-', '-', CELLS[verdict]];
}

function row({ link, direction }: DirectionVerdict, check: Check): Cell[] {
  const { what, requested, achieved, tolerance, verdict } = check;
  return [
    ...[link, direction, what],
    ...[shown(check, requested), shown(check, achieved), `± ${shown(check, tolerance)}`],
    CELLS[verdict],
  ];
}

function shown({ unit }: Check, value: number): string {
  if (unit === 'ns') return `${(value / 1e6).toFixed(3)} ms`;
  return unit === 'probability' ? `${(value * 100).toFixed(2)} %` : si(value, 'bit/s');
}
