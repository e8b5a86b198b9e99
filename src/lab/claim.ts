/**
 * Claiming a lab for this process, and cleaning up what a process that was killed left of it.
 *
 * Claims are made one at a time, under flock(2) of the state directory, which ends with its holder.
 */
import { closeSync, openSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errno, errnoName, flock, LOCK_EX, LOCK_NB } from '../sys/libc.ts';
import { type Lab, nodesToMake } from './model.ts';
import { namespaceName } from './names.ts';
import { namespaceExists, removeNamespaces } from './namespaces.ts';
import { endProcesses, type NodeProcess } from './node-processes.ts';
import {
  ensureStateDirectory,
  isDeadSocket,
  isRunning,
  joinSocketPath,
  type LabListing,
  type LabState,
  listLabs,
  processStartTime,
  readState,
  StateError,
  stateAdvice,
  stateDirectory,
} from './state.ts';

const LOCK_TIMEOUT_MS = 60_000;

/** What was left of a run that ended without taking its lab down. */
type Leftovers = {
  readonly pid: number;
  readonly namespaces: readonly string[];
  readonly socket: string | undefined;
  /** Still running inside; they were not ended. A lab without a control socket is its process's own, and its are. */
  readonly processes: readonly NodeProcess[];
};

export type Claim = {
  readonly state: LabState;
  /** Says of another namespace that it is the lab's, before it is made. Throws StateError when that cannot be kept. */
  addNamespace(name: string): void;
  /** After a namespace is removed. */
  dropNamespace(name: string): void;
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
  { socket, directory = stateDirectory() }: { socket?: string | undefined; directory?: string },
): Promise<Claim> {
  ensureStateDirectory(directory);
  const path = join(directory, `${lab.name}.json`);
  const state: LabState = {
    lab: lab.name,
    pid: process.pid,
    pidStartTime: processStartTime(process.pid) ?? 0,
    socket,
    namespaces: nodesToMake(lab).map((node) => namespaceName(lab.name, node.name)),
    startedAt: new Date().toISOString(),
  };
  const unlock = await lockDirectory(directory);
  try {
    const cleaned = await takeOver(path, lab.name);
    const rival = listLabs(directory).find((other) => other.running && other.socket === socket);
    if (socket !== undefined && rival !== undefined) {
      const advice = 'choose another one with --socket, or take that lab down';
      throw new StateError(
        `control socket ${socket} is in use by lab ${rival.lab} (pid ${rival.pid}); ${advice}`,
      );
    }
    writeState(path, state);
    return claimed(path, state, cleaned);
  } finally {
    unlock();
  }
}

function claimed(path: string, initial: LabState, cleaned: Leftovers | undefined): Claim {
  let state = initial;
  const replace = (namespaces: readonly string[]): void => {
    const changed = { ...state, namespaces };
    writeState(path, changed);
    state = changed;
  };
  return {
    get state() {
      return state;
    },
    cleaned,
    addNamespace: (name) => replace([...state.namespaces.filter((each) => each !== name), name]),
    dropNamespace: (name) => {
      try {
        replace(state.namespaces.filter((each) => each !== name));
      } catch {
        // A name too many does no harm: who cleans up skips what is not there.
      }
    },
    release: () => releaseClaim(path, state),
  };
}

/** A lab whose process ended without taking it down, and what of it has been removed now. */
export type DeadLab = Leftovers & { readonly lab: string };

/**
 * Removes what dead processes left of the labs whose control socket this is; none while a living process has it.
 * With undefined, of all labs without a socket. Throws StateError when something cannot be removed.
 */
export async function removeDeadLabs(
  socket: string | undefined,
  directory: string = stateDirectory(),
): Promise<DeadLab[]> {
  const find = (): LabListing[] => listLabs(directory).filter((lab) => lab.socket === socket);
  if (find().length === 0) return [];
  const unlock = await lockDirectory(directory);
  try {
    const labs = find();
    if (socket !== undefined && labs.some((lab) => lab.running)) return [];
    const removed: DeadLab[] = [];
    for (const state of labs.filter((lab) => !lab.running)) {
      removed.push({ lab: state.lab, ...(await cleanUp(state)) });
      rmSync(join(directory, `${state.lab}.json`), { force: true });
    }
    return removed;
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
    const advice =
      other.socket === undefined
        ? 'it goes down with that process; or choose another name'
        : `\`taplab down --socket ${other.socket}\` takes it down`;
    throw new StateError(`lab ${lab} is already running (pid ${other.pid}); ${advice}`);
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
    const { code } = error as NodeJS.ErrnoException;
    throw new StateError(`write ${path}: ${code}; ${stateAdvice(code)}`, error);
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
async function cleanUp(state: LabState): Promise<Leftovers> {
  const namespaces = state.namespaces.filter(namespaceExists);
  if (state.socket === undefined) await endProcesses(namespaces);
  const { processes, errors } = await removeNamespaces(namespaces);
  if (errors.length > 0) {
    const why = errors.map((error) => error.message).join('; ');
    throw new StateError(`clean up what lab ${state.lab} (pid ${state.pid}) left: ${why}`);
  }
  return { pid: state.pid, namespaces, socket: await removeSockets(state.socket), processes };
}

/** Removes the control socket and that for joining, where nobody listens on them. Returns the first, if it was there. */
async function removeSockets(control: string | undefined): Promise<string | undefined> {
  if (control === undefined) return undefined;
  const [isDead, isJoinDead] = [await isDeadSocket(control), await isDeadSocket(joinSocketPath(control))];
  if (isDead) rmSync(control, { force: true });
  if (isJoinDead) rmSync(joinSocketPath(control), { force: true });
  return isDead ? control : undefined;
}
