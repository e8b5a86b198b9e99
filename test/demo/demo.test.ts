/** The programs as they are installed: dist/src/demo/demo.js and traffic.js, on kernel devices. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/reader.ts';
import { stateDirectory } from '../../src/lab/state.ts';
import { eventually } from '../helpers/real.ts';

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

  type Demo = { child: ChildProcess; lab: string; output: () => string; closed: Promise<unknown[]> };

  /** Temporary files of the demo go into `folder`, so that those that are left can be seen. */
  function start(): Demo {
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(process.execPath, [DEMO], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    }
    return { child, lab: `demo-${child.pid}`, output: () => text, closed: once(child, 'close') };
  }

  /** Everything of one demo: others may run on this machine. */
  function leftovers({ lab }: Demo): string[] {
    const namespaces = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout.split('\n');
    return [
      ...namespaces.filter((name) => name.startsWith(`taplab-${lab}-`)),
      ...processesOf(lab),
      ...readdirSync(stateDirectory()).filter((name) => name.startsWith(`${lab}.`)),
      ...readdirSync(folder).filter((name) => !/^taplab-demo(-\d+)?\.pcapng$/.test(name)),
    ];
  }

  /** The daemon has the lab's name in its arguments; the traffic programs have the demo's folder in their environment. */
  function processesOf(lab: string): string[] {
    const found: string[] = [];
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        const isTraffic = command.includes(TRAFFIC) && environment.includes(folder);
        if (isTraffic || command.includes(`/${lab}.sock`)) found.push(`${pid} ${command}`);
      } catch {
        // It has ended.
      }
    }
    return found;
  }

  async function untilNow(demo: Demo, isNow: (demo: Demo) => boolean): Promise<void> {
    while (!isNow(demo) && demo.child.exitCode === null) await sleep(10);
  }

  it('two demos at once end by themselves with status 0, a report, a capture each, and nothing else left', async () => {
    const demos = [start(), start()];
    await Promise.all(demos.map(({ closed }) => closed));
    for (const demo of demos) {
      const output = demo.output();
      expect([demo.child.exitCode, leftovers(demo)], output).toEqual([0, []]);
      expect(output).toMatch(/tcp {6}\d+ transfers, .*bit\/s/);
      const [, path, reported] = /capture {2}(.*) \(([\d,]+) frames/.exec(output) ?? [];
      let count = 0;
      for await (const _packet of readCapture(createReadStream(path ?? ''))) count++;
      expect(count).toBe(Number(reported?.replaceAll(',', '')));
    }
    expect(readdirSync(folder)).toHaveLength(2);
  });

  const isComingUp = ({ lab }: Demo) => existsSync(join(stateDirectory(), `${lab}.json`));
  const isStarting = ({ output }: Demo) => output().includes('socket');
  const isRunning = ({ output }: Demo) => output().includes('attached');

  const moments: [NodeJS.Signals, string, (demo: Demo) => boolean][] = [
    ['SIGINT', 'the lab comes up', isComingUp],
    ['SIGQUIT', 'traffic starts', isStarting],
    ['SIGTERM', 'filters are attached', isRunning],
  ];
  it.each(moments)('%s while %s: status 130, and nothing is left', async (signal, _name, isNow) => {
    const demo = start();
    await untilNow(demo, isNow);
    demo.child.kill(signal);
    const [status] = await demo.closed;
    expect([status, leftovers(demo)], demo.output()).toEqual([130, []]);
  });

  it.each([
    ['the lab comes up', isComingUp],
    ['traffic starts', isStarting],
    ['filters are attached', isRunning],
  ])('killed while %s: everything ends soon, and nothing is left', async (_name, isNow) => {
    const demo = start();
    await untilNow(demo, isNow);
    demo.child.kill('SIGKILL');
    await demo.closed;
    await eventually(() => leftovers(demo).length === 0);
  });

  it('when its lab is killed says so, and leaves nothing', async () => {
    const demo = start();
    await untilNow(demo, isStarting);
    killDaemon(demo);
    await demo.closed;
    expect([demo.child.exitCode, leftovers(demo)]).toEqual([1, []]);
    expect(demo.output()).toMatch(/^taplab: the lab failed: it was ended by SIGKILL$/m);
  });

  it('what a demo that was killed with its lab has left, the next one removes', async () => {
    const killed = start();
    await untilNow(killed, isStarting);
    killed.child.kill('SIGKILL');
    killDaemon(killed);
    await killed.closed;
    expect(leftovers(killed)).toContain(`${killed.lab}.json`);
    const next = start();
    await untilNow(next, isComingUp);
    await eventually(() => leftovers(killed).length === 0);
    next.child.kill('SIGTERM');
    await next.closed;
    expect(leftovers(next)).toEqual([]);
  });

  function killDaemon({ lab }: Demo): void {
    const [daemon] = processesOf(lab).filter((each) => each.includes(`/${lab}.sock`));
    process.kill(Number.parseInt(daemon ?? '', 10), 'SIGKILL');
  }

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
    [['ping', '127.0.0.1', '--count', '1000001'], /--count .* to 1000000/],
    [['ping', '127.0.0.1', '--interval', '999999999999'], /--interval .* from 1 to 60000/],
    [['ping', '127.0.0.1', '--size', '65508'], /--size .* to 65507/],
    [['ping', '127.0.0.1', '--port', '65536'], /--port .* to 65535/],
    [['tcp', '127.0.0.1', '--bytes', '1e9'], /--bytes/],
    [['tcp', '127.0.0.1', '--bytes', '9999999999999'], /--bytes .* to 1099511627776/],
    [['tcp', '127.0.0.1', '--seconds', '2147484'], /--seconds .* to 86400/],
    [['serve', '--seconds', '2147484'], /--seconds .* to 86400/],
    [['serve', '--bogus'], /bogus/],
    [['fly'], /unknown command "fly"/],
  ])('traffic %j is refused with status 2 and the usage', (args, message) => {
    const run = spawnSync(process.execPath, [TRAFFIC, ...args], { encoding: 'utf8' });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).toMatch(/usage: traffic serve/);
  });
});
