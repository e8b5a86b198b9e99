import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listenOnSocket, SocketError } from '../../src/control/listen.ts';

let folder: string;
let server: Server;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab-listen-'));
  server = createServer();
});

afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the socket has mode 0660 whatever the umask is, and the umask stays as it was', async () => {
  const path = join(folder, 'new', 'folder', 's');
  const umask = process.umask(0);
  try {
    await listenOnSocket(server, path);
    expect(process.umask()).toBe(0);
  } finally {
    process.umask(umask);
  }
  expect((statSync(path).mode & 0o777).toString(8)).toBe('660');
});

test('the socket is given to a group, and keeps its mode', async () => {
  const path = join(folder, 's');
  const group = process.getuid?.() === 0 ? 12_345 : process.getgid!();
  await listenOnSocket(server, path, { group });
  const { gid, mode } = statSync(path);
  expect([gid, (mode & 0o777).toString(8)]).toEqual([group, '660']);
});

test('the socket is removed when the server closes', async () => {
  const path = join(folder, 's');
  await listenOnSocket(server, path);
  await new Promise((resolve) => server.close(resolve));
  expect(existsSync(path)).toBe(false);
});

/** A process that listens on a socket. */
async function listener(path: string): Promise<ChildProcess> {
  const script = 'require("node:net").createServer().listen(process.argv[1], () => console.log("up"))';
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return child;
}

test('a socket left by a process that was killed is replaced', async () => {
  const path = join(folder, 's');
  const child = await listener(path);
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  expect(existsSync(path)).toBe(true);
  await listenOnSocket(server, path);
  expect(server.listening).toBe(true);
});

test('a socket that somebody answers on is left alone', async () => {
  const path = join(folder, 's');
  const child = await listener(path);
  const gone = once(child, 'exit');
  await expect(listenOnSocket(server, path)).rejects.toThrow(
    /another program is listening.*taplab down --socket/,
  );
  expect(existsSync(path)).toBe(true);
  child.kill('SIGKILL');
  await gone;
});

test('a file that is not a socket is left alone', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'precious');
  await expect(listenOnSocket(server, path)).rejects.toThrow(/is not a socket; remove it/);
  expect(existsSync(path)).toBe(true);
});

test.each([
  ['a path that is too long', () => join(folder, 'x'.repeat(120)), /107; choose a shorter one/],
  ['a folder that cannot be made', () => join(folder, 'file', 'x', 's'), /cannot listen on .*ENOTDIR/],
])('%s is an error that says so', async (_what, path, message) => {
  writeFileSync(join(folder, 'file'), '');
  const failure = listenOnSocket(server, path());
  await expect(failure).rejects.toThrow(SocketError);
  await expect(failure).rejects.toThrow(message);
});
