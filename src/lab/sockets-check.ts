/**
 * Whether this process could join a lab over its two sockets, for `taplab doctor`: somebody listens, the file may be
 * opened, and the peer is one that may join, which is root and the emulator's user (control/access.ts).
 */
import { lstatSync } from 'node:fs';
import { connect } from 'node:net';
import { isInContainer } from './confinement.ts';

const PATIENCE_MS = 2_000;

export type SocketCheck = {
  readonly detail: string;
  readonly advice?: string;
  readonly isReachable: boolean;
};

/** Connects, and closes at once. */
export async function checkSocket(path: string, mustBeOperator: boolean): Promise<SocketCheck> {
  const why = await connectError(path);
  if (why === undefined) {
    const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
    const uid = process.geteuid?.() ?? 0;
    if (!mustBeOperator || uid === 0 || uid === owner)
      return { detail: `${path} answers`, isReachable: true };
    return {
      detail: `${path} answers, and only root and uid ${owner} may join; this is uid ${uid}`,
      advice: `run as one of them (in compose \`user: "0"\`)`,
      isReachable: false,
    };
  }
  return { ...explain(path, why), isReachable: false };
}

function explain(path: string, why: string): { detail: string; advice: string } {
  if (why === 'EACCES') {
    const info = lstatSync(path, { throwIfNoEntry: false });
    const whose = info === undefined ? '' : `: it belongs to uid ${info.uid}, gid ${info.gid}`;
    return {
      detail: `${path} may not be opened${whose}`,
      advice: `run with that group (in compose \`user: "0:${info?.gid ?? 'GID'}"\`; root without CAP_DAC_OVERRIDE needs it too), or let a group use it with \`taplab up --group\``,
    };
  }
  if (why === 'ENOENT' || why === 'ECONNREFUSED') {
    const start = 'start the emulator; name its socket with --socket or TAPLAB_SOCKET';
    const volume = 'mount the volume that it is on, in compose `volumes: ["run:/run/taplab"]`';
    return {
      detail: `nobody listens on ${path}`,
      advice: isInContainer() ? `${start}; ${volume}` : start,
    };
  }
  return { detail: `connect ${path}: ${why}`, advice: 'name another socket with --socket' };
}

/** The errno name of what keeps from connecting; undefined when nothing does. */
function connectError(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const settle = (answer: string | undefined): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.setTimeout(PATIENCE_MS, () => settle('ETIMEDOUT'));
    probe.once('connect', () => settle(undefined));
    // EAGAIN: its backlog is full, so somebody is there.
    probe.once('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code === 'EAGAIN' ? undefined : (code ?? 'EIO')),
    );
  });
}
