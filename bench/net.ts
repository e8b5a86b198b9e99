/**
 * `npm run bench -- net`: what carries frames between two namespaces, side by side in one run.
 *
 * All contenders are up for the whole time, each between two namespaces of its own; they take their turns one after
 * the other, several rounds, and medians are reported. Nothing leaves the namespaces.
 */
import { type Carrier, contenders } from './net/contenders.ts';
import { compileC, Ground, isInstalled } from './net/ground.ts';
import { quantile, roundTrips, tcp, udp } from './net/work.ts';
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
};

export type NetBenchResults = {
  readonly node: string;
  readonly rounds: number;
  readonly contenders: NetTiming[];
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
const PINGS = 300;

/** Measures everything. Throws when not root or when iperf3, ping or gcc is missing. */
export async function benchNet(options: NetBenchOptions): Promise<NetBenchResults> {
  for (const command of ['iperf3', 'ping', 'gcc', 'ip']) {
    if (!isInstalled(command))
      throw new Error(`${command} is not installed (Debian: apt-get install iperf3 iputils-ping gcc)`);
  }
  const ground = new Ground();
  const samples = new Map<string, Samples>();
  const missing = new Map<string, string>();
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
          options.onProgress?.(`round ${round} of ${options.rounds}: ${work.what}: ${name}`);
          const results = await work.measure(carrier);
          for (const [key, value] of Object.entries(results) as [Measurement, number][]) {
            const own = samples.get(name)!;
            own[key] = [...(own[key] ?? []), value];
          }
        }
      }
    }
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
  };
}

type Work = {
  readonly what: string;
  readonly measure: (carrier: Carrier) => Promise<Partial<Record<Measurement, number>>>;
};

function workList(generator: string, seconds: number): Work[] {
  return [
    { what: 'TCP', measure: async (c) => ({ tcpGbitPerSecond: await tcp(c, seconds, 1) }) },
    {
      what: 'TCP, other way',
      measure: async (c) => ({ tcpReverseGbitPerSecond: await tcp(c, seconds, 1, true) }),
    },
    { what: 'TCP, 4 flows', measure: async (c) => ({ tcp4GbitPerSecond: await tcp(c, seconds, 4) }) },
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
        const times = await roundTrips(c, PINGS);
        return { rttMedianMs: quantile(times, 0.5), rttP99Ms: quantile(times, 0.99) };
      },
    },
  ];
}

/** The results as Markdown. */
export function formatNet({ node, rounds, contenders: all }: NetBenchResults): string {
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
    ].join(' | '),
  );
  return `Node ${node}. Medians of ${rounds} rounds; the contenders take turns.

| | TCP Gbit/s | other way | 4 flows | 60-byte kpps | 1,514-byte kpps | CPU µs per small packet | rtt ms | rtt p99 ms |
|---|---|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}
