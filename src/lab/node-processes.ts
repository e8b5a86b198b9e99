/**
 * What runs inside the namespaces of nodes.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool } from '../sys/tool.ts';

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
  for (const name of names) {
    for (let left = await processesIn(name); left.length > 0; left = await processesIn(name)) {
      for (const { pid } of left) kill(pid);
      if (Date.now() > deadline) return;
      await sleep(10);
    }
  }
}

/** The same at once, for a process that is ending; does not wait. */
export function endProcessesNow(names: readonly string[]): void {
  for (const name of names) {
    const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
    // Null when ip could not be run.
    for (const pid of (stdout ?? '').split('\n')) if (pid !== '') kill(Number(pid));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** The processes that run inside a namespace. */
export async function processesIn(namespace: string): Promise<NodeProcess[]> {
  const { stdout } = await runTool('ip', ['netns', 'pids', namespace], {
    attempt: `list processes in ${namespace}`,
  });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ namespace, pid: Number(line), command: commandOf(Number(line)) }));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 200);
  } catch {
    return '';
  }
}
