/** The built `taplab` as a process of its own: signals, pipes that close, and a lab in the background. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { processStartTime, stateDirectory } from '../../src/lab/state.ts';
import { eventually, type Fixture, startFixture } from '../control/fixture.ts';

const MAIN = join(import.meta.dirname, '../../dist/src/cli/main.js');
const built = existsSync(MAIN);
if (!built) console.warn(`skipped: ${MAIN} is not there; run \`npm run build\``);

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab process '));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const frame = Buffer.alloc(60, 1);

describe.skipIf(!built)('dump', () => {
  let fixture: Fixture;
  let child: ChildProcess;
  let messages: string;

  beforeEach(async () => {
    fixture = await startFixture();
    messages = '';
  });

  afterEach(async () => {
    child.kill('SIGKILL');
    await fixture.close();
  });

  /** Starts dump and waits until it listens. */
  async function startDump(...args: string[]): Promise<void> {
    child = spawn(process.execPath, [MAIN, '--socket', fixture.socketPath, 'dump', 'client:eth0', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      messages += text;
    });
    const listens = (): boolean =>
      fixture.emulator
        .descriptors()
        .some((each) => fixture.captures.of(each).status().subscribers.length > 0);
    for (let i = 0; i < 5 && !listens(); i++)
      await eventually(listens, 'dump listens').catch(() => undefined);
    expect(listens(), messages).toBe(true);
  }

  test('ends complete on Ctrl-C: trailer, summary, exit status 0, descriptor closed', async () => {
    const path = join(folder, 'interrupted.pcapng');
    await startDump('-w', path);
    const descriptor = fixture.emulator.descriptors()[0]!;
    descriptor.capture(frame);
    await eventually(() => fixture.captures.of(descriptor).status().subscribers[0]?.frames === 1, 'delivery');
    child.kill('SIGINT');
    const [status] = await once(child, 'exit');
    expect(status, messages).toBe(0);
    expect(messages).toContain('1 frame captured, 0 dropped');
    expect(fixture.emulator.descriptors()).toEqual([]);
    const bytes = readFileSync(path);
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) types.push(bytes.readUInt32LE(at));
    expect(types).toEqual([0x0a0d0d0a, 1, 6, 5]);
  });

  test('ends quietly when nobody reads its output any more, and the descriptor is closed', async () => {
    await startDump();
    const descriptor = fixture.emulator.descriptors()[0]!;
    descriptor.capture(frame);
    await once(child.stdout!, 'data');
    child.stdout!.destroy();
    descriptor.capture(frame);
    const [status] = await once(child, 'exit');
    expect(status).toBe(141);
    expect(messages).not.toMatch(/error|EPIPE/i);
    await eventually(() => fixture.emulator.descriptors().length === 0, 'the descriptor is closed');
  });

  test.skipIf(!existsSync('/dev/full'))('says that its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w');
    child = spawn(process.execPath, [MAIN, '--socket', fixture.socketPath, 'ps'], {
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      messages += text;
    });
    const [status] = await once(child, 'close');
    expect([status, messages]).toEqual([1, 'taplab: cannot write to stdout: ENOSPC\n']);
  });

  test('leaves no descriptor behind when it is killed', async () => {
    await startDump();
    child.kill('SIGKILL');
    await eventually(() => fixture.emulator.descriptors().length === 0, 'the descriptor is closed');
  });

  test('says so when taplab goes away', async () => {
    await startDump();
    await fixture.emulator.descriptors()[0]!.close();
    const [status] = await once(child, 'exit');
    expect(status).toBe(0);
    expect(messages).toContain('0 frames captured; the descriptor was closed');
  });
});

