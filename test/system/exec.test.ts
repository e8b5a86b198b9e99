/** `taplab exec` and `down` with real namespaces, as a user meets them. The lab is `taplab-test-PID-exec`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { distPath } from '../helpers/dist.ts';
import { isMissing } from '../helpers/requirements.ts';

const LAB = `exec-${process.pid}`;

describe.skipIf(isMissing('namespaces', 'tun'))('a lab with namespaces', () => {
  let folder: string;

  function taplab(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const env = { ...process.env, TAPLAB_SOCKET: join(folder, 'lab.sock') };
    return spawnSync(process.execPath, [distPath('src/cli/main.js'), ...args], { env, encoding: 'utf8' });
  }

  let pid: number;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'taplab-exec-'));
    const file = join(folder, 'lab.yaml');
    writeFileSync(
      file,
      `name: ${LAB}\nnodes:\n  a: { interfaces: { eth0: { ip: 198.18.41.1/24 } } }\n  b: { interfaces: { eth0: { ip: 198.18.41.2/24 } } }\n`,
    );
    const { stdout, stderr } = taplab('up', file, '--detach', '--metrics', 'off', '--json');
    expect(stderr).toBe('');
    pid = (JSON.parse(stdout) as { pid: number }).pid;
  });

  afterAll(() => {
    taplab('down');
    rmSync(join('/run/taplab', `${LAB}.log`), { force: true });
    rmSync(folder, { recursive: true, force: true });
  });

  test.each([
    [['sh', '-c', 'exit 7'], 7, ''],
    [['no-such-command'], 127, 'taplab: command no-such-command is not found\n'],
    [['/nonexistent/command'], 127, 'taplab: command /nonexistent/command is not found\n'],
    [['/etc/passwd'], 126, 'taplab: /etc/passwd cannot be executed: EACCES\n'],
    [['/tmp'], 126, 'taplab: /tmp cannot be executed: EACCES\n'],
  ])('exec %j has status %d', (command, status, message) => {
    expect(taplab('exec', 'a', '--', ...command)).toMatchObject({ status, stderr: message });
  });

  test('a node whose namespace has lost its name is missed; what is left after SIGKILL is removed by down', () => {
    execFileSync('ip', ['netns', 'del', `taplab-${LAB}-a`]);
    const gone = taplab('exec', 'a', '--', 'true');
    expect([gone.status, gone.stderr]).toEqual([
      1,
      expect.stringContaining('the namespace of node a is gone'),
    ]);
    process.kill(pid, 'SIGKILL');
    while (taplab('ps').status === 0);
    const down = taplab('down');
    expect(down.status).toBe(0);
    expect(down.stderr).toContain(`removed namespaces taplab-${LAB}-b and socket`);
    expect(execFileSync('ip', ['netns'], { encoding: 'utf8' })).not.toContain(LAB);
  });
});
