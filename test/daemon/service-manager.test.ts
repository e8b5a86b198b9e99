/** Being a service: sd_notify(3), the watchdog, and sockets that somebody else has opened. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlClient } from '../../src/control/client.ts';
import { ServiceManager } from '../../src/daemon/service-manager.ts';
import { handOver } from '../../src/join/membership.ts';
import { joinSocketPath } from '../../src/lab/state.ts';
import { cli, eventually, uniqueLabName } from '../helpers/real.ts';

/** Receives datagrams at the address in argv and prints each as a line of JSON; python3, as Node has no such sockets. */
const RECEIVER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
a = sys.argv[1]
s.bind('\\0' + a[1:] if a[0] == '@' else a)
print('"bound"', flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)`;

/** Opens unix sockets, given as NAME=PATH,NAME=PATH, and passes them to a command as systemd would. */
const LISTENER = `
import os, socket, sys
given = [each.split('=') for each in sys.argv[1].split(',')]
opened = [socket.socket(socket.AF_UNIX) for each in given]
for s, (name, path) in zip(opened, given): s.bind(path); s.listen(64)
# By way of others: one may have the number that another shall have.
for i, s in enumerate(opened): os.dup2(s.fileno(), 40 + i, False)
for i in range(len(opened)): os.dup2(40 + i, 3 + i)
os.environ.update(LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=':'.join(n for n, p in given), LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])`;

const hasPython = (() => {
  try {
    execFileSync('python3', ['-c', '']);
    return true;
  } catch {
    process.stderr.write('SKIPPED: tests of sd_notify (no python3)\n');
    return false;
  }
})();

describe.skipIf(!hasPython)('as a service', { timeout: 30_000 }, () => {
  let directory: string;
  let lab: string;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 's-'));
    lab = join(directory, 'lab.yaml');
    writeFileSync(lab, `name: ${uniqueLabName()}\nnodes: { a: { interfaces: { e: { device: memory } } } }\n`);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
    }
    rmSync(directory, { recursive: true });
  });

  function start(
    command: readonly string[],
    env: Record<string, string> = {},
  ): { text: string; child: ChildProcess } {
    const [program, ...args] = command;
    const child = spawn(program!, args, {
      env: { ...process.env, TAPLAB_STATE_DIRECTORY: directory, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const output = { text: '', child };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output.text += chunk;
    });
    return output;
  }

  const up = (socket: string): string[] => [
    process.execPath,
    cli,
    'up',
    lab,
    ...['--socket', socket, '--metrics', 'off', '--log-level', 'fatal', '--json'],
  ];

  test.each(['path', 'abstract'])(
    'says when it is up, alive and stopping, to a socket that is a %s',
    async (kind) => {
      const address = kind === 'path' ? join(directory, 'notify') : `@taplab-${process.pid}-${Date.now()}`;
      const receiver = start(['python3', '-c', RECEIVER, address]);
      await eventually(() => receiver.text.includes('bound'));
      const daemon = start(up(join(directory, 'c.sock')), {
        NOTIFY_SOCKET: address,
        WATCHDOG_USEC: '200000',
      });
      const told = (): string[] =>
        receiver.text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as string);
      await eventually(() => told().filter((line) => line === 'WATCHDOG=1').length >= 3, 10_000);
      expect(told()[1]).toMatch(/^READY=1\nSTATUS=lab \S+ is up$/);
      daemon.child.kill('SIGTERM');
      await eventually(() => told().includes('STOPPING=1'));
    },
  );

  test('a main loop that stands still is not said to be alive', async () => {
    const address = join(directory, 'notify');
    const receiver = start(['python3', '-c', RECEIVER, address]);
    await eventually(() => receiver.text.includes('bound'));
    const daemon = start(up(join(directory, 'c.sock')), { NOTIFY_SOCKET: address, WATCHDOG_USEC: '100000' });
    await eventually(() => receiver.text.includes('WATCHDOG=1'), 10_000);
    daemon.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const before = receiver.text;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(receiver.text).toBe(before);
    daemon.child.kill('SIGCONT');
    await eventually(() => receiver.text.length > before.length);
  });

  test('listens on a control socket that was passed to it, and leaves it to its maker', async () => {
    const socket = join(directory, 'passed.sock');
    const daemon = start(['python3', '-c', LISTENER, `control=${socket}`, ...up(socket)]);
    await eventually(() => daemon.text.includes('"pid"'), 10_000);
    const client = new ControlClient(socket);
    expect((await client.lab()).pid).toBe(daemon.child.pid);
    client.close();
    daemon.child.kill('SIGTERM');
    await new Promise((resolve) => daemon.child.once('exit', resolve));
    expect(execFileSync('ls', [directory], { encoding: 'utf8' })).toContain('passed.sock');
  });

  test('lets nodes join at a socket that was passed to it, whatever the order', async () => {
    const [control, joining] = [join(directory, 'c.sock'), join(directory, 'elsewhere.sock')];
    const nodes = '{ a: { join: true, interfaces: { eth0: {} } } }';
    writeFileSync(lab, `name: ${uniqueLabName()}\nnodes: ${nodes}\n`);
    const passed = `join=${joining},control=${control}`;
    const daemon = start(['python3', '-c', LISTENER, passed, ...up(control)]);
    await eventually(() => daemon.text.includes('"pid"'), 10_000);
    const file = openSync('/dev/null', 'r');
    await expect(handOver(joining, 'b', new Map([['eth0', file]]))).rejects.toThrow(/has no node "b"/);
    closeSync(file);
    expect(existsSync(joinSocketPath(control))).toBe(false);
    daemon.child.kill('SIGTERM');
    await new Promise((resolve) => daemon.child.once('exit', resolve));
    expect(existsSync(joining)).toBe(true);
  });

  test('without a service manager nothing is sent, and what is for another process is not taken', () => {
    const environment = { LISTEN_FDS: '1', LISTEN_PID: '1', WATCHDOG_USEC: '5', WATCHDOG_PID: '1' };
    const manager = ServiceManager.take(environment);
    expect(manager.sockets).toEqual({});
    expect(manager.watchdogMs).toBeUndefined();
    expect(environment).toEqual({});
    manager.ready('x');
    manager.close();
  });
});
