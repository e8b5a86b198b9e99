/** The programs as they are installed: dist/src/demo/demo.js and traffic.js, on kernel devices. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/reader.ts';

const DEMO = resolve('dist/src/demo/demo.js');
const TRAFFIC = resolve('dist/src/demo/traffic.js');

/** What is missing for these tests; says so. */
function missing(): boolean {
  const tried = spawnSync('unshare', ['-n', 'sh', '-c', 'ip tuntap add taplab-probe mode tap'], {
    encoding: 'utf8',
  });
  const why = existsSync(DEMO) ? (tried.status === 0 ? '' : tried.stderr.trim()) : 'dist is not built';
  if (why !== '') console.log(`skipped: the demo and its traffic on kernel devices: ${why}`);
  return why !== '';
}

describe.skipIf(missing())('on kernel devices', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'taplab test '));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Temporary files of the demo go into `folder`, so that those that are left can be seen. */
  function start(): { child: ChildProcess; output: () => string; closed: Promise<unknown[]> } {
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(process.execPath, [DEMO], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    }
    return { child, output: () => text, closed: once(child, 'close') };
  }

  function leftovers(): string[] {
    const namespaces = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout.split('\n');
    const processes = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        } catch {
          return '';
        }
      });
    return [
      ...namespaces.filter((name) => name.startsWith('taplab-demo-')),
      ...processes.filter((command) => command.includes(TRAFFIC) || command.includes('examples/demo.yaml')),
      ...readdirSync(folder).filter((name) => name !== 'taplab-demo.pcapng'),
    ];
  }

  it('the demo ends by itself with status 0, a report, a capture, and nothing else left', async () => {
    const { output, closed } = start();
    const [status] = await closed;
    expect([status, leftovers()], output()).toEqual([0, []]);
    expect(output()).toMatch(/tcp {6}\d+ transfers, .*bit\/s/);
    let count = 0;
    for await (const _packet of readCapture(createReadStream(join(folder, 'taplab-demo.pcapng')))) count++;
    const reported = /capture .*\(([\d,]+) frames/.exec(output())?.[1]?.replaceAll(',', '');
    expect(count).toBe(Number(reported));
  });

  const moments: [NodeJS.Signals, string, (output: string) => boolean][] = [
    ['SIGINT', 'the lab comes up', () => readdirSync(folder).some((name) => name.startsWith('taplab-demo-'))],
    ['SIGINT', 'traffic starts', (output) => output.includes('socket')],
    ['SIGTERM', 'filters are attached', (output) => output.includes('attached')],
  ];
  it.each(moments)('%s while %s: status 130, and nothing is left', async (signal, _name, isNow) => {
    const { child, output, closed } = start();
    while (!isNow(output()) && child.exitCode === null) await sleep(10);
    child.kill(signal);
    const [status] = await closed;
    expect([status, leftovers()], output()).toEqual([130, []]);
  });

  it('the traffic programs measure, report, and end on SIGTERM', () => {
    const script = `
      ip link set lo up
      node "$1" serve >serve.out & server=$!
      for i in 1 2 3 4 5 6 7 8 9 10; do grep -q listening serve.out && break; sleep 0.2; done
      node "$1" ping 127.0.0.1 --count 5 --interval 10
      node "$1" tcp 127.0.0.1 --bytes 100000
      node "$1" tcp 127.0.0.1 --bytes 1000 --seconds 1
      node "$1" ping 127.0.0.1 --count 2 --interval 10 --port 9
      kill $server; wait $server; echo "[$?]"; tail -1 serve.out`;
    const run = spawnSync('unshare', ['-n', 'sh', '-c', script, 'sh', TRAFFIC], {
      cwd: folder,
      encoding: 'utf8',
    });
    const [ping, once, repeated, unanswered, status, served] = run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ping).toMatchObject({ sent: 5, received: 5, lost: 0, rttMs: { min: expect.any(Number) } });
    expect(once).toMatchObject({ connections: 1, bytes: 100_000 });
    expect(repeated.connections).toBeGreaterThan(1);
    expect(repeated.bytes).toBe(repeated.connections * 1000);
    expect(unanswered).toEqual({ sent: 2, received: 0, lost: 2 });
    expect(status).toEqual([0]);
    expect(served).toMatchObject({ echoed: 5, connections: 1 + repeated.connections });
  });

  it.each([
    [[], /a command is missing/],
    [['tcp'], /needs the address/],
    [['ping', '127.0.0.1', '--count', '-3'], /--count/],
    [['ping', '127.0.0.1', '--count', '0'], /--count "0" is not a whole number from 1/],
    [['serve', '--bogus'], /bogus/],
    [['fly'], /unknown command "fly"/],
  ])('traffic %j is refused with status 2 and the usage', (args, message) => {
    const run = spawnSync(process.execPath, [TRAFFIC, ...args], { encoding: 'utf8' });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).toMatch(/usage: traffic serve/);
  });
});
