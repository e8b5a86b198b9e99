/** `taplab up`: brings a lab up, here or in the background. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants as fsConstants,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { DEFAULT_USER_LIMITS } from '../../control/limits.ts';
import type { DaemonInfo } from '../../daemon/daemon.ts';
import type { Progress } from '../../daemon/lab-run.ts';
import { ensureStateDirectory } from '../../lab/state.ts';
import { formatSize } from '../../link/units.ts';
import { DEFAULT_METRICS_ADDRESS } from '../../metrics/http.ts';
import { groupId, jsonOption, memorySize, metricsAddress, wholeNumber } from '../arguments.ts';
import { whenPipeBreaks } from '../broken-pipe.ts';
import type { Context } from '../context.ts';
import { CliError, explain } from '../errors.ts';
import { unreadable } from '../files.ts';
import { ProgressLine } from '../progress.ts';
import { whenStdinCloses } from '../stdin-closes.ts';

type UpOptions = {
  readonly detach?: true;
  readonly group?: number;
  readonly readGroup?: number;
  readonly maxDescriptorsPerUser: number;
  readonly maxBufferMemoryPerUser: number;
  readonly metrics: string;
  readonly resume?: true;
  readonly workers?: number;
  readonly record?: string;
  readonly logLevel: string;
  readonly untilStdinCloses?: true;
  readonly json?: true;
};

/** What a background process tells the one that started it. */
type StartMessage =
  | { readonly progress: Progress }
  | { readonly ready: DaemonInfo }
  | { readonly failed: string };

/** What a shell reports for a command that was ended by a signal, plus the signal's number. */
const SIGNAL_STATUS = 128;
/** Of the devices and nodes of a lab in the background, how many are told of at once. */
const TOLD_EVERY = 10;
const LOG_LINES_SHOWN = 10;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export function upCommand(context: Context): Command {
  return new Command('up')
    .summary('bring a lab up')
    .description(
      'Brings a lab up and runs it until Ctrl-C or `taplab down`; then everything is taken down again.',
    )
    .argument('<lab.yaml>', 'lab file')
    .option('-d, --detach', 'run in the background; returns when the lab is up')
    .option(
      '--metrics <host:port>',
      'where to serve Prometheus metrics, or off',
      metricsAddress,
      DEFAULT_METRICS_ADDRESS,
    )
    .option(
      '--group <name|gid>',
      'group of the control socket: its members may look, and attach descriptors of their own',
      groupId,
    )
    .option(
      '--read-group <name|gid>',
      'a group whose members may look and capture, but send no frames and flush nothing',
      groupId,
    )
    .addOption(
      new Option('--max-descriptors-per-user <n>', 'descriptors each user of the control socket may have')
        .argParser(wholeNumber(0))
        .default(DEFAULT_USER_LIMITS.descriptors),
    )
    .addOption(
      new Option('--max-buffer-memory-per-user <size>', 'memory for the buffers of these descriptors')
        .argParser(memorySize)
        .default(DEFAULT_USER_LIMITS.bufferBytes, formatSize(DEFAULT_USER_LIMITS.bufferBytes)),
    )
    .option(
      '--resume',
      "go on with links as set and descriptors as attached when the lab last ran; an impairment that the lab file has changed since is the file's",
    )
    .option('--workers <n>', 'data-plane threads, instead of what the lab file says', wholeNumber(1, 64))
    .option(
      '--record <file>',
      'write what every link decides for every frame into a file, as JSON lines (docs/replay.md)',
    )
    .addOption(new Option('--log-level <level>', 'how much to log').choices(LOG_LEVELS).default('info'))
    .addOption(
      new Option(
        '--until-stdin-closes',
        'also take the lab down when stdin ends: it never outlives the script or test that holds the pipe',
      ).conflicts('detach'),
    )
    .addOption(jsonOption('print process id, socket and metrics address as JSON once the lab is up'))
    .addHelpText(
      'after',
      `
In the foreground the log goes to stderr. With --detach it goes to LAB.log in the state directory
(/run/taplab for root, else $XDG_RUNTIME_DIR/taplab), which begins anew each time.

Examples:
  $ taplab up wan.yaml                     in the foreground, logging to stderr
  $ taplab up wan.yaml --detach            in the background
  $ taplab up wan.yaml --metrics 0.0.0.0:9464
  $ taplab up wan.yaml --metrics off --socket /tmp/wan.sock
  $ taplab up wan.yaml --record decisions.jsonl
  $ taplab up wan.yaml --group wireshark   for the members of a group too
  $ taplab up wan.yaml --read-group adm    these may watch, and change nothing
  $ taplab up wan.yaml --resume            after a crash: as it was; says where that is not what the file says

Root, and the user that the lab runs as, may do everything and have no limits.`,
    )
    .action(async (labFile: string, options: UpOptions) => {
      requireFile(labFile);
      if (options.detach) await startInBackground(context, resolve(labFile), options);
      else await runHere(context, resolve(labFile), options);
    });
}

/** @throws CliError when there is no such file, or it is a folder */
function requireFile(labFile: string): void {
  try {
    if (!statSync(labFile).isDirectory()) {
      accessSync(labFile, fsConstants.R_OK);
      return;
    }
  } catch (error) {
    throw unreadable('lab file', labFile, error);
  }
  throw new CliError(`lab file ${labFile} is a directory; name the file in it`);
}

