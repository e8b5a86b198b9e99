/**
 * `npm run bench -- io`: how frames get in and out of TAP devices, with nothing in between: epoll(7), read(2) and
 * write(2) as the workers do it, beside io_uring(7) with multishot reads and writes submitted together, and beside C.
 * All take turns; ratios are formed within a round, and medians reported.
 */
import { type Carrier, startTaplab } from './net/contenders.ts';
import { compileC, Ground } from './net/ground.ts';
import { roundTrips, udp } from './net/work.ts';
import { median } from './vm/contender.ts';

type Sample = { readonly packetsPerSecond: number; readonly cpuNsPerPacket: number; readonly rttMs: number };

export type IoTiming = Sample & {
  readonly name: string;
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

/** Measures all. Throws when not root, or without gcc. */
export async function benchIo({ seconds, rounds, onProgress }: IoOptions): Promise<IoResults> {
  const ground = new Ground();
  try {
    const [generator, forwarder] = [compileC(ground, 'udp'), compileC(ground, 'forwarder')];
    if ('missing' in generator) throw new Error(generator.missing);
    if ('missing' in forwarder) throw new Error(forwarder.missing);
    const contenders: [string, () => Promise<Carrier>][] = [
      ['taplab, TAPLAB_IO=epoll', () => startTaplabBy(ground, 'epoll')],
      ['taplab, TAPLAB_IO=uring', () => startTaplabBy(ground, 'uring')],
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
        // The first round is for code to be compiled.
        if (round > 0) samples[i]!.push({ ...rate, rttMs });
      }
    }
    const summed = (each: readonly Sample[]): Sample => ({
      packetsPerSecond: median(each.map(({ packetsPerSecond }) => packetsPerSecond)),
      cpuNsPerPacket: median(each.map(({ cpuNsPerPacket }) => cpuNsPerPacket)),
      rttMs: median(each.map(({ rttMs }) => rttMs)),
    });
    const timings = contenders.map(([name], i) => {
      const ratios = samples[i]!.map((own, round) => {
        const first = samples[0]![round]!;
        return {
          packetsPerSecond: own.packetsPerSecond / first.packetsPerSecond,
          cpuNsPerPacket: own.cpuNsPerPacket / first.cpuNsPerPacket,
          rttMs: own.rttMs / first.rttMs,
        };
      });
      return { name, ...summed(samples[i]!), times: summed(ratios) };
    });
    return { node: process.version, rounds, timings };
  } finally {
    await ground.close();
  }
}

/** taplab that is told how to write. */
async function startTaplabBy(ground: Ground, io: 'epoll' | 'uring'): Promise<Carrier> {
  const before = process.env.TAPLAB_IO;
  process.env.TAPLAB_IO = io;
  try {
    return await startTaplab(ground.pair());
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
  const rows = timings.map(({ name, packetsPerSecond, cpuNsPerPacket, rttMs, times }) =>
    [
      name,
      `${(packetsPerSecond / 1000).toFixed(0)} | ${times.packetsPerSecond.toFixed(2)}`,
      `${(cpuNsPerPacket / 1000).toFixed(2)} | ${times.cpuNsPerPacket.toFixed(2)}`,
      `${rttMs.toFixed(3)} | ${times.rttMs.toFixed(2)}`,
    ].join(' | '),
  );
  return `Node ${node}. Rounds: ${rounds}, of which medians; all take turns. 60-byte frames between two TAP devices.

| | kpps | times the first | CPU µs per frame | times | rtt ms | times |
|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}
