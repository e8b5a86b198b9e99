/**
 * Makes the checkout ready to run: installs the dependencies when they are missing or out of date, and compiles what
 * has changed. Called by `npm start`, `npm test` and the other scripts, so that nothing else has to be typed.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function fail(message) {
  process.stderr.write(`taplab: ${message}\n`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`needs Node 20.19 or newer, this is ${process.versions.node}`);
}

/** Runs a command with its output on stderr, so that a script's own output stays clean. */
function run(what, command, args) {
  process.stderr.write(`taplab: ${what} ...\n`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`${what} failed${error ? `: ${error.message}` : ''}`);
}

function modifiedAt(file) {
  const path = join(root, file);
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

if (modifiedAt('node_modules/.package-lock.json') < modifiedAt('package-lock.json')) {
  run('installing dependencies', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
}
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
run('compiling', process.execPath, [compiler, '-p', 'tsconfig.build.json']);
chmodSync(join(root, 'dist', 'src', 'cli', 'main.js'), 0o755);
