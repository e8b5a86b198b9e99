/**
 * The process behind `taplab up`: a lab, its control socket and its metrics, from start to signal.
 */
import pino, { type Logger } from 'pino';
import type { AccessGroups } from '../control/access.ts';
import { filterProblem } from '../control/filter.ts';
import type { UserLimits } from '../control/limits.ts';
import { createControlServer } from '../control/server.ts';
import type { Lab } from '../lab/model.ts';
import { readLab } from '../lab/parse.ts';
import { ineffective } from '../link/ineffective.ts';
import { serveMetrics } from '../metrics/http.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { Joins } from './joins.ts';
import { LabRun, type Progress } from './lab-run.ts';
import { ReloadError } from './reload.ts';
import { ResumeFile } from './resume.ts';
import { ServiceManager } from './service-manager.ts';

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

/** Signals that take the lab down. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

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
      await serve(run, joins, manager, options, log, stop);
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

/** What is said of a lab file that cannot be read any more; other errors are left as they are. */
function unreadable(labFile: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  return new ReloadError(`lab file ${labFile} cannot be read (${code}); nothing is changed`, error);
}

/** Not said of links that are to change: what is wanted may come yet. */
function idleSettings({ links, timeline = [] }: Lab): string[] {
  const changing = new Set(timeline.flatMap((step) => step.links));
  const lines = links
    .filter(({ name }) => !changing.has(name))
    .flatMap(({ name, forward, reverse }) =>
      [forward, reverse].flatMap((side) => ineffective(side).map((text) => `link ${name}: ${text}`)),
    );
  return [...new Set(lines)];
}

/** Serves the control socket and the metrics until it is time to stop. */
async function serve(
  run: LabRun,
  joins: Joins,
  manager: ServiceManager,
  options: DaemonOptions,
  log: Logger,
  stop: Stop,
): Promise<void> {
  const { emulator, captures } = run;
  const resume = options.ephemeral ? undefined : new ResumeFile(emulator, log);
  const resumed = (options.resume && (await resume?.restore())) || [];
  resume?.save();
  const metrics = createMetrics(emulator);
  let reloading: Promise<unknown> = Promise.resolve();
  const reload = (): Promise<string[]> => {
    // One after the other, each from what the last has made.
    const turn = reloading.then(async () => {
      manager.reloading();
      try {
        const after = await labOf(options).catch((error: unknown) => {
          throw unreadable(options.labFile, error);
        });
        // There may be nodes that join only now, also when not all could be done.
        const changes = await run
          .apply(after, (name) => joins.release(name))
          .finally(() => joins.listen(options.socket, options.groups?.group, manager.sockets.join));
        log.info({ changes }, 'lab file reloaded');
        return changes;
      } finally {
        manager.ready(`lab ${run.lab.name} is up`);
      }
    });
    reloading = turn.catch(() => undefined);
    return turn;
  };
  const server = createControlServer({
    emulator,
    captures,
    metrics,
    logger: log,
    ...(options.groups && { groups: options.groups }),
    ...(options.limits && { limits: options.limits }),
    onShutdown: () => stop.request('asked over the control socket', true),
    onReload: reload,
    onChange: (isEphemeral) => resume?.save(isEphemeral),
  });
  const listener = await serveMetrics(metrics, options.metrics, manager.sockets.metrics);
  try {
    await server.listen(options.socket, manager.sockets.control);
    try {
      await joins.listen(options.socket, options.groups?.group, manager.sockets.join);
      // Asked to stop while the socket was made: nobody may be told that the lab is up.
      stop.signal.throwIfAborted();
      run.start();
      log.info({ socket: options.socket, metrics: listener?.url }, 'lab is up');
      manager.ready(`lab ${run.lab.name} is up`);
      options.onReady?.({
        lab: run.lab.name,
        pid: process.pid,
        socket: options.socket,
        metrics: listener?.url,
        resumed,
        idle: idleSettings(run.lab),
      });
      stop.onHangup = () => {
        reload().catch((error: unknown) => log.error({ err: error }, 'lab file not reloaded'));
      };
      await stop.requested;
      if (stop.forGood) resume?.remove();
      // Nobody may join any more, and the devices are given back while the data plane can let go of them.
      await joins.close();
      // Before the server closes, so that streams are read to their ends.
      await run.down();
    } finally {
      await joins.close();
      await server.close();
    }
  } finally {
    await listener?.close();
  }
}

/** Why and when to stop; the first reason counts. */
class Stop {
  readonly requested: Promise<void>;
  failed = false;
  /** Somebody wants the lab to be over; SIGTERM is what service managers also send to start it anew. */
  forGood = false;
  /** What SIGHUP does, once there is something to do. */
  onHangup: () => void = () => undefined;
  readonly #controller = new AbortController();
  readonly #log: Logger;
  readonly #onSignal = (name: NodeJS.Signals): void => this.request(`signal ${name}`, name === 'SIGINT');
  /** On a terminal it says that the terminal is gone. */
  readonly #onSighup = (): void => (process.stdin.isTTY ? this.request('signal SIGHUP') : this.onHangup());
  readonly #onUncaught = (error: Error): void => this.fail(error);

  constructor(log: Logger) {
    this.#log = log;
    this.requested = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (const name of SIGNALS) process.on(name, this.#onSignal);
    process.on('SIGHUP', this.#onSighup);
    process.on('uncaughtException', this.#onUncaught);
  }

  /** Aborted once it is time to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  request(reason: string, forGood = false): void {
    if (this.signal.aborted) return;
    this.forGood = forGood;
    this.#log.info({ reason }, 'taking the lab down');
    this.#controller.abort(new Error(reason));
  }

  /** Something broke that the lab cannot do without. */
  fail(error: Error): void {
    this.#log.fatal({ err: error }, 'the lab cannot go on');
    this.failed = true;
    this.request(error.message);
  }

  dispose(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
    process.off('SIGHUP', this.#onSighup);
    process.off('uncaughtException', this.#onUncaught);
  }
}
