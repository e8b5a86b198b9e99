/**
 * What a lab that is coming up is going to be reached by: its control socket, its metrics, and the socket for joining.
 * Loaded while the data plane starts, for to load it takes as long.
 */
import type { Logger } from 'pino';
import { createControlServer } from '../control/server.ts';
import type { Lab } from '../lab/model.ts';
import { ineffective } from '../link/ineffective.ts';
import { serveMetrics } from '../metrics/http.ts';
import { metricsWhenAsked } from '../metrics/when-asked.ts';
import type { DaemonOptions } from './daemon.ts';
import type { Joins } from './joins.ts';
import type { LabRun } from './lab-run.ts';
import { ReloadError } from './reload.ts';
import { ResumeFile } from './resume.ts';
import type { ServiceManager } from './service-manager.ts';
import type { Stop } from './stop.ts';

export type Served = {
  readonly run: LabRun;
  readonly joins: Joins;
  readonly manager: ServiceManager;
  readonly options: DaemonOptions;
  /** Reads the lab file again. */
  readonly readLab: () => Promise<Lab>;
  readonly log: Logger;
  readonly stop: Stop;
};

/** Serves the control socket and the metrics until it is time to stop. */
export async function serve({ run, joins, manager, options, readLab, log, stop }: Served): Promise<void> {
  const { emulator, captures } = run;
  const resume = options.ephemeral ? undefined : new ResumeFile(emulator, log);
  const resumed = (options.resume && (await resume?.restore())) || [];
  resume?.save();
  const metrics = metricsWhenAsked(emulator);
  let reloading: Promise<unknown> = Promise.resolve();
  const reload = (): Promise<string[]> => {
    // One after the other, each from what the last has made.
    const turn = reloading.then(async () => {
      manager.reloading();
      try {
        const after = await readLab().catch((error: unknown) => {
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
