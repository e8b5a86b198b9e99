/**
 * The lab on TAP devices: `taplab up` as a user would start it, and traffic programs in the nodes' namespaces.
 *
 * The lab is called demo-PID after the demo's process, so that several demos can run at a time. All programs end with
 * the demo, even when it is killed, and the lab goes with them; it has no files but those of every lab.
 */
import { closeSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ControlClient } from '../control/client.ts';
import { ensureStateDirectory } from '../lab/state.ts';
import { PACKAGE_ROOT } from '../package.ts';
import { Child } from './child.ts';
import { labName, removeLeftovers } from './leftovers.ts';
import {
  Interrupted,
  PING_INTERVAL_MS,
  type Stage,
  TRAFFIC_SECONDS,
  TRANSFER_BYTES,
  type TrafficResult,
} from './stage.ts';

const CLI: string = join(PACKAGE_ROOT, 'dist', 'src', 'cli', 'main.js');
const TRAFFIC: string = fileURLToPath(new URL('./traffic.js', import.meta.url));
const SERVER = '198.18.0.2';
/** Longer than the demo. */
const SERVE_SECONDS = 60;
const TRAFFIC_PATIENCE_MS = 2000;
const UNTIL_STDIN_CLOSES = '--until-stdin-closes';

export class KernelStage implements Stage {
  readonly description: string = 'TAP devices, a network namespace for each node';
  readonly client: ControlClient;
  readonly broken: Promise<never>;
  metricsUrl = '';
  readonly #labFile: string;
  readonly #signal: AbortSignal;
  readonly #daemon: Child;
  readonly #traffic: Child[] = [];
  #closing: Promise<void> | undefined;

  private constructor(labFile: string, signal: AbortSignal) {
    this.#labFile = labFile;
    this.#signal = signal;
    const socket = join(ensureStateDirectory(), `${labName()}.sock`);
    this.client = new ControlClient(socket);
    const options = ['--socket', socket, '--metrics', '127.0.0.1:0', '--log-level', 'warn', '--json'];
    const args = [CLI, 'up', '/proc/self/fd/3', UNTIL_STDIN_CLOSES, ...options];
    const file = openNamedLab(labFile);
    try {
      this.#daemon = new Child('the lab', process.execPath, args, file);
    } finally {
      closeSync(file);
    }
    this.broken = this.#daemon.ended.then(() => {
      throw this.#daemon.failure();
    });
    // It ends when it is told to as well, and then nobody waits for this.
    this.broken.catch(() => undefined);
  }

  /** Throws what kept the lab from coming up; nothing is left behind then. */
  static async up(labFile: string, signal: AbortSignal): Promise<KernelStage> {
    await removeLeftovers(labFile);
    const stage = new KernelStage(labFile, signal);
    try {
      await stage.#ready();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async startTraffic(): Promise<void> {
    const { nodes } = await this.client.lab();
    const [client, server] = nodes.map((node) => node.namespace ?? '');
    const serve = this.#run(server, 'serve', '--seconds', String(SERVE_SECONDS));
    await this.#unlessInterrupted(serve.line((line) => line.includes('listening')));
    const count = (TRAFFIC_SECONDS * 1000) / PING_INTERVAL_MS;
    this.#run(client, 'ping', SERVER, '--count', String(count), '--interval', String(PING_INTERVAL_MS));
    this.#run(client, 'tcp', SERVER, '--bytes', String(TRANSFER_BYTES), '--seconds', String(TRAFFIC_SECONDS));
  }

  async second(): Promise<void> {
    await sleep(1000, undefined, { signal: this.#signal }).catch(() => undefined);
  }

  async trafficResult(): Promise<TrafficResult> {
    const [, ping, tcp] = this.#traffic;
    return { ping: await this.#result(ping), tcp: await this.#result(tcp) };
  }

  close(): Promise<void> {
    this.#closing ??= this.#takeDown();
    return this.#closing;
  }

  async #ready(): Promise<void> {
    const line = await this.#unlessInterrupted(this.#daemon.line((each) => each.startsWith('{')));
    const info: { metrics?: string } = JSON.parse(line);
    this.metricsUrl = info.metrics ?? '';
  }

  #run(namespace: string | undefined, command: string, ...args: string[]): Child {
    const inNode = ['netns', 'exec', namespace ?? '', process.execPath, TRAFFIC, command];
    const options = [...args, UNTIL_STDIN_CLOSES];
    const child = new Child(`traffic ${command}`, 'ip', [...inNode, ...options]);
    this.#traffic.push(child);
    return child;
  }

  async #result<Result>(child: Child | undefined): Promise<Result> {
    if (child === undefined) throw new Error('the traffic was not started');
    const status = await this.#unlessInterrupted(child.ended);
    const line = child.lines.at(-1);
    if (status !== 0 || line === undefined) throw child.failure();
    return JSON.parse(line) as Result;
  }

  /** Nobody can take back what a child was asked to do, but the demo need not wait for it. */
  async #unlessInterrupted<Value>(promise: Promise<Value>): Promise<Value> {
    const stop = new AbortController();
    const interrupted = new Promise<never>((_, reject) => {
      const fail = () => reject(new Interrupted());
      if (this.#signal.aborted) fail();
      this.#signal.addEventListener('abort', fail, { signal: stop.signal });
    });
    try {
      return await Promise.race([promise, interrupted]);
    } finally {
      stop.abort();
      promise.catch(() => undefined);
    }
  }

  /** The programs first: a process that still runs in a namespace would keep it alive. */
  async #takeDown(): Promise<void> {
    await Promise.all(this.#traffic.map((child) => child.end(TRAFFIC_PATIENCE_MS)));
    this.client.close();
    await this.#daemon.end();
    // Of a daemon that was killed. One that ended by itself has left nothing.
    await removeLeftovers(this.#labFile);
  }
}

/**
 * The lab file with the name of this demo's lab, open for reading. It is only open and has no name any more: whatever
 * happens, there is nothing to delete. The caller closes it.
 */
function openNamedLab(labFile: string): number {
  const path = join(ensureStateDirectory(), `${labName()}.yaml`);
  const text = readFileSync(labFile, 'utf8').replace(/^name: .*$/m, `name: ${labName()}`);
  const fd = openSync(path, 'w+', 0o600);
  unlinkSync(path);
  writeFileSync(fd, text);
  return fd;
}
