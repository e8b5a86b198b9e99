/**
 * What the demo can run on here: kernel devices as this user, kernel devices in a user namespace of its own, or
 * memory devices.
 */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { type Check, diagnose } from '../lab/doctor.ts';

/** What ends a demo early, in order. */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Set in the demo that runs inside a user namespace the demo has made. */
const INSIDE = 'TAPLAB_DEMO_INSIDE';
const UNSHARE = ['-Urnm', '--'];

/** Whether this is the demo inside a user namespace. Its stdin closes when the demo outside ends. */
export function isInside(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** What is in the way of kernel devices here; undefined when nothing is. */
export async function obstacle(): Promise<Check | undefined> {
  if (isInside()) {
    // A new network namespace has its loopback device down, and metrics are served on it.
    spawnSync('ip', ['link', 'set', 'lo', 'up']);
  }
  const checks = await diagnose({ purpose: 'up' });
  return checks.find(({ blocks }) => blocks.includes('up'));
}

/** Whether a user namespace could help that has not been tried yet. */
export function canUnshare(): boolean {
  if (isInside() || process.platform !== 'linux') return false;
  return spawnSync('unshare', [...UNSHARE, 'true'], { stdio: 'ignore' }).status === 0;
}

/** Runs this program again inside a user namespace, and returns its exit status. Signals are passed on. */
export function runInside(script: string): Promise<number> {
  const child = spawn('unshare', [...UNSHARE, process.execPath, ...process.execArgv, script], {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [INSIDE]: '1' },
  });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      for (const each of SIGNALS) process.off(each, pass);
      resolve(status ?? 128 + constants.signals[signal ?? 'SIGTERM']);
    });
  });
}
