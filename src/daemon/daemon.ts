/**
 * The process behind `taplab up`: a lab, its control socket and its metrics, from start to signal.
 */
import pino from 'pino';
import type { AccessGroups } from '../control/access.ts';
import { filterProblem } from '../control/filter.ts';
import type { UserLimits } from '../control/limits.ts';
import type { Lab } from '../lab/model.ts';
import { readLab } from '../lab/parse.ts';
import { Joins } from './joins.ts';
import { LabRun, type Progress } from './lab-run.ts';
import { ServiceManager } from './service-manager.ts';
import { Stop } from './stop.ts';

export type DaemonOptions = {
  readonly labFile: string;
  readonly socket: string;
  /** The groups whose members may use the control socket. */
  readonly groups?: AccessGroups;
  /** What a user of the control socket may take. */
  readonly limits?: Partial<UserLimits>;
  /** HOST:PORT or `off`. */
  readonly metrics: string;
  /** Whether to go on with links and descriptors as the last run of the lab had them. */
  readonly resume?: boolean;
  /** The lab ends with the process that started this one: nothing is kept for a later run. */
  readonly ephemeral?: boolean;
  /** Overrides the lab file's number of data-plane threads. */
  readonly workers?: number;
  /** File of the decision log, if one is to be written. */
  readonly record?: string;
  readonly logLevel: string;
  /** Aborted when the lab shall go down, with the reason. */
  readonly stop?: AbortSignal;
  /** How far the lab is in coming up; called often. */
  readonly onProgress?: (progress: Progress) => void;
  /** Everything is up and can be used. */
  readonly onReady?: (info: DaemonInfo) => void;
};

export type DaemonInfo = {
  readonly lab: string;
  readonly pid: number;
  readonly socket: string;
  /** Where to scrape metrics, if anywhere. */
  readonly metrics: string | undefined;
  /** Where links that were resumed differ from the lab file, or from what they were, a line each. */
  readonly resumed: readonly string[];
  /** What of the lab file does nothing for want of something else, a line each. */
  readonly idle: readonly string[];
};

/**
 * Runs a lab until a signal, `DELETE /v1/lab` or the death of a data plane; takes everything down again. SIGHUP reads
 * the lab file again (reload.ts), except on a terminal, where it says that the terminal is gone.
 *
 * Returns the process's exit status: 0, or 1 after a failure while it ran. Throws what kept the lab from coming up:
 * LabFileError, StateError, NodeError, SystemError, SocketError, MetricsListenError; nothing is left behind then.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const lab = await labOf(options);
  // Through process.stderr, so that a reader who has gone is noticed (cli/broken-pipe.ts).
  const log = pino({ level: options.logLevel, base: { lab: lab.name } }, process.stderr);
  const stop = new Stop(log);
  const stopAsked = (): void => stop.request(String(options.stop?.reason));
  options.stop?.addEventListener('abort', stopAsked, { once: true });
  // An event of the past is not told again.
  if (options.stop?.aborted) stopAsked();
  let joins: Joins | undefined;
  const manager = ServiceManager.take();
  // While the lab comes up, in other threads and processes for the most part.
  const serving = import('./serve.ts');
  serving.catch(() => undefined);
  stop.signal.addEventListener('abort', () => manager.stopping(), { once: true });
  try {
    const run = await LabRun.up(
      lab,
      {
        socket: options.socket,
        log,
        ...(options.record !== undefined && { record: options.record }),
        onFailure: (error) => stop.fail(error),
        ...(options.onProgress && { onProgress: options.onProgress }),
        onInterfaceDown: (name) => joins?.interfaceDown(name),
      },
      stop.signal,
    );
    try {
      joins = new Joins(run, log);
      const { serve } = await serving;
      await serve({ run, joins, manager, options, readLab: () => labOf(options), log, stop });
    } finally {
      await run.down();
    }
  } catch (error) {
    // Stopped while it came up: what was made is gone again, and that is what was asked for.
    if (!stop.signal.aborted || stop.failed) throw error;
  } finally {
    stop.dispose();
    manager.close();
  }
  log.info('lab is down');
  return stop.failed ? 1 : 0;
}

async function labOf({ labFile, workers }: DaemonOptions): Promise<Lab> {
  const lab = await readLab(labFile, { checkFilter: filterProblem });
  return workers === undefined ? lab : { ...lab, workers };
}
