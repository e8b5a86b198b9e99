/**
 * `npm run bench -- io`: what it brings to write frames together, by io_uring(7), instead of one write(2) each: the same
 * lab both ways, with and without offload, beside a forwarder in C. All take turns; ratios are formed within a round,
 * and medians reported.
 */
import { type Carrier, startTaplab } from './net/contenders.ts';
import { compileC, Ground } from './net/ground.ts';
import { roundTrips, tcp, udp } from './net/work.ts';
import { median } from './vm/contender.ts';

const KEYS = ['packetsPerSecond', 'cpuNsPerPacket', 'rttMs', 'tcpGbitPerSecond'] as const;
type Sample = Readonly<Record<(typeof KEYS)[number], number>>;

export type IoTiming = {
  readonly name: string;
  /** Medians over the rounds. */
  readonly timing: Sample;
  /** To the first, the medians of the rounds' ratios. */
  readonly times: Sample;
};

export type IoResults = {
  readonly node: string;
  readonly rounds: number;
  readonly timings: readonly IoTiming[];
};

export type IoOptions = {
  /** Seconds of traffic in one turn. */
  readonly seconds: number;
  readonly rounds: number;
  readonly onProgress?: (what: string) => void;
};

const SMALL_BYTES = 18;
const PINGS = 300;

/** Measures all. Throws when not root, or without gcc or iperf3. */
export async function benchIo({ seconds, rounds, onProgress }: IoOptions): Promise<IoResults> {
  const ground = new Ground();
  try {
    const [generator, forwarder] = [compileC(ground, 'udp'), compileC(ground, 'forwarder')];
    if ('missing' in generator) throw new Error(generator.missing);
    if ('missing' in forwarder) throw new Error(forwarder.missing);
    const contenders: [string, () => Promise<Carrier>][] = [
      ['TAPLAB_IO=epoll', () => startTaplabBy(ground, 'epoll', true)],
      ['TAPLAB_IO=uring', () => startTaplabBy(ground, 'uring', true)],
      ['TAPLAB_IO=epoll, offload: false', () => startTaplabBy(ground, 'epoll', false)],
      ['TAPLAB_IO=uring, offload: false', () => startTaplabBy(ground, 'uring', false)],
      ['C: poll, read, write', () => startForwarder(ground, forwarder.path)],
    ];
    const carriers: Carrier[] = [];
    for (const [, start] of contenders) carriers.push(await start());
    const samples: Sample[][] = contenders.map(() => []);
    for (let round = 0; round <= rounds; round++) {
      const order = contenders.map((_, i) => (round % 2 === 0 ? i : contenders.length - 1 - i));
      for (const i of order) {
        onProgress?.(`round ${round} of ${rounds}: ${contenders[i]![0]}`);
        const rate = await udp(carriers[i]!, generator.path, SMALL_BYTES, seconds);
        const rttMs = median(await roundTrips(carriers[i]!, PINGS));
        const tcpGbitPerSecond = await tcp(carriers[i]!, seconds);
        // The first round is for code to be compiled.
        if (round > 0) samples[i]!.push({ ...rate, rttMs, tcpGbitPerSecond });
      }
    }
    const timings = contenders.map(([name], i) => ({
      name,
      timing: sampleOf((key) => median(samples[i]!.map((own) => own[key]))),
      times: sampleOf((key) => median(samples[i]!.map((own, round) => own[key] / samples[0]![round]![key]))),
    }));
    return { node: process.version, rounds, timings };
  } finally {
    await ground.close();
  }
}

function sampleOf(value: (key: keyof Sample) => number): Sample {
  return Object.fromEntries(KEYS.map((key) => [key, value(key)])) as Sample;
}

/** taplab that is told how to write. */
async function startTaplabBy(ground: Ground, io: 'epoll' | 'uring', hasOffload: boolean): Promise<Carrier> {
  const before = process.env.TAPLAB_IO;
  process.env.TAPLAB_IO = io;
  try {
    return await startTaplab(ground.pair(), { interfaceSettings: hasOffload ? '' : ', offload: false' });
  } finally {
    if (before === undefined) delete process.env.TAPLAB_IO;
    else process.env.TAPLAB_IO = before;
  }
}

async function startForwarder(ground: Ground, command: string, ...args: string[]): Promise<Carrier> {
  const pair = ground.pair();
  const taps = ['a', 'b'].map((side) => `tli${process.pid % 100_000}n${pair.number}${side}`);
  const child = await ground.start(command, [...args, ...taps], /^ready$/);
  pair.adopt('a', taps[0]!);
  pair.adopt('b', taps[1]!);
  return { pair, pids: [child.pid!] };
}

/** The results as Markdown. */
export function formatIo({ node, rounds, timings }: IoResults): string {
  const rows = timings.map(({ name, timing, times }) =>
    [
      name,
      (timing.packetsPerSecond / 1000).toFixed(0),
      times.packetsPerSecond.toFixed(2),
      (timing.cpuNsPerPacket / 1000).toFixed(2),
      times.cpuNsPerPacket.toFixed(2),
      timing.rttMs.toFixed(3),
      times.rttMs.toFixed(2),
      timing.tcpGbitPerSecond.toFixed(2),
      times.tcpGbitPerSecond.toFixed(2),
    ].join(' | '),
  );
  return `Node ${node}. Rounds: ${rounds}, of which medians; all take turns. Packets are frames of 60 bytes.

| | kpps | times the first | CPU µs per packet | times | rtt ms | times | TCP Gbit/s | times |
|---|---|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}
