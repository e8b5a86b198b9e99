/**
 * Which labs are up, and where their control sockets are.
 *
 * One file per lab, DIRECTORY/LAB.json, written before anything is created and deleted after everything is gone. A
 * file whose process does not run any more (its pid was reused when the start time differs) names what to clean up.
 * Writer: the process that claimed the lab, see claim.ts. Readers: any. A file is replaced as a whole, so readers see
 * all of it or none. Needs no native code.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { outerUid } from '../sys/user-namespace.ts';
import { NAME_PATTERN } from './names.ts';

const NAMESPACE_PATTERN = /^taplab-[a-zA-Z0-9_-]{1,80}$/;

export type LabState = {
  readonly lab: string;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks from boot to the start of the process. */
  readonly pidStartTime: number;
  /** The control socket; a lab inside a process, as a test has it, has none. */
  readonly socket?: string | undefined;
  readonly namespaces: readonly string[];
  /** ISO 8601. */
  readonly startedAt: string;
};

export type LabListing = LabState & {
  /** False when the process is gone and the lab was not taken down. */
  readonly running: boolean;
};

/** A lab cannot be claimed or its state not be kept: why, and what to do. */
export class StateError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StateError';
  }
}

/**
 * Where state files and the default control socket are: $TAPLAB_STATE_DIRECTORY, or /run/taplab for root, else below
 * $XDG_RUNTIME_DIR or /tmp.
 */
export function stateDirectory(): string {
  if (process.env.TAPLAB_STATE_DIRECTORY) return resolve(process.env.TAPLAB_STATE_DIRECTORY);
  const uid = outerUid();
  if (uid === 0) return '/run/taplab';
  const runtime = process.env.XDG_RUNTIME_DIR;
  return runtime ? join(runtime, 'taplab') : `/tmp/taplab-${uid}`;
}

/** The control socket when none is named: $TAPLAB_SOCKET, or control.sock in the state directory. */
export function defaultSocketPath(): string {
  return process.env.TAPLAB_SOCKET || join(stateDirectory(), 'control.sock');
}

/** Where nodes join a lab with that control socket: `control.join.sock` beside `control.sock`. */
export function joinSocketPath(controlSocket: string): string {
  return `${controlSocket.replace(/\.sock$/, '')}.join.sock`;
}

/**
 * Makes the state directory, mode 0755. Throws StateError when it belongs to somebody else or others may write to
 * it: what it says is removed later, so it has to be trusted.
 */
export function ensureStateDirectory(directory: string = stateDirectory()): string {
  try {
    if (mkdirSync(directory, { recursive: true, mode: 0o755 }) !== undefined) chmodSync(directory, 0o755);
    const info = lstatSync(directory);
    if (!info.isDirectory()) throw new StateError(`${directory} is not a directory; remove it`);
    if (info.uid !== process.getuid?.()) {
      throw new StateError(
        `${directory} belongs to uid ${info.uid}; remove it, or name another with TAPLAB_STATE_DIRECTORY`,
      );
    }
    if ((info.mode & 0o022) !== 0) {
      throw new StateError(`${directory} can be written to by others; \`chmod 0755 ${directory}\``);
    }
  } catch (error) {
    if (error instanceof StateError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new StateError(`make state directory ${directory}: ${code}; ${stateAdvice(code)}`, error);
  }
  return directory;
}

/** What to do when the state directory cannot be made or written to, by errno name. */
export function stateAdvice(code: string | undefined): string {
  const another = 'or name another with TAPLAB_STATE_DIRECTORY';
  if (code === 'ENOSPC' || code === 'EDQUOT') return `make room on that file system, ${another}`;
  // A folder that cannot be made on a read-only file system: mkdir(2) of its parents ends with ENOENT.
  if (code !== 'EROFS' && code !== 'ENOENT') return `run as root, ${another}`;
  const tmpfs = '`docker run --tmpfs /run/taplab:mode=0755`, in compose `tmpfs: ["/run/taplab:mode=0755"]`';
  return `that file system is read-only; in a container give it a volume or a tmpfs (${tmpfs}), ${another}`;
}

/** Field 22 of /proc/PID/stat, or undefined when there is no such process. */
export function processStartTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything; the third follows the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its parent has not noticed.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** Whether the process that claimed the lab still runs. */
export function isRunning(state: LabState): boolean {
  return processStartTime(state.pid) === state.pidStartTime;
}

/** What a state file says; undefined when there is none. Throws StateError when it is damaged. */
export function readState(path: string): LabState | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StateError(`read ${path}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
  try {
    const state: unknown = JSON.parse(text);
    if (isLabState(state)) return state;
    throw new TypeError('not the state of a lab');
  } catch (error) {
    throw new StateError(`${path} is damaged; remove it, and what \`ip netns list\` shows of the lab`, error);
  }
}

/** By hand: this is read by every command, and zod takes longer to load than most of them to run. */
function isLabState(value: unknown): value is LabState {
  const fields = Object(value) as Readonly<Record<keyof LabState, unknown>>;
  const { lab, pid, pidStartTime, socket, namespaces, startedAt } = fields;
  return (
    matches(lab, NAME_PATTERN) &&
    isCount(pid) &&
    pid !== 0 &&
    isCount(pidStartTime) &&
    (socket === undefined || typeof socket === 'string') &&
    Array.isArray(namespaces) &&
    namespaces.every((each) => matches(each, NAMESPACE_PATTERN)) &&
    typeof startedAt === 'string'
  );
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** The labs that have a state file. Files that cannot be read are left out. */
export function listLabs(directory: string = stateDirectory()): LabListing[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  const labs: LabListing[] = [];
  for (const name of names.sort()) {
    if (!name.endsWith('.json') || name.startsWith('.')) continue;
    try {
      const state = readState(join(directory, name));
      if (state !== undefined) labs.push({ ...state, running: isRunning(state) });
    } catch {
      // A damaged file stops nobody from seeing the others; `up` of that lab reports it.
    }
  }
  return labs;
}

/** True for a unix socket that nobody listens on. */
export function isDeadSocket(path: string): Promise<boolean> {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (info === undefined || !info.isSocket()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const client = connect(path);
    client.once('connect', () => {
      client.destroy();
      resolve(false);
    });
    client.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
