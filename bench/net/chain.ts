/** A taplab of many nodes in a chain, with traffic over its first link or over all of them in turn. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient } from '../../src/control/client.ts';
import { addressOf, labFile } from './bring-up.ts';
import type { Ground } from './ground.ts';

export type Traffic = {
  /** Links that carry it, in turns. */
  readonly links: number;
  /** Over all of them; 0 for as many as can be sent. */
  readonly framesPerSecond: number;
};

export type FrameCost = {
  readonly framesPerSecond: number;
  /** Processor time of the daemon for each frame that arrived. */
  readonly cpuNsPerFrame: number;
};

/** Payload of the smallest frame. */
const SMALL_BYTES = 18;
const PINGS = 200;
const UP = /"msg":"lab is up"/;

export class ChainLab {
  readonly links: number;
  readonly #ground: Ground;
  readonly #name: string;
  readonly #pid: number;
  readonly #client: ControlClient;

  private constructor(ground: Ground, name: string, nodes: number, pid: number, socket: string) {
    this.links = nodes - 1;
    this.#ground = ground;
    this.#name = name;
    this.#pid = pid;
    this.#client = new ControlClient(socket);
  }

  /** Brings a lab up. @param number one that no other lab of this run has @param cli the program's main.js */
  static async start(ground: Ground, number: number, nodes: number, cli: string): Promise<ChainLab> {
    const name = `scale${process.pid}-${number}`;
    const lab = join(ground.folder, `${name}.yaml`);
    const socket = join(ground.folder, `${name}.sock`);
    writeFileSync(lab, labFile(name, 'chain', nodes));
    const args = [cli, 'up', lab, '--socket', socket, '--metrics', 'off', '--log-level', 'info'];
    const daemon = await ground.start(process.execPath, args, UP);
    return new ChainLab(ground, name, nodes, daemon.pid!, socket);
  }

  close(): void {
    this.#client.close();
  }

  /** Sends for some seconds. `program` is the compiled bench/c/spread.c. */
  async send(program: string, { links, framesPerSecond }: Traffic, seconds: number): Promise<FrameCost> {
    const pairs = Array.from({ length: links }, (_, i) => [
      this.#node(i),
      this.#node(i + 1),
      addressOf(i, 2),
    ]);
    const before = { frames: await this.#delivered(), cpuNs: cpuNs(this.#pid) };
    const args = [SMALL_BYTES, framesPerSecond, seconds].map(String);
    const input = pairs.map((pair) => pair.join(' ')).join('\n');
    const said = await this.#ground.run([program, ...args], undefined, input);
    const usedNs = cpuNs(this.#pid) - before.cpuNs;
    const frames = (await this.#delivered()) - before.frames;
    if (frames === 0) throw new Error('no frame arrived');
    const passedNs = Number(said.split(' ')[1]);
    return { framesPerSecond: (frames / passedNs) * 1e9, cpuNsPerFrame: usedNs / frames };
  }

  /** Median round-trip time over the first link, in ms. */
  async roundTripMs(): Promise<number> {
    const ping = ['ping', '-n', '-i', '0.002', '-c', String(PINGS), addressOf(0, 2)];
    const text = await this.#ground.run(['ip', 'netns', 'exec', this.#node(0), ...ping]);
    const times = [...text.matchAll(/time=([\d.]+) ms/g)]
      .map((match) => Number(match[1]))
      .sort((x, y) => x - y);
    return times[times.length >> 1]!;
  }

  #node(i: number): string {
    return `taplab-${this.#name}-n${i}`;
  }

  async #delivered(): Promise<number> {
    const links = await this.#client.links();
    return links.reduce((sum, { forward }) => sum + forward.delivered.frames, 0);
  }
}

/** Processor time of a process, all threads, user and system; finer than the clock ticks of /proc/PID/stat. */
function cpuNs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce(
    (sum, task) => sum + Number(readFileSync(join(tasks, task, 'schedstat'), 'latin1').split(' ')[0]),
    0,
  );
}