async function runHere(context: Context, labFile: string, options: UpOptions): Promise<void> {
  const { runDaemon } = await import('../../daemon/daemon.ts');
  const { metrics, workers, record, logLevel, group, readGroup } = options;
  const stop = new AbortController();
  const line = new ProgressLine(context.terminal);
  whenPipeBreaks((reason) => stop.abort(new Error(reason)));
  if (options.untilStdinCloses) whenStdinCloses(() => stop.abort(new Error('stdin was closed')));
  try {
    context.exitStatus = await runDaemon({
      labFile,
      socket: context.socketPath,
      metrics,
      logLevel,
      stop: stop.signal,
      ...(options.untilStdinCloses && { ephemeral: true }),
      ...(options.resume && { resume: true }),
      ...(workers === undefined ? {} : { workers }),
      ...(record === undefined ? {} : { record: resolve(record) }),
      groups: { group, readGroup },
      limits: {
        descriptors: options.maxDescriptorsPerUser,
        bufferBytes: options.maxBufferMemoryPerUser,
      },
      onProgress: (progress) => {
        if (!process.connected) line.show(progress);
        else if (progress.done % TOLD_EVERY === 0) tellStarter({ progress });
      },
      onReady: (info) => {
        line.end();
        tellStarter({ ready: info });
        if (process.connected) return;
        announce(context, info, options);
      },
    });
  } catch (error) {
    line.end();
    tellStarter({ failed: explain(error) });
    throw error;
  }
}

/** Reports to `taplab up --detach`, when this process was started by it. */
function tellStarter(message: StartMessage): void {
  if (process.connected) process.send?.(message);
}

function announce({ terminal }: Context, info: DaemonInfo, { json }: UpOptions, log?: string): void {
  if (json) {
    terminal.printJson({ ...info, metrics: info.metrics ?? null, ...(log && { log }) });
    return;
  }
  const lines = [
    `lab ${info.lab} is up, pid ${info.pid}`,
    `  socket   ${info.socket}`,
    `  metrics  ${info.metrics ?? 'off'}`,
    ...(log === undefined ? [] : [`  log      ${log}`]),
    ...info.resumed.map((line) => `  resumed  ${line}`),
    ...info.idle.map((line) => `  note     ${line}`),
  ];
  for (const line of lines) terminal.say(line);
}

/** Starts this program again in a session of its own, and waits until its lab is up or could not be. */
async function startInBackground(context: Context, labFile: string, options: UpOptions): Promise<void> {
  // Read here as well: errors of the lab file need no process.
  const { readLab } = await import('../../lab/parse.ts');
  const lab = await readLab(labFile);
  const logFile = join(ensureStateDirectory(), `${lab.name}.log`);
  // Under another name until the lab is up: if it is running already, its log is still being written.
  const startLog = join(dirname(logFile), `.${lab.name}.${process.pid}.log`);
  const log = openSync(startLog, 'a', 0o640);
  let isUp = false;
  let interrupted: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals): void => {
    // Too late: the lab is said to be up, and this process ends.
    if (isUp) return;
    interrupted ??= signal;
    child.kill('SIGTERM');
  };
  // Before there is a process that would outlive this one. A signal is handled in a later turn, when there is.
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const child = spawn(process.execPath, childArguments(context, labFile, options), {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  try {
    const line = new ProgressLine(context.terminal);
    const info = await started(
      child,
      startLog,
      (progress) => line.show(progress),
      () => interrupted,
    ).finally(() => line.end());
    isUp = true;
    renameSync(startLog, logFile);
    child.disconnect();
    child.unref();
    announce(context, info, options, logFile);
  } catch (error) {
    rmSync(startLog, { force: true });
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    throw error;
  }
}

function childArguments(context: Context, labFile: string, options: UpOptions): string[] {
  const { metrics, workers, record, logLevel, group, readGroup } = options;
  return [
    ...process.execArgv,
    process.argv[1]!,
    'up',
    ...['--socket', context.socketPath],
    ...['--metrics', metrics],
    ...(group === undefined ? [] : ['--group', String(group)]),
    ...(readGroup === undefined ? [] : ['--read-group', String(readGroup)]),
    ...['--max-descriptors-per-user', String(options.maxDescriptorsPerUser)],
    ...['--max-buffer-memory-per-user', String(options.maxBufferMemoryPerUser)],
    ...(options.resume ? ['--resume'] : []),
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
    ...(record === undefined ? [] : ['--record', resolve(record)]),
    ...['--log-level', logLevel],
    '--',
    labFile,
  ];
}

/**
 * Waits for what a background process has to say: that its lab is up, or why it is not. Once it has been interrupted
 * it is going down, whatever it says, and its end is waited for.
 */
function started(
  child: ChildProcess,
  logFile: string,
  onProgress: (progress: Progress) => void,
  interrupted: () => NodeJS.Signals | undefined,
): Promise<DaemonInfo> {
  return new Promise((resolvePromise, reject) => {
    let failure: CliError | undefined;
    child.on('error', (error) => reject(new CliError(`cannot start a process: ${error.message}`)));
    child.on('message', (message: StartMessage) => {
      if ('progress' in message) onProgress(message.progress);
      else if ('failed' in message) failure = new CliError(message.failed.replace(/^taplab: /, ''));
      else if (interrupted() === undefined) resolvePromise(message.ready);
    });
    // It has ended, so everything it had made is gone; and it is disconnected, so it has been heard out.
    void Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(([[status, signal]]) => {
      const interruption = interrupted();
      if (failure === undefined && interruption !== undefined) {
        reject(new CliError('interrupted; the lab is down', SIGNAL_STATUS + constants.signals[interruption]));
        return;
      }
      const how = signal === null ? `exited with status ${status}` : `was ended by ${signal}`;
      const message = `the background process ${how} before the lab was up${endOf(logFile)}`;
      reject(failure ?? new CliError(message));
    });
  });
}

/** What the last lines of a log say, to go on with a message. */
function endOf(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN);
  return lines[0] === '' ? '; it has logged nothing' : `; it has logged\n  ${lines.join('\n  ')}`;
}
