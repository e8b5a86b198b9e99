/**
 * Labs on real devices, run as a user would: `taplab up` in a process of its own. Names are unique to the test
 * process, and everything is taken down even when a test fails.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stateDirectory } from '../../src/lab/state.ts';
import { distPath } from './dist.ts';

/** Runs a program to its end; rejects when it fails. */
export const run: (file: string, args: readonly string[]) => Promise<{ stdout: string; stderr: string }> =
  promisify(execFile);

/** Why tests on real devices cannot run here; undefined when they can. Printed once. */
export const noRealDevices: string | undefined = (() => {
  let reason: string | undefined;
  if (process.getuid?.() !== 0) reason = 'not root';
  else {
    try {
      accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    } catch {
      reason = '/dev/net/tun cannot be opened';
    }
  }
  if (reason && process.env.REQUIRE_REAL) throw new Error(`tests on real devices cannot run: ${reason}`);
  if (reason) process.stderr.write(`SKIPPED: tests on real devices (${reason})\n`);
  return reason;
})();

let labs = 0;

/** A lab name that no other test uses. */
export function uniqueLabName(): string {
  return `t${process.pid}-${++labs}`;
}

export const cli: string = distPath('src/cli/main.js');

/** Runs a taplab command to its end. */
export async function taplab(
  args: readonly string[],
  socket?: string,
): Promise<{ status: number; stdout: string; stderr: string }> {
  const env = { ...process.env, ...(socket && { TAPLAB_SOCKET: socket }) };
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { env }, (error, stdout, stderr) => {
      resolve({ status: error ? ((error.code as unknown as number) ?? 1) : 0, stdout, stderr });
    });
  });
}

export type RunningLab = {
  readonly name: string;
  readonly socket: string;
  readonly directory: string;
  readonly metrics: string;
  readonly daemon: ChildProcess;
  /** The namespace of a node. */
  namespace(node: string): string;
  /** Runs node with a script inside a node of the lab. */
  spawnIn(node: string, script: string, ...args: string[]): ChildProcess;
  /** A request on the control socket; throws when the status is not 2xx. */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** SIGTERM, and the exit status. */
  stop(): Promise<number | null>;
};

/** A lab of two nodes, a (198.18.0.1) and b (198.18.0.2), and the link `ab`. */
export function pairYaml(name: string, extra = '', impair = '{}'): string {
  return `name: ${name}
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1/24 } } }
  b: { interfaces: { eth0: { ip: 198.18.0.2/24 } } }
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"], impair: ${impair} }
${extra}`;
}

/** Brings a lab up and waits until it can be used. Give `stop()` to the test's clean-up. */
export async function startLab(
  name: string,
  yaml: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningLab> {
  const directory = mkdtempSync(join(tmpdir(), `taplab-${name}-`));
  const file = join(directory, 'lab.yaml');
  const socket = join(directory, 'control.sock');
  writeFileSync(file, yaml);
  const daemon = spawn(
    process.execPath,
    [cli, 'up', file, '--socket', socket, '--metrics', '127.0.0.1:0', '--log-level', 'info', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'], env },
  );
  const exited = new Promise<number | null>((resolve) => daemon.on('exit', resolve));
  // The run's last resort, temporary-root.ts, would find it too, but only at the end.
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
  const metrics = await untilUp(daemon).catch((error: unknown) => {
    removeDirectory();
    throw error;
  });
  const namespace = (node: string): string => `taplab-${name}-${node}`;
  return {
    name,
    socket,
    directory,
    metrics,
    daemon,
    namespace,
    spawnIn: (node, script, ...more) =>
      spawn('ip', ['netns', 'exec', namespace(node), process.execPath, script, ...more], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    request: (method, path, body) => request(socket, method, path, body),
    stop: async () => {
      daemon.kill('SIGTERM');
      const status = await exited;
      removeDirectory();
      // What the test has changed is kept for a next run, which there is not.
      rmSync(join(stateDirectory(), `${name}.resume`), { force: true });
      return status;
    },
  };
}

/** Reads the daemon's log until it says that the lab is up; yields the metrics URL. */
function untilUp(daemon: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    daemon.stderr!.setEncoding('utf8');
    daemon.stderr!.on('data', (chunk: string) => {
      text += chunk;
      const up = /"metrics":"([^"]+)".*"msg":"lab is up"/.exec(text);
      if (up) resolve(up[1]!);
    });
    daemon.on('exit', (status) => reject(new Error(`taplab up ended with ${status}: ${text}`)));
  });
}

async function request<T>(socketPath: string, method: string, path: string, body?: unknown): Promise<T> {
  const { request: httpRequest } = await import('node:http');
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const outgoing = httpRequest({ socketPath, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const ok = response.statusCode! >= 200 && response.statusCode! < 300;
        if (ok) resolve((text === '' ? undefined : JSON.parse(text)) as T);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Names of the namespaces of a lab that are there now. */
export async function namespacesOf(name: string): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((each) => each.startsWith(`taplab-${name}-`));
}

/** Whatever a failed test left. */
export async function removeNamespaces(name: string): Promise<void> {
  for (const namespace of await namespacesOf(name)) await run('ip', ['netns', 'del', namespace]);
}

/** Waits until `condition` holds; throws after `timeoutMs`. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
