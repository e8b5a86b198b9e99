/**
 * `npm run bench -- net`: what carries frames between two namespaces, side by side in one run.
 *
 * All contenders are up for the whole time, each between two namespaces of its own; they take their turns one after
 * the other, several rounds, and medians are reported. Nothing leaves the namespaces.
 */
import { type Carrier, contenders, WITHOUT_OFFLOAD } from './net/contenders.ts';
import { compileC, Ground, isInstalled } from './net/ground.ts';
import { type CaseTiming, formatCases, timeCases } from './net/taplab.ts';
import { quantile, roundTrips, tcp, udp } from './net/work.ts';
import { type BarGroup, barChart } from './svg.ts';
import { median } from './vm/contender.ts';

/** Medians over the rounds; absent when it could not be measured. */
export type NetTiming = {
  readonly name: string;
  readonly missing?: string;
  readonly tcpGbitPerSecond?: number;
  readonly tcpReverseGbitPerSecond?: number;
  readonly tcp4GbitPerSecond?: number;
  readonly smallPacketsPerSecond?: number;
  readonly smallCpuNsPerPacket?: number;
  readonly largePacketsPerSecond?: number;
  readonly rttMedianMs?: number;
  readonly rttP99Ms?: number;
  /** While TCP runs the same way. */
  readonly loadedRttMedianMs?: number;
  readonly loadedRttP99Ms?: number;
};

export type NetBenchResults = {
  readonly node: string;
  readonly rounds: number;
  readonly contenders: NetTiming[];
  /** Absent when only some contenders were asked for. */
  readonly cases?: CaseTiming[];
};

export type NetBenchOptions = {
  /** Seconds of traffic in one turn. */
  readonly seconds: number;
  readonly rounds: number;
  /** Told what is being measured. */
  readonly onProgress?: (what: string) => void;
  /** Only contenders whose name contains one of these. */
  readonly only?: readonly string[];
};

type Measurement = Exclude<keyof NetTiming, 'name' | 'missing'>;
type Samples = Partial<Record<Measurement, number[]>>;

/** Payload of the smallest frame, 60 bytes without its checksum, and of the largest, 1,514. */
const SMALL_BYTES = 18;
const LARGE_BYTES = 1472;
/** On an idle link, 2 ms apart: as long as the other turns. */
const PINGS_PER_SECOND = 500;

/** Measures everything. Throws when not root or when iperf3, ping or gcc is missing. */
export async function benchNet(options: NetBenchOptions): Promise<NetBenchResults> {
  for (const command of ['iperf3', 'ping', 'gcc', 'ip']) {
    if (!isInstalled(command))
      throw new Error(`${command} is not installed (Debian: apt-get install iperf3 iputils-ping gcc)`);
  }
  const ground = new Ground();
  const samples = new Map<string, Samples>();
  const missing = new Map<string, string>();
  let cases: CaseTiming[] | undefined;
  try {
    const generator = compileC(ground, 'udp');
    if ('missing' in generator) throw new Error(generator.missing);
    const carriers = new Map<string, Carrier>();
    for (const each of contenders(ground)) {
      if (options.only && !options.only.some((word) => each.name.includes(word))) continue;
      samples.set(each.name, {});
      if (each.missing !== undefined) missing.set(each.name, each.missing);
      else carriers.set(each.name, await each.start(ground.pair()));
    }
    for (let round = 1; round <= options.rounds; round++) {
      for (const work of workList(generator.path, options.seconds)) {
        for (const [name, carrier] of carriers) {
          if (carrier.isTcpOnly && !work.isTcp) continue;
          options.onProgress?.(`round ${round} of ${options.rounds}: ${work.what}: ${name}`);
          const results = await work.measure(carrier);
          for (const [key, value] of Object.entries(results) as [Measurement, number][]) {
            const own = samples.get(name)!;
            own[key] = [...(own[key] ?? []), value];
          }
        }
      }
    }
    if (!options.only) cases = await timeCases(ground, generator.path, options);
  } finally {
    await ground.close();
  }
  return {
    node: process.version,
    rounds: options.rounds,
    contenders: [...samples].map(([name, own]) => ({
      name,
      ...(missing.has(name) && { missing: missing.get(name)! }),
      ...Object.fromEntries(Object.entries(own).map(([key, values]) => [key, median(values)])),
    })),
    ...(cases && { cases }),
  };
}

type Work = {
  readonly what: string;
  /** Whether it needs nothing but TCP connections that a makes. */
  readonly isTcp?: boolean;
  readonly measure: (carrier: Carrier) => Promise<Partial<Record<Measurement, number>>>;
};

function workList(generator: string, seconds: number): Work[] {
  return [
    { what: 'TCP', isTcp: true, measure: async (c) => ({ tcpGbitPerSecond: await tcp(c, seconds) }) },
    {
      what: 'TCP, other way',
      isTcp: true,
      measure: async (c) => ({ tcpReverseGbitPerSecond: await tcp(c, seconds, { reverse: true }) }),
    },
    {
      what: 'TCP, 4 flows',
      isTcp: true,
      measure: async (c) => ({ tcp4GbitPerSecond: await tcp(c, seconds, { flows: 4 }) }),
    },
    {
      what: 'small packets',
      measure: async (c) => {
        const { packetsPerSecond, cpuNsPerPacket } = await udp(c, generator, SMALL_BYTES, seconds);
        return { smallPacketsPerSecond: packetsPerSecond, smallCpuNsPerPacket: cpuNsPerPacket };
      },
    },
    {
      what: 'large packets',
      measure: async (c) => ({
        largePacketsPerSecond: (await udp(c, generator, LARGE_BYTES, seconds)).packetsPerSecond,
      }),
    },
    {
      what: 'round trips',
      measure: async (c) => {
        const times = await roundTrips(c, Math.ceil(seconds * PINGS_PER_SECOND));
        return { rttMedianMs: quantile(times, 0.5), rttP99Ms: quantile(times, 0.99) };
      },
    },
    {
      what: 'round trips under load',
      measure: async (c) => {
        const load = tcp(c, Math.max(seconds, 1));
        const times = await roundTrips(c, Math.floor(Math.max(seconds, 1) * 300));
        await load;
        return { loadedRttMedianMs: quantile(times, 0.5), loadedRttP99Ms: quantile(times, 0.99) };
      },
    },
  ];
}

