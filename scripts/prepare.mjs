/**
 * Makes the checkout ready to run: installs the dependencies when they are missing or out of date, and compiles what
 * has changed. Called by `npm start`, `npm test` and the other scripts, so that nothing else has to be typed. One
 * process at a time prepares a checkout, others wait. Exit status: 0, 1 when it failed, 128 plus the number of the
 * signal that ended it; no command that it started goes on then.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Holds the pid of who prepares this checkout. */
const lock = join(root, 'dist', '.preparing');
/** A lock this old is nobody's, even if its pid is in use again. */
const LONGEST_MS = 600_000;
/** How long a command may take to end by itself when it is interrupted. */
const PATIENCE_MS = 2000;

let child;
let interruptedBy;
let hasLock = false;

process.on('exit', () => hasLock && rmSync(lock, { force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => interrupt(signal));

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`needs Node 20.19 or newer, this is ${process.versions.node}`);
}
await takeLock();
if (modifiedAt('node_modules/.package-lock.json') < modifiedAt('package-lock.json')) {
  const options = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('installing dependencies', 'npm', ['ci', ...options]);
}
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
await run('compiling', process.execPath, [compiler, '-p', 'tsconfig.build.json']);
chmodSync(join(root, 'dist', 'src', 'cli', 'main.js'), 0o755);

function fail(message) {
  process.stderr.write(`taplab: ${message}\n`);
  process.exit(1);
}

/**
 * Runs a command with its output on stderr, so that a script's own output stays clean. It is in a process group of its
 * own: signals reach it, and all that it has started, through interrupt().
 */
async function run(what, command, args) {
  process.stderr.write(`taplab: ${what} ...\n`);
  child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    detached: process.platform !== 'win32',
  });
  const failure = await new Promise((resolve) => {
    child.once('error', ({ message }) => resolve(`: ${message}`));
    child.once('exit', (status) => resolve(status === 0 ? undefined : ''));
  });
  if (interruptedBy !== undefined) {
    // What it may have started and not waited for.
    signalChild('SIGKILL');
    process.exit(128 + constants.signals[interruptedBy]);
  }
  child = undefined;
  if (failure !== undefined) fail(`${what} failed${failure}`);
}

function interrupt(signal) {
  if (interruptedBy !== undefined) return;
  interruptedBy = signal;
  if (child === undefined) process.exit(128 + constants.signals[signal]);
  // SIGQUIT would make some programs dump what they were doing.
  signalChild(signal === 'SIGQUIT' ? 'SIGTERM' : signal);
  setTimeout(() => signalChild('SIGKILL'), PATIENCE_MS);
}

function signalChild(signal) {
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

/** Waits until nobody else prepares this checkout. Where no lock can be made, as on a read-only disk, it does without. */
async function takeLock() {
  const mine = `${lock}.${process.pid}`;
  try {
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(mine, String(process.pid));
    let isTold = false;
    while (!tryLink(mine)) {
      if (isAbandoned()) {
        rmSync(lock, { force: true });
        continue;
      }
      if (!isTold)
        process.stderr.write('taplab: waiting for another process that prepares this checkout ...\n');
      isTold = true;
      await sleep(100);
    }
    hasLock = true;
  } catch {
    // The worst that can happen is that two of them write the same files.
  } finally {
    rmSync(mine, { force: true });
  }
}

/** A link appears with its contents, and for one process only. */
function tryLink(mine) {
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isAbandoned() {
  try {
    if (Date.now() - statSync(lock).mtimeMs > LONGEST_MS) return true;
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

function modifiedAt(file) {
  const path = join(root, file);
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}
