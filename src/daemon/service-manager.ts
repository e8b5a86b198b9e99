/**
 * What a service manager such as systemd and this process tell each other: sd_notify(3), the watchdog, and sockets
 * that were opened for it (sd_listen_fds(3)). Without one everything here does nothing.
 *
 * What the environment says is for this process only and is removed from it: commands that it runs are no services.
 */

import { DatagramSender } from '../sys/datagram.ts';
import { check, close, F_SETFD, FD_CLOEXEC, fcntl } from '../sys/libc.ts';

/** SD_LISTEN_FDS_START. */
const FIRST_FD = 3;
const MAX_FDS = 64;

/** What passed sockets are for: `FileDescriptorName=` of their units. A first one without such a name is for control. */
export type PassedSockets = { readonly control?: number; readonly join?: number; readonly metrics?: number };

type Environment = Record<string, string | undefined>;

export class ServiceManager {
  readonly sockets: PassedSockets;
  /** How long the main loop may stand still before the service is ended and started again, in ms. */
  readonly watchdogMs: number | undefined;
  readonly #sender: DatagramSender | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  private constructor(address: string | undefined, watchdogMs: number | undefined, sockets: PassedSockets) {
    this.#sender = address === undefined ? undefined : new DatagramSender(address);
    this.watchdogMs = watchdogMs;
    this.sockets = sockets;
  }

  /** Takes what the environment says out of it. Throws SystemError when a passed socket is none. */
  static take(environment: Environment = process.env): ServiceManager {
    const isOurs = (pid: string | undefined): boolean => pid === undefined || Number(pid) === process.pid;
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } =
      environment;
    const watchdogUs = isOurs(WATCHDOG_PID) ? Number(WATCHDOG_USEC) : 0;
    const sockets = LISTEN_PID !== undefined && isOurs(LISTEN_PID) ? passed(LISTEN_FDS, LISTEN_FDNAMES) : {};
    for (const name of VARIABLES) delete environment[name];
    return new ServiceManager(
      NOTIFY_SOCKET || undefined,
      watchdogUs > 0 ? watchdogUs / 1000 : undefined,
      sockets,
    );
  }

  /** The service is up. From now on the main loop says that it is alive, twice as often as it must. */
  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status}`);
    if (this.watchdogMs === undefined || this.#sender === undefined) return;
    this.#watchdog ??= setInterval(() => this.#tell('WATCHDOG=1'), this.watchdogMs / 2);
    // It must not be what keeps the process running.
    this.#watchdog.unref();
  }

  /** One line about what it does. */
  status(status: string): void {
    this.#tell(`STATUS=${status}`);
  }

  /** The lab file is being read again; ready() when that is done. */
  reloading(): void {
    // systemd 253 and newer want to know when it began, to tell it from what was under way (Type=notify-reload).
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.#tell('STOPPING=1');
  }

  close(): void {
    clearInterval(this.#watchdog);
    this.#sender?.close();
  }

  #tell(...lines: string[]): void {
    // A service manager that does not listen is none of the lab's business.
    this.#sender?.send(lines.map((line) => line.replaceAll('\n', ' ')).join('\n'));
  }
}

const VARIABLES = [
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
] as const;

function passed(count: string | undefined, names: string | undefined): PassedSockets {
  const sockets: { control?: number; join?: number; metrics?: number } = {};
  const labels = names?.split(':') ?? [];
  for (let i = 0; i < Math.min(Number(count) || 0, MAX_FDS); i++) {
    const fd = FIRST_FD + i;
    check(fcntl(fd, F_SETFD, FD_CLOEXEC), 'fcntl F_SETFD', `passed socket ${fd}`);
    const label = labels[i];
    if (label === 'join' || label === 'metrics') sockets[label] ??= fd;
    else if (sockets.control === undefined) sockets.control = fd;
    else close(fd);
  }
  return sockets;
}
