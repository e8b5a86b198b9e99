/** Labs whose nodes join: the emulator as a process without any privilege, the nodes as namespaces of their own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ControlClient } from '../../src/control/client.ts';
import { cli, eventually, uniqueLabName } from '../helpers/real.ts';

/** nobody. */
const UID = 65_534;

export type Output = { readonly child: ChildProcess; text: string };

/** A folder with a lab file, in which emulators and nodes are started; all of it goes with close(). */
export class JoinedLab {
  readonly name: string = uniqueLabName();
  readonly directory: string = mkdtempSync(join(tmpdir(), 'j-'));
  readonly socket: string = join(this.directory, 'c.sock');
  readonly joinSocket: string = join(this.directory, 'c.join.sock');
  readonly client: ControlClient = new ControlClient(this.socket);
  readonly #children: Output[] = [];
  readonly #namespaces: string[] = [];

  constructor(yaml: string) {
    this.write(yaml);
    chmodSync(this.directory, 0o755);
    chownSync(this.directory, UID, UID);
    for (const node of ['a', 'b']) {
      execFileSync('ip', ['netns', 'add', this.namespace(node)]);
      this.#namespaces.push(this.namespace(node));
    }
  }

  /** Writes the lab file. */
  write(yaml: string): void {
    writeFileSync(join(this.directory, 'lab.yaml'), `name: ${this.name}\n${yaml}`);
  }

  namespace(node: string): string {
    return `taplab-${this.name}-${node}`;
  }

  /** Starts an emulator with no privilege and no capability, and waits until it answers. */
  async up(...options: string[]): Promise<Output> {
    const drop = ['--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups', '--no-new-privs'];
    const run = ['setpriv', ...drop, '--inh-caps=-all', '--bounding-set=-all'];
    const file = join(this.directory, 'lab.yaml');
    const emulator = this.spawn([...run, process.execPath, cli, 'up', file, '--metrics', 'off', ...options]);
    await eventually(() => emulator.text.includes('lab is up'), 20_000);
    return emulator;
  }

  /** Starts `taplab join` in a node's namespace, with no more than it needs. */
  join(node: string, ...options: string[]): Output {
    return this.spawn([
      ...this.within(node),
      process.execPath,
      cli,
      'join',
      node,
      '--wait',
      '10',
      ...options,
    ]);
  }

  within(node: string): string[] {
    const capabilities = ['--bounding-set=-all,+net_admin,+net_raw,+dac_override', '--no-new-privs'];
    return ['ip', 'netns', 'exec', this.namespace(node), 'setpriv', ...capabilities];
  }

  /** Runs a command in a node's namespace; its stdout. Throws when it fails. */
  run(node: string, ...command: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace(node), ...command], { encoding: 'utf8' });
  }

  spawn([program, ...args]: string[]): Output {
    const env = { ...process.env, TAPLAB_SOCKET: this.socket, TAPLAB_STATE_DIRECTORY: this.directory };
    const child = spawn(program!, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Output = { child, text: '' };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output.text += chunk;
      });
    }
    this.#children.push(output);
    return output;
  }

  /** Whether an interface is up, as the emulator sees it. */
  async isUp(name: string): Promise<boolean> {
    return (await this.client.interface(name)).up;
  }

  /** What the metrics say of an interface. */
  async upMetric(name: string): Promise<number> {
    const metrics = await new Promise<string>((resolve, reject) => {
      get({ socketPath: this.socket, path: '/metrics' }, (response) =>
        text(response).then(resolve, reject),
      ).on('error', reject);
    });
    return Number(new RegExp(`^taplab_interface_up\\{interface="${name}"\\} (\\d)$`, 'm').exec(metrics)?.[1]);
  }

  async close(): Promise<void> {
    this.client.close();
    for (const { child } of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await ended(child);
    }
    for (const name of this.#namespaces) execFileSync('ip', ['netns', 'del', name]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The exit status of a process; null when a signal ended it. */
export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once('exit', resolve));
}

export const PAIR = `nodes:
  a: { join: true, interfaces: { eth0: { ip: [198.18.0.1/24, "fd00::1/64"], mtu: 1400 } }, routes: [default via 198.18.0.2] }
  b: { join: true, interfaces: { eth0: { ip: 198.18.0.2/24 } } }
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"] }
`;
