/**
 * Which labs are up, and what a lab that was killed left behind.
 *
 * One file per lab, DIRECTORY/LAB.json, written before anything is created and deleted after everything is gone. A
 * file whose process does not run any more (its pid was reused when the start time differs) names what to clean up.
 * Writer: the process that claimed the lab. Readers: any. Claims are made one at a time, under flock(2) of the
 * directory, which ends with its holder; a file is replaced as a whole, so readers see all of it or none.
 */
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { errno, errnoName, flock, LOCK_EX, LOCK_NB } from '../sys/libc.ts';
import { outerUid } from '../sys/user-namespace.ts';
import type { Lab } from './model.ts';
import { NAME_PATTERN, namespaceName } from './names.ts';
import { type NodeProcess, removeNamespaces } from './namespaces.ts';

const LOCK_TIMEOUT_MS = 60_000;

const stateSchema = z.object({
  lab: z.string().regex(NAME_PATTERN),
  pid: z.int().positive(),
  pidStartTime: z.int().min(0),
  socket: z.string(),
  namespaces: z.array(z.string().regex(/^taplab-[a-zA-Z0-9_-]{1,80}$/)),
  startedAt: z.string(),
});

export type LabState = {
  readonly lab: string;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks from boot to the start of the process. */
  readonly pidStartTime: number;
  /** The control socket. */
  readonly socket: string;
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

/** Where state files and the default control socket are: /run/taplab for root, else below $XDG_RUNTIME_DIR or /tmp. */
export function stateDirectory(): string {
  const uid = outerUid();
  if (uid === 0) return '/run/taplab';
  const runtime = process.env.XDG_RUNTIME_DIR;
  return runtime ? join(runtime, 'taplab') : `/tmp/taplab-${uid}`;
}

/** The control socket when none is named: $TAPLAB_SOCKET, or control.sock in the state directory. */
export function defaultSocketPath(): string {
  return process.env.TAPLAB_SOCKET || join(stateDirectory(), 'control.sock');
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
      throw new StateError(`${directory} belongs to uid ${info.uid}; remove it, or set XDG_RUNTIME_DIR`);
    }
    if ((info.mode & 0o022) !== 0) {
      throw new StateError(`${directory} can be written to by others; \`chmod 0755 ${directory}\``);
    }
  } catch (error) {
    if (error instanceof StateError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new StateError(
      `make state directory ${directory}: ${code}; run as root, or set XDG_RUNTIME_DIR`,
      error,
    );
  }
  return directory;
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

const isRunning = (state: LabState): boolean => processStartTime(state.pid) === state.pidStartTime;

function readState(path: string): LabState | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StateError(`read ${path}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new StateError(`${path} is damaged; remove it, and what \`ip netns list\` shows of the lab`, error);
  }
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

/** What was left of a run that ended without taking its lab down. */
export type Leftovers = {
  readonly pid: number;
  readonly namespaces: readonly string[];
  readonly socket: string | undefined;
  /** Still running inside; they were not ended. */
  readonly processes: readonly NodeProcess[];
};

export type Claim = {
  readonly state: LabState;
  /** What an earlier run had left, and this claim has removed. */
  readonly cleaned: Leftovers | undefined;
  /** Gives the lab up, after everything is taken down. Idempotent. */
  release(): void;
};

/**
 * Claims a lab for this process, before anything of it is created. What a dead process left of the lab is removed.
 * Throws StateError when the lab is running, or when its state cannot be kept.
 */
export async function claimLab(
  lab: Lab,
  { socket, directory = stateDirectory() }: { socket: string; directory?: string },
): Promise<Claim> {
  ensureStateDirectory(directory);
  const path = join(directory, `${lab.name}.json`);
  const state: LabState = {
    lab: lab.name,
    pid: process.pid,
    pidStartTime: processStartTime(process.pid) ?? 0,
    socket,
    namespaces: lab.virtual ? [] : lab.nodes.map((node) => namespaceName(lab.name, node.name)),
    startedAt: new Date().toISOString(),
  };
  const unlock = await lockDirectory(directory);
  try {
    const cleaned = await takeOver(path, lab.name);
    const rival = listLabs(directory).find((other) => other.running && other.socket === socket);
    if (rival !== undefined) {
      const advice = 'choose another one with --socket, or take that lab down';
      throw new StateError(
        `control socket ${socket} is in use by lab ${rival.lab} (pid ${rival.pid}); ${advice}`,
      );
    }
    writeState(path, state);
    return { state, cleaned, release: () => releaseClaim(path, state) };
  } finally {
    unlock();
  }
}

/** Holds the directory's lock until the returned function is called. Throws StateError when it takes too long. */
async function lockDirectory(directory: string): Promise<() => void> {
  const fd = openSync(directory, 'r');
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  while (flock(fd, LOCK_EX | LOCK_NB) === -1) {
    const why = errnoName(errno());
    if (why === 'EAGAIN' && Date.now() < deadline) {
      await sleep(20);
      continue;
    }
    closeSync(fd);
    throw new StateError(`flock ${directory}: ${why}; is another \`taplab up\` still starting?`);
  }
  return () => closeSync(fd);
}

/** Removes what a dead process left of the lab. Throws StateError when the process lives. */
async function takeOver(path: string, lab: string): Promise<Leftovers | undefined> {
  const other = readState(path);
  if (other === undefined) return undefined;
  if (isRunning(other)) {
    const command = `taplab down --socket ${other.socket}`;
    throw new StateError(`lab ${lab} is already running (pid ${other.pid}); \`${command}\` takes it down`);
  }
  const cleaned = await cleanUp(other);
  rmSync(path, { force: true });
  return cleaned;
}

function writeState(path: string, state: LabState): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new StateError(`write ${path}: ${(error as NodeJS.ErrnoException).code}; is the disk full?`, error);
  }
}

function releaseClaim(path: string, state: LabState): void {
  try {
    const current = readState(path);
    if (current?.pid === state.pid && current.pidStartTime === state.pidStartTime) unlinkSync(path);
  } catch {
    // Gone or replaced: it is not ours any more.
  }
}

/** Removes what the state file of a dead process names. Throws StateError when something cannot be removed. */
export async function cleanUp(state: LabState): Promise<Leftovers> {
  const { processes, errors } = await removeNamespaces(state.namespaces);
  if (errors.length > 0) {
    const why = errors.map((error) => error.message).join('; ');
    throw new StateError(`clean up what lab ${state.lab} (pid ${state.pid}) left: ${why}`);
  }
  const hasSocket = await isDeadSocket(state.socket);
  if (hasSocket) rmSync(state.socket, { force: true });
  return {
    pid: state.pid,
    namespaces: state.namespaces,
    socket: hasSocket ? state.socket : undefined,
    processes,
  };
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
