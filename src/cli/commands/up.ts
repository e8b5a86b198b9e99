/** `taplab up`: brings a lab up, here or in the background. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { DaemonInfo } from '../../daemon/daemon.ts';
import { ensureStateDirectory } from '../../lab/state.ts';
import { DEFAULT_METRICS_ADDRESS, parseMetricsAddress } from '../../metrics/http.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { whenPipeBreaks } from '../broken-pipe.ts';
import type { Context } from '../context.ts';
import { CliError, explain } from '../errors.ts';

type UpOptions = {
  readonly detach?: true;
  readonly metrics: string;
  readonly workers?: number;
  readonly logLevel: string;
  readonly json?: true;
};

/** What a background process tells the one that started it. */
type StartMessage = { readonly ready: DaemonInfo } | { readonly failed: string };

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export function upCommand(context: Context): Command {
  return new Command('up')
    .summary('bring a lab up')
    .description(
      'Brings a lab up and runs it until Ctrl-C or `taplab down`; then everything is taken down again.',
    )
    .argument('<lab.yaml>', 'lab file')
    .option('-d, --detach', 'run in the background; returns when the lab is up')
    .option('--metrics <host:port>', 'where to serve Prometheus metrics, or off', DEFAULT_METRICS_ADDRESS)
    .option('--workers <n>', 'data-plane threads, instead of what the lab file says', wholeNumber(1, 64))
    .addOption(new Option('--log-level <level>', 'how much to log').choices(LOG_LEVELS).default('info'))
    .addOption(jsonOption('print process id, socket and metrics address as JSON once the lab is up'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab up wan.yaml                     in the foreground, logging to stderr
  $ taplab up wan.yaml --detach            in the background
  $ taplab up wan.yaml --metrics 0.0.0.0:9464
  $ taplab up wan.yaml --metrics off --socket /tmp/wan.sock`,
    )
    .action(async (labFile: string, options: UpOptions) => {
      parseMetricsAddress(options.metrics);
      if (options.detach) await startInBackground(context, resolve(labFile), options);
      else await runHere(context, resolve(labFile), options);
    });
}

async function runHere(context: Context, labFile: string, options: UpOptions): Promise<void> {
  const { runDaemon } = await import('../../daemon/daemon.ts');
  const { metrics, workers, logLevel } = options;
  const stop = new AbortController();
  whenPipeBreaks(() => stop.abort(new Error('nobody reads the output any more')));
  try {
    context.exitStatus = await runDaemon({
      labFile,
      socket: context.socketPath,
      metrics,
      logLevel,
      stop: stop.signal,
      ...(workers === undefined ? {} : { workers }),
      onReady: (info) => {
        tellStarter({ ready: info });
        if (process.connected) return;
        announce(context, info, options);
      },
    });
  } catch (error) {
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
  ];
  for (const line of lines) terminal.say(line);
}

/** Starts this program again in a session of its own, and waits until its lab is up or could not be. */
async function startInBackground(context: Context, labFile: string, options: UpOptions): Promise<void> {
  // Read here as well: errors of the lab file need no process.
  const { readLab } = await import('../../lab/parse.ts');
  const lab = await readLab(labFile);
  const logFile = join(ensureStateDirectory(), `${lab.name}.log`);
  const log = openSync(logFile, 'a', 0o640);
  const child = spawn(process.execPath, childArguments(context, labFile, options), {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const interrupt = (): void => void child.kill('SIGTERM');
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const info = await started(child, logFile);
    child.disconnect();
    child.unref();
    announce(context, info, options, logFile);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

function childArguments(context: Context, labFile: string, options: UpOptions): string[] {
  const { metrics, workers, logLevel } = options;
  return [
    ...process.execArgv,
    process.argv[1]!,
    'up',
    ...['--socket', context.socketPath],
    ...['--metrics', metrics],
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
    ...['--log-level', logLevel],
    '--',
    labFile,
  ];
}

/** Waits for what a background process has to say: that its lab is up, or why it is not. */
function started(child: ChildProcess, logFile: string): Promise<DaemonInfo> {
  return new Promise((resolvePromise, reject) => {
    let failure: CliError | undefined;
    child.on('error', (error) => reject(new CliError(`cannot start a process: ${error.message}`)));
    child.on('message', (message: StartMessage) => {
      if ('ready' in message) resolvePromise(message.ready);
      else failure = new CliError(message.failed.replace(/^taplab: /, ''));
    });
    // It has ended, so everything it had made is gone; and it is disconnected, so it has been heard out.
    void Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(([[status, signal]]) => {
      const how = signal === null ? `exited with status ${status}` : `was ended by ${signal}`;
      reject(failure ?? new CliError(`the background process ${how} before the lab was up; see ${logFile}`));
    });
  });
}
