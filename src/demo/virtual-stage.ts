/**
 * The lab on memory devices and a virtual clock, in this process: the same emulator, control socket and metrics, with
 * scripted hosts (host.ts) in place of network namespaces. Needs no privilege.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { Captures } from '../capture/captures.ts';
import { ControlClient } from '../control/client.ts';
import { type ControlServer, createControlServer } from '../control/server.ts';
import { Emulator } from '../daemon/emulator.ts';
import type { Lab } from '../lab/model.ts';
import { asVirtualLab, readLab } from '../lab/parse.ts';
import { type MetricsListener, serveMetrics } from '../metrics/http.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { VERSION } from '../package.ts';
import type { PingStats } from './host/pinger.ts';
import type { TransferStats } from './host/tcp-sender.ts';
import { Host } from './host.ts';
import { makeFolder } from './leftovers.ts';
import {
  PING_INTERVAL_MS,
  type Stage,
  TRAFFIC_SECONDS,
  TRANSFER_BYTES,
  type TrafficResult,
} from './stage.ts';
import { summary } from './traffic/ping.ts';

const SECOND_NS = 1e9;
/** A second of the lab takes this long at least, so that it can be watched. */
const SHOWN_SECOND_MS = 250;
const SINK_PORT = 80;

export class VirtualStage implements Stage {
  readonly description: string = 'memory devices and a virtual clock, which runs as fast as it can';
  readonly client: ControlClient;
  /** It runs in this process: what breaks it is thrown where it is called. */
  readonly broken: Promise<never> = new Promise(() => undefined);
  metricsUrl = '';
  readonly #folder: string;
  readonly #lab: Lab;
  readonly #signal: AbortSignal;
  readonly #emulator: Emulator;
  readonly #captures: Captures = new Captures(`taplab ${VERSION}`);
  readonly #hosts: Host[];
  readonly #transfers: TransferStats[] = [];
  #ping: PingStats | undefined;
  #server: ControlServer | undefined;
  #metrics: MetricsListener | undefined;
  #nowNs = 0;
  #closing: Promise<void> | undefined;

  private constructor(lab: Lab, emulator: Emulator, signal: AbortSignal) {
    this.#folder = makeFolder();
    this.#lab = lab;
    this.#signal = signal;
    this.#emulator = emulator;
    this.client = new ControlClient(join(this.#folder, 'control.sock'));
    this.#hosts = lab.nodes.flatMap((node) => node.interfaces).map((each) => hostBehind(emulator, each));
  }

  /** Throws what kept the lab from coming up; nothing is left behind then. */
  static async up(labFile: string, signal: AbortSignal): Promise<VirtualStage> {
    const lab = asVirtualLab(await readLab(labFile));
    const stage = new VirtualStage(lab, await Emulator.start(lab), signal);
    try {
      await stage.#serve();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async startTraffic(): Promise<void> {
    const [client, server] = this.#hosts;
    if (client === undefined || server === undefined) throw new Error('the lab needs two nodes');
    server.listen(SINK_PORT);
    const address = addressOf(this.#lab.nodes[1]?.interfaces[0]?.addresses);
    const intervalNs = PING_INTERVAL_MS * 1e6;
    this.#ping = client.ping(address, { count: (TRAFFIC_SECONDS * SECOND_NS) / intervalNs, intervalNs });
    const transferAgain = (): void => {
      if (this.#emulator.clock.nowNs() >= TRAFFIC_SECONDS * SECOND_NS) return;
      this.#transfers.push(client.transfer(address, SINK_PORT, TRANSFER_BYTES, transferAgain));
    };
    transferAgain();
  }

  async second(): Promise<void> {
    const startMs = performance.now();
    this.#nowNs += SECOND_NS;
    await this.#emulator.run(this.#nowNs);
    const leftMs = SHOWN_SECOND_MS - (performance.now() - startMs);
    await sleep(Math.max(0, leftMs), undefined, { signal: this.#signal }).catch(() => undefined);
  }

  async trafficResult(): Promise<TrafficResult> {
    const isOpen = ({ endNs }: TransferStats) => endNs === undefined;
    while (this.#transfers.some(isOpen) && !this.#signal.aborted) await this.second();
    const { sent, received, roundTripsNs } = this.#ping ?? { sent: 0, received: 0, roundTripsNs: [] };
    const rttMs = summary(roundTripsNs.map((each) => each / 1e6));
    const bytes = this.#transfers.reduce((total, each) => total + each.bytes, 0);
    const seconds = (this.#transfers.at(-1)?.endNs ?? this.#nowNs) / SECOND_NS;
    return {
      ping: { sent, received, lost: sent - received, ...(rttMs === undefined ? {} : { rttMs }) },
      tcp: {
        connections: this.#transfers.length,
        bytes,
        seconds,
        bitsPerSecond: Math.round((bytes * 8) / seconds),
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#takeDown();
    return this.#closing;
  }

  async #serve(): Promise<void> {
    const metrics = createMetrics(this.#emulator);
    this.#server = createControlServer({
      emulator: this.#emulator,
      captures: this.#captures,
      metrics,
      logger: pino({ level: 'silent' }),
      onShutdown: () => undefined,
    });
    this.#metrics = await serveMetrics(metrics, '127.0.0.1:0');
    this.metricsUrl = this.#metrics?.url ?? '';
    await this.#server.listen(this.client.socketPath);
  }

  async #takeDown(): Promise<void> {
    await this.#emulator.close();
    await this.#captures.filesClosed();
    this.client.close();
    await this.#server?.close();
    await this.#metrics?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function hostBehind(emulator: Emulator, each: Lab['nodes'][number]['interfaces'][number]): Host {
  const device = emulator.memoryDevice(each.name);
  const host = new Host({
    mac: each.mac,
    address: addressOf(each.addresses),
    mtu: each.mtu,
    clock: emulator.clock,
    send: (frame) => device.send(frame),
  });
  device.onFrame = (frame) => host.receive(frame);
  return host;
}

/** `198.18.0.1` of `198.18.0.1/24`. */
function addressOf(addresses: readonly string[] = []): string {
  const found = addresses.find((address) => !address.includes(':'));
  if (found === undefined) throw new Error('every node needs an IPv4 address');
  return found.slice(0, found.indexOf('/'));
}
