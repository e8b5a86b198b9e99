/** The library on kernel devices: commands in nodes, frames of real programs, and nothing left however it ends. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processStartTime } from '../../src/lab/state.ts';
import type { Lab } from '../../src/library/lab.ts';
import { distPath, ROOT } from '../helpers/dist.ts';
import { eventually, namespacesOf } from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { library, pair } from './helper.ts';

const skip = isMissing('namespaces', 'tun');

describe.skipIf(skip)('a lab on kernel devices', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await library.Lab.up(pair('tap'));
  });
  afterAll(() => lab?.close());

  it('runs commands in its nodes and gives back what became of them', async () => {
    const { status, stdout } = await lab.node('a').exec('ip', ['-br', 'address', 'show', 'dev', 'eth0']);
    expect(status).toBe(0);
    expect(stdout).toContain('198.18.43.1/24');
    const script = 'read line; echo "$line $EXTRA" >&2; pwd; exit 3';
    const options = { input: 'typed\n', env: { EXTRA: 'more' }, cwd: '/' };
    expect(await lab.node('b').exec('sh', ['-c', script], options)).toEqual({
      status: 3,
      signal: null,
      stdout: '/\n',
      stderr: 'typed more\n',
    });
    expect(await lab.node('b').exec('sh', ['-c', 'kill -9 $$'])).toMatchObject({
      status: null,
      signal: 'SIGKILL',
    });
  });

  it.each([
    ['takes too long', 'sh', ['-c', 'echo begun; sleep 60 & wait'], 'ETIMEDOUT', /100 ms.*begun/s],
    ['writes without end', 'yes', [], 'ENOBUFS', /16 MiB/],
    ['is not there', 'no-such-command', [], 'ENOENT', /no-such-command/],
    ['may not be executed', '/etc/passwd', [], 'EACCES', /passwd/],
  ])('ends a command that %s', async (_what, command, args, code, message) => {
    const timeoutMs = code === 'ETIMEDOUT' ? 100 : 20_000;
    const running = lab.node('a').exec(command, args, { timeoutMs });
    await expect(running).rejects.toMatchObject({ name: 'CommandError', code, message });
  });

  it('ends a command whose signal is aborted, before it starts or later', async () => {
    const controller = new AbortController();
    const running = lab.node('a').exec('sleep', ['60'], { signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    await expect(running).rejects.toMatchObject({ code: 'ECANCELED', message: /changed my mind/ });
    const late = lab.node('a').exec('sleep', ['60'], { signal: controller.signal });
    await expect(late).rejects.toMatchObject({ code: 'ECANCELED' });
  });

  it.skipIf(isMissing('ping'))('shows what programs send, and what a changed link makes of it', async () => {
    const echoes = await lab.interface('a:eth0').attach('icmp[icmptype] == icmp-echo or icmp[icmptype] == 0');
    const ping = (): Promise<{ status: number | null }> =>
      lab.node('a').exec('ping', ['-c', '1', '-W', '2', '198.18.43.2']);
    await lab.link('ab').set('delay 15ms');
    expect((await ping()).status).toBe(0);
    const [request, reply] = await echoes.take(2);
    expect([request!.direction, reply!.direction]).toEqual(['in', 'out']);
    expect(library.elapsedMs(request!, reply!)).toBeGreaterThanOrEqual(30);
    await lab.link('ab').set('loss 100%', 'reverse');
    await echoes.clear();
    expect((await ping()).status).toBe(1);
    expect(echoes.status()).toMatchObject({ attached: true, dropped: 0 });
    expect(await echoes.frames()).toHaveLength(1);
    await lab.link('ab').set('clear');
  });

  it('runs servers until they are killed, and knows what they wrote', async () => {
    const server = await lab.node('b').spawn('sh', ['-c', 'echo ready on 80; sleep 300']);
    expect((await server.waitForOutput(/ready on (\d+)/))[1]).toBe('80');
    await expect(server.waitForOutput('never', { timeoutMs: 30 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: /ready on 80/,
    });
    expect(server.result).toBeUndefined();
    expect(await server.kill()).toMatchObject({ signal: 'SIGTERM', stdout: 'ready on 80\n' });
    await expect(server.waitForOutput('never')).rejects.toMatchObject({ code: 'ENXIO', message: /SIGTERM/ });
  });

  it('is no memory device', () => {
    expect(() => lab.interface('a:eth0').send(new Uint8Array(60))).toThrow(/is a tap device/);
  });
});

describe.skipIf(skip)('when a lab is closed', () => {
  it('its commands end, those that ignore SIGTERM and those that left their group too, and it leaves nothing', async () => {
    const lab = await library.Lab.up(pair('tap'));
    const stubborn = await lab
      .node('a')
      .spawn('sh', ['-c', "trap '' TERM; echo on; while :; do sleep 1; done"]);
    await stubborn.waitForOutput('on');
    const escaped = await lab.node('b').spawn('setsid', ['sh', '-c', 'echo pid $$; exec sleep 300']);
    const pid = Number((await escaped.waitForOutput(/pid (\d+)/))[1]);
    const running = lab.node('a').exec('sleep', ['300']);
    running.catch(() => {});
    await lab.close();
    await expect(running).rejects.toMatchObject({ code: 'ECANCELED', message: /is down/ });
    expect((await stubborn.exited).signal).toBe('SIGKILL');
    expect(isAlive(pid)).toBe(false);
    expect(await namespacesOf(lab.name)).toEqual([]);
  });

  it('the name is free again', async () => {
    const name = `again-${process.pid}`;
    const first = await library.Lab.up(pair('tap'), { name });
    await expect(library.Lab.up(pair('tap'), { name })).rejects.toThrow(/already running/);
    await first.close();
    const second = await library.Lab.up(pair('tap'), { name });
    expect(second.name).toBe(name);
    await second.close();
  });
});

describe.skipIf(skip)('when the process with a lab', () => {
  const holder = join(import.meta.dirname, 'holder.mjs');
  const start = async (how: string) => {
    const child = spawn(process.execPath, [holder, distPath('src/index.js'), how], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, exited, ...(JSON.parse(String(line)) as { name: string; pid: number }) };
  };

  it.each([
    ['calls process.exit()', 'exit', undefined, [3, null]],
    ['throws', 'throw', undefined, [1, null]],
    ['gets SIGINT', 'wait', 'SIGINT', [null, 'SIGINT']],
    ['gets SIGTERM', 'wait', 'SIGTERM', [null, 'SIGTERM']],
  ] as const)('%s, nothing is left, and it ends as it would have', async (_what, how, signal, status) => {
    const { child, exited, name, pid } = await start(how);
    if (signal !== undefined) child.kill(signal);
    expect(await exited).toEqual(status);
    expect(await namespacesOf(name)).toEqual([]);
    expect(isAlive(pid)).toBe(false);
  });

  it('is killed, the next lab that comes up removes what is left, running commands included', async () => {
    const { child, exited, name, pid } = await start('wait');
    child.kill('SIGKILL');
    await exited;
    expect((await namespacesOf(name)).length).toBe(2);
    const next = await library.Lab.up(pair('tap'));
    try {
      expect(await namespacesOf(name)).toEqual([]);
      await eventually(() => !isAlive(pid));
    } finally {
      await next.close();
    }
  });
});

describe.skipIf(skip)('without the rights', () => {
  it('requirements() says what is missing, and up() says so too and which tests to skip', () => {
    const script = join(mkdtempSync(join(tmpdir(), 'taplab-rights-')), 'script.mjs');
    writeFileSync(
      script,
      `const { Lab } = await import(${JSON.stringify(distPath('src/index.js'))});
       const { met, reason } = await Lab.requirements();
       const error = await Lab.up(${JSON.stringify(pair('tap'))}).catch((error) => error);
       console.log(JSON.stringify({ met, reason, name: error.name, message: error.message }));
       process.exit();`,
    );
    chmodSync(join(script, '..'), 0o755);
    // No capabilities; root's files can still be read.
    const bare = ['--bounding-set=-all', '--inh-caps=-all', process.execPath, script];
    const { stdout, stderr } = spawnSync('setpriv', bare, { encoding: 'utf8' });
    const { met, reason, name, message } = JSON.parse(stdout || '{}') as Record<string, string>;
    expect(stderr).toBe('');
    expect(met).toBe(false);
    expect(reason).toMatch(/tap device|rights|tun/);
    expect(name).toBe('RequirementsError');
    expect(message).toMatch(/Skip such tests unless `\(await Lab.requirements\(\)\).met`/);
  });

  it('requirements() is met where labs run', async () => {
    expect(await library.Lab.requirements()).toEqual({ met: true, missing: [] });
  });
});

describe.skipIf(skip)('the worked example', () => {
  it('passes', () => {
    const file = join(ROOT, 'examples', 'library', 'bad-link.test.mjs');
    // Without this variable: node:test would report to the runner that it takes for its own.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', file], {
      encoding: 'utf8',
      env,
    });
    expect(stdout).toMatch(/# pass 5/);
    expect(stdout).toMatch(/# fail 0/);
    expect(status).toBe(0);
  }, 60_000);
});

/** A zombie has ended; its parent may be one that does not look. */
function isAlive(pid: number): boolean {
  return processStartTime(pid) !== undefined;
}