describe.skipIf(!built)('a lab in the background', () => {
  const lab = `
name: background-test
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1/24, device: memory } } }
  b: { interfaces: { eth0: { ip: 198.18.0.2/24, device: memory } } }
links:
  - { name: wire, endpoints: [a:eth0, b:eth0] }
`;
  afterAll(() => {
    for (const kept of ['log', 'resume'])
      rmSync(join(stateDirectory(), `background-test.${kept}`), { force: true });
  });

  type Outcome = { readonly status: number; readonly stdout: string; readonly stderr: string };

  let env: NodeJS.ProcessEnv;
  /** Where these processes keep state: root has one place only. */
  let state: string;

  beforeAll(() => {
    env = { ...process.env, TAPLAB_SOCKET: join(folder, 'lab.sock'), XDG_RUNTIME_DIR: folder };
    state = process.getuid?.() === 0 ? stateDirectory() : join(folder, 'taplab');
  });

  async function taplab(...args: string[]): Promise<Outcome> {
    try {
      return {
        status: 0,
        ...(await promisify(execFile)(process.execPath, [MAIN, ...args], { env, cwd: folder })),
      };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { status: code, stdout, stderr };
    }
  }

  test('comes up, answers, refuses a second one, and goes down', async () => {
    writeFileSync(join(folder, 'lab.yaml'), lab);
    const up = await taplab('up', 'lab.yaml', '--detach', '--metrics', '127.0.0.1:0', '--json');
    expect(up.stderr).toBe('');
    const info = JSON.parse(up.stdout) as { pid: number; metrics: string };
    try {
      expect(await (await fetch(info.metrics)).text()).toContain('taplab_build_info');
      expect((await taplab('ps')).stdout).toContain(`lab background-test: pid ${info.pid}`);
      const second = await taplab('up', 'lab.yaml', '--detach', '--metrics', 'off');
      expect(second.status).toBe(1);
      expect(second.stderr).toMatch(/^taplab: lab background-test is already running \(pid \d+\)/);
      const node = await taplab('exec', 'a', '--', 'true');
      expect(node.stderr).toContain('no namespace');
    } finally {
      expect(await taplab('down')).toMatchObject({ status: 0, stderr: 'lab background-test is down\n' });
    }
    // A process that nobody has waited for yet is gone all the same.
    expect(processStartTime(info.pid)).toBeUndefined();
    expect(existsSync(join(folder, 'lab.sock'))).toBe(false);
  });

  test('that cannot come up says why, and nothing runs', async () => {
    writeFileSync(join(folder, 'lab.yaml'), lab);
    const up = await taplab('up', 'lab.yaml', '--detach', '--metrics', '192.0.2.1:1');
    expect(up.status).toBe(1);
    expect(up.stderr).toMatch(/^taplab: cannot serve metrics on 192.0.2.1:1: listen: EADDRNOTAVAIL/);
    expect((await taplab('ps')).status).toBe(1);
    expect(readdirSync(state).filter((name) => /^\..*\.log$/.test(name))).toEqual([]);
  });

  test.each([0, 200, 400, 600, 800])(
    'interrupted after %d ms of starting is up or down, as it says',
    async (ms) => {
      writeFileSync(join(folder, 'lab.yaml'), lab);
      const up = spawn(process.execPath, [MAIN, 'up', 'lab.yaml', '--detach', '--metrics', 'off'], {
        env,
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      up.stderr!.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const ended = once(up, 'exit');
      // Not before the background process runs: until then Ctrl-C ends this one as any other program.
      await eventually(
        () => readdirSync(state).some((name) => name.startsWith('.background-test')),
        'it starts',
      );
      setTimeout(() => up.kill('SIGINT'), ms);
      const [status, signal] = await ended;
      if (status === 0) expect((await taplab('down')).status).toBe(0);
      else if (signal === null)
        expect([status, said]).toEqual([130, 'taplab: interrupted; the lab is down\n']);
      expect((await taplab('ps')).status).toBe(1);
      expect(existsSync(join(state, 'background-test.json'))).toBe(false);
    },
  );

  test('that is stopped is waited for as long as --timeout says, and what is killed is cleaned up by down', async () => {
    writeFileSync(join(folder, 'lab.yaml'), lab);
    const up = await taplab('up', 'lab.yaml', '--detach', '--metrics', 'off', '--json');
    const { pid } = JSON.parse(up.stdout) as { pid: number };
    process.kill(pid, 'SIGSTOP');
    const startMs = Date.now();
    const down = await taplab('down', '--timeout', '1');
    expect(Date.now() - startMs).toBeLessThan(5000);
    expect([down.status, down.stderr]).toEqual([
      1,
      expect.stringContaining(`taplab (pid ${pid}) does not answer`),
    ]);
    process.kill(pid, 'SIGKILL');
    await eventually(() => processStartTime(pid) === undefined, 'it is gone');
    expect((await taplab('ps')).stderr).toContain(
      `lab background-test (pid ${pid}) ended without clean-up; \`taplab down\` removes what it left`,
    );
    const again = await taplab('down');
    expect(again.status).toBe(0);
    expect(again.stderr).toContain(`had ended without clean-up: removed socket ${join(folder, 'lab.sock')}`);
    expect((await taplab('down')).status).toBe(1);
    expect(existsSync(join(state, 'background-test.json'))).toBe(false);
  });
});
