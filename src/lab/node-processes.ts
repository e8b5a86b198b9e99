/**
 * What runs inside the namespaces of nodes.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NETNS_DIRECTORY } from './netns-directory.ts';

/** A process found inside a namespace. */
export type NodeProcess = { readonly namespace: string; readonly pid: number; readonly command: string };

/** How long processes may take to disappear after SIGKILL. */
const KILL_PATIENCE_MS = 5_000;

/**
 * Ends whatever runs inside these namespaces, which exist, with SIGKILL, and waits until it is gone: for nodes that belong to nobody
 * else. What cannot be ended within some seconds stays, and the removal reports it.
 */
export async function endProcesses(names: readonly string[]): Promise<void> {
  const deadline = Date.now() + KILL_PATIENCE_MS;
  for (let left = processesIn(names); left.length > 0; left = processesIn(names)) {
    for (const { pid } of left) kill(pid);
    if (Date.now() > deadline) return;
    await sleep(10);
  }
}

/** The same at once, for a process that is ending; does not wait. */
export function endProcessesNow(names: readonly string[]): void {
  for (const { pid } of processesIn(names)) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/**
 * The processes that run inside namespaces of these names; names that are none are skipped. As `ip netns pids`, in one
 * walk through /proc for all of them.
 */
export function processesIn(names: readonly string[]): NodeProcess[] {
  const byId = new Map<string, string>();
  for (const name of names) {
    const id = fileId(`${NETNS_DIRECTORY}/${name}`);
    if (id !== undefined) byId.set(id, name);
  }
  if (byId.size === 0) return [];
  return readdirSync('/proc').flatMap((entry): NodeProcess[] => {
    if (!/^\d+$/.test(entry)) return [];
    const namespace = byId.get(fileId(`/proc/${entry}/ns/net`) ?? '');
    return namespace === undefined
      ? []
      : [{ namespace, pid: Number(entry), command: commandOf(Number(entry)) }];
  });
}

/** What tells files apart; undefined for one that is not there, or not for this process to see. */
function fileId(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 200);
  } catch {
    return '';
  }
}