type Aim = {
  readonly what: string;
  readonly of: Measurement;
  readonly taplab: string;
  readonly other: string;
  /** Of times the other's. */
  readonly atLeast?: number;
  readonly atMost?: number;
  /** More than the other's. */
  readonly atMostMore?: number;
};

const PACKETS = { what: 'small packets', of: 'smallPacketsPerSecond', taplab: 'taplab' } as const;
const TCP = { what: 'TCP', of: 'tcpGbitPerSecond' } as const;

/** What taplab is to reach beside others in the same run. */
const AIMS: readonly Aim[] = [
  { ...TCP, taplab: 'taplab', other: 'C forwarder, offload', atLeast: 0.9 },
  { ...TCP, taplab: 'taplab', other: 'vde_switch', atLeast: 8 },
  { ...TCP, taplab: 'taplab', other: 'vde_switch + wirefilter', atLeast: 16 },
  { ...TCP, taplab: WITHOUT_OFFLOAD, other: 'C forwarder', atLeast: 0.85 },
  { ...TCP, taplab: WITHOUT_OFFLOAD, other: 'vde_switch', atLeast: 1 },
  { ...PACKETS, other: 'C forwarder', atLeast: 0.9 },
  { ...PACKETS, other: 'vde_switch + wirefilter', atLeast: 2.2 },
  {
    what: 'CPU time per small packet',
    of: 'smallCpuNsPerPacket',
    taplab: 'taplab',
    other: 'C forwarder',
    atMost: 1.4,
  },
  { what: 'idle round trip', of: 'rttMedianMs', taplab: 'taplab', other: 'C forwarder', atMostMore: 0.02 },
];

function aimRows({ contenders: all }: NetBenchResults): string[] {
  const timing = (name: string): NetTiming | undefined => all.find((each) => each.name === name);
  return AIMS.flatMap(({ what, of, taplab, other, atLeast, atMost, atMostMore }) => {
    const [ours, theirs] = [timing(taplab)?.[of], timing(other)?.[of]];
    if (ours === undefined || theirs === undefined) return [];
    const [measured, aim] =
      atMostMore === undefined
        ? [(ours / theirs).toFixed(2), atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`]
        : [`${(ours - theirs).toFixed(3)} ms more`, `at most ${atMostMore} ms more`];
    return [`${what}: ${taplab} beside ${other} | ${measured} | ${aim}`];
  });
}

/** The results as Markdown. */
export function formatNet(results: NetBenchResults): string {
  const { node, rounds, contenders: all, cases } = results;
  const cell = (value: number | undefined, digits: number, scale = 1): string =>
    value === undefined ? '-' : (value / scale).toFixed(digits);
  const rows = all.map((c) =>
    [
      c.missing ? `${c.name} (not measured: ${c.missing})` : c.name,
      cell(c.tcpGbitPerSecond, 2),
      cell(c.tcpReverseGbitPerSecond, 2),
      cell(c.tcp4GbitPerSecond, 2),
      cell(c.smallPacketsPerSecond, 0, 1000),
      cell(c.largePacketsPerSecond, 0, 1000),
      cell(c.smallCpuNsPerPacket === 0 ? undefined : c.smallCpuNsPerPacket, 1, 1000),
      cell(c.rttMedianMs, 3),
      cell(c.rttP99Ms, 3),
      cell(c.loadedRttMedianMs, 3),
      cell(c.loadedRttP99Ms, 3),
    ].join(' | '),
  );
  return `Node ${node}. Medians of ${rounds} rounds; the contenders take turns.

| | TCP Gbit/s | other way | 4 flows | 60-byte kpps | 1,514-byte kpps | CPU µs per small packet | rtt ms | rtt p99 | rtt under TCP | p99 |
|---|---|---|---|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}

| ratio | measured | to reach |
|---|---|---|
${aimRows(results)
  .map((row) => `| ${row} |`)
  .join('\n')}
${cases ? `\n${formatCases(cases)}` : ''}`;
}

/** The results as a chart. */
export function chartNet({ contenders: all }: NetBenchResults): string {
  const group = (title: string, unit: string, of: Measurement, scale: number): BarGroup => ({
    title,
    unit,
    bars: all.flatMap((each) =>
      each[of] === undefined ? [] : [{ name: each.name, value: each[of] / scale }],
    ),
  });
  return barChart('Between two namespaces', [
    group('TCP, one flow', 'Gbit/s', 'tcpGbitPerSecond', 1),
    group('60-byte frames', 'thousand packets per second', 'smallPacketsPerSecond', 1000),
    group('round trip, median', 'ms', 'rttMedianMs', 1),
  ]);
}
