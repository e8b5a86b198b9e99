import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimLab } from '../../src/lab/claim.ts';
import { asVirtualLab, parseLab } from '../../src/lab/parse.ts';
import {
  defaultSocketPath,
  ensureStateDirectory,
  isDeadSocket,
  type LabState,
  listLabs,
  processStartTime,
  StateError,
} from '../../src/lab/state.ts';

let root = '';
let directory = '';
let socket = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'taplab test-'));
  directory = join(root, 'state');
  socket = join(root, 'control.sock');
});
afterEach(() => rmSync(root, { recursive: true }));

const lab = asVirtualLab(
  parseLab('name: state\nnodes: { a: { interfaces: { e: } } }', { file: 'f', baseDirectory: '/' }),
);

function leaveState(changes: Partial<LabState>): void {
  ensureStateDirectory(directory);
  const state = { lab: 'state', pid: 1, pidStartTime: 0, socket, namespaces: [], startedAt: '', ...changes };
  writeFileSync(join(directory, `${state.lab}.json`), JSON.stringify(state));
}

describe('claimLab', () => {
  test('writes who runs the lab, and release takes it away', async () => {
    const claim = await claimLab(lab, { socket, directory });
    expect(listLabs(directory)).toEqual([{ ...claim.state, running: true }]);
    expect(claim.state).toMatchObject({ lab: 'state', pid: process.pid, socket, namespaces: [] });
    expect(statSync(directory).mode & 0o777).toBe(0o755);
    expect(claim.cleaned).toBeUndefined();
    claim.release();
    claim.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('refuses a lab that is running, and says how to end it', async () => {
    const claim = await claimLab(lab, { socket, directory });
    await expect(claimLab(lab, { socket, directory })).rejects.toThrow(
      `lab state is already running (pid ${process.pid}); \`taplab down --socket ${socket}\``,
    );
    claim.release();
    (await claimLab(lab, { socket, directory })).release();
  });

  test('of many claims at the same time, one succeeds', async () => {
    const claims = Array.from({ length: 20 }, () => claimLab(lab, { socket, directory }));
    const results = await Promise.allSettled(claims);
    const [winner, ...others] = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(others).toEqual([]);
    winner!.release();
  });

  test('refuses a control socket that another running lab has', async () => {
    const claim = await claimLab(lab, { socket, directory });
    const other = { ...lab, name: 'other' };
    await expect(claimLab(other, { socket, directory })).rejects.toThrow(/in use by lab state .*--socket/);
    claim.release();
  });

  test('takes over from a process that was killed, and removes its socket', async () => {
    const server = createServer().listen(socket);
    await once(server, 'listening');
    // Closing a server removes its socket; a killed process leaves it, as this copy of the directory entry.
    const left = join(root, 'left.sock');
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(left)}, () => console.log('up'))`,
    ]);
    await once(child.stdout, 'data');
    leaveState({ pid: child.pid!, pidStartTime: processStartTime(child.pid!)!, socket: left });
    expect(listLabs(directory)).toMatchObject([{ running: true }]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(existsSync(left)).toBe(true);
    const claim = await claimLab(lab, { socket, directory });
    expect(claim.cleaned).toEqual({ pid: child.pid, namespaces: [], socket: left, processes: [] });
    expect(existsSync(left)).toBe(false);
    expect(await isDeadSocket(socket)).toBe(false);
    claim.release();
    server.close();
  });

  test('a process that got the pid of the dead one is not mistaken for it', async () => {
    leaveState({ pid: process.pid, pidStartTime: 1 });
    const claim = await claimLab(lab, { socket, directory });
    expect(claim.cleaned).toMatchObject({ pid: process.pid });
    claim.release();
  });

  test('leaves alone what is not a socket', async () => {
    const file = join(root, 'precious');
    writeFileSync(file, 'x');
    leaveState({ pid: process.pid, pidStartTime: 1, socket: file });
    (await claimLab(lab, { socket, directory })).release();
    expect(readFileSync(file, 'utf8')).toBe('x');
  });

  test.each([
    ['is not JSON', '{'],
    ['names namespaces that are not of taplab', JSON.stringify({ lab: 'state', namespaces: ['/etc'] })],
  ])('a state file that %s is an error, not a guess', async (_, text) => {
    ensureStateDirectory(directory);
    writeFileSync(join(directory, 'state.json'), text);
    await expect(claimLab(lab, { socket, directory })).rejects.toThrow(/state\.json is damaged; remove it/);
    expect(listLabs(directory)).toEqual([]);
  });
});

describe('the state directory', () => {
  test('is refused when others may write to it', () => {
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    expect(() => ensureStateDirectory(directory)).toThrow(StateError);
    expect(() => ensureStateDirectory(directory)).toThrow(/can be written to by others; `chmod 0755/);
  });

  test('is refused when it is a file', () => {
    writeFileSync(directory, '');
    expect(() => ensureStateDirectory(directory)).toThrow(StateError);
  });

  test('$TAPLAB_SOCKET names the control socket; without it, it is in the directory', () => {
    const before = process.env.TAPLAB_SOCKET;
    process.env.TAPLAB_SOCKET = '/x/y.sock';
    expect(defaultSocketPath()).toBe('/x/y.sock');
    delete process.env.TAPLAB_SOCKET;
    expect(defaultSocketPath()).toMatch(/\/taplab[^/]*\/control\.sock$/);
    if (before !== undefined) process.env.TAPLAB_SOCKET = before;
  });
});

describe('processStartTime', () => {
  test('is the same at every look, also for a command with odd letters in its name', async () => {
    const child = spawn('sleep', ['10'], { argv0: 'a) R 1 (b' });
    await once(child, 'spawn');
    const start = processStartTime(child.pid!);
    expect(start).toBeGreaterThan(0);
    expect(processStartTime(child.pid!)).toBe(start);
    child.kill();
    await once(child, 'exit');
    expect(processStartTime(child.pid!)).toBeUndefined();
  });
});
