/** The lab on TAP devices: `taplab up` as a user would start it, and traffic programs in the nodes' namespaces. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ControlClient } from '../control/client.ts';
import { PACKAGE_ROOT } from '../control/package.ts';
import { Child } from './child.ts';
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
/** Longer than the demo: the traffic ends by itself even if the demo is killed. */
const SERVE_SECONDS = 60;
const TRAFFIC_PATIENCE_MS = 2000;
/** A socket's path has to fit in 108 bytes (unix(7)). */
const LONGEST_FOLDER = 80;

export class KernelStage implements Stage {
  readonly description: string = 'TAP devices, a network namespace for each node';
  readonly client: ControlClient;
  readonly broken: Promise<never>;
  metricsUrl = '';
  readonly #folder: string;
  readonly #signal: AbortSignal;
  readonly #daemon: Child;
  readonly #traffic: Child[] = [];
  #closing: Promise<void> | undefined;

  private constructor(labFile: string, signal: AbortSignal) {
    const base = tmpdir().length > LONGEST_FOLDER ? '/tmp' : tmpdir();
    this.#folder = mkdtempSync(join(base, 'taplab-demo-'));
    this.#signal = signal;
    const socket = join(this.#folder, 'control.sock');
    this.client = new ControlClient(socket);
    const options = ['--socket', socket, '--metrics', '127.0.0.1:0', '--log-level', 'warn', '--json'];
    this.#daemon = new Child('taplab up', process.execPath, [CLI, 'up', labFile, ...options]);
    this.broken = this.#daemon.ended.then(() => {
      throw this.#daemon.failure();
    });
    // It ends when it is told to as well, and then nobody waits for this.
    this.broken.catch(() => undefined);
  }

  /** Throws what kept the lab from coming up; nothing is left behind then. */
  static async up(labFile: string, signal: AbortSignal): Promise<KernelStage> {
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
    const inNode = ['netns', 'exec', namespace ?? '', process.execPath, TRAFFIC, command, ...args];
    const child = new Child(`traffic ${command}`, 'ip', inNode);
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
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
