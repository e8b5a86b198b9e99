/**
 * `npm run bench -- accuracy`: what links are asked to do beside what they do, on real TAP devices, side by side in one
 * run. taplab and wirefilter are up for the whole time, each between two namespaces of its own, and are set to one
 * impairment after the other in turns; a C forwarder shows what the measurement itself costs. Nothing leaves the
 * namespaces.
 */
import { cpus, loadavg } from 'node:os';
import { type ChanceResult, formatChance, measureChance } from './accuracy/chance.ts';
import { type DelayResult, formatDelay, type JitterResult, measureDelay } from './accuracy/delay.ts';
import { type EmulatedLink, emulators, PRECISE } from './accuracy/emulators.ts';
import { formatRate, measureRate, type RateResult } from './accuracy/rate.ts';
import type { Field } from './accuracy/turns.ts';
import { compileC, Ground, isInstalled } from './net/ground.ts';
import { type BarGroup, barChart } from './svg.ts';

export type AccuracyResults = {
  readonly node: string;
  readonly rounds: number;
  /** Of the machine in the minute before, and its processors: what else ran. */
  readonly loadAverage: number;
  readonly processors: number;
  readonly missing: readonly { readonly name: string; readonly needs: string }[];
  readonly delay: readonly DelayResult[];
  readonly jitter: readonly JitterResult[];
  readonly rate: readonly RateResult[];
  readonly chance: readonly ChanceResult[];
};

export type AccuracyOptions = Pick<Field, 'seconds' | 'rounds' | 'onProgress'> & {
  /** Only emulators whose name contains one of these. */
  readonly only?: readonly string[];
};

/** Measures everything. Throws when not root or when iperf3, ping or gcc is missing. */
export async function benchAccuracy(options: AccuracyOptions): Promise<AccuracyResults> {
  for (const command of ['iperf3', 'ping', 'gcc', 'ip']) {
    if (!isInstalled(command))
      throw new Error(`${command} is not installed (Debian: apt-get install iperf3 iputils-ping gcc)`);
  }
  const [loadAverage = 0] = loadavg();
  const ground = new Ground();
  try {
    const probe = compileC(ground, 'probe');
    if ('missing' in probe) throw new Error(probe.missing);
    const links = new Map<string, EmulatedLink>();
    const missing: { name: string; needs: string }[] = [];
    for (const each of emulators(ground)) {
      if (options.only && !options.only.some((word) => each.name.includes(word))) continue;
      if (each.missing !== undefined) missing.push({ name: each.name, needs: each.missing });
      else links.set(each.name, await each.start(ground.pair()));
    }
    const field: Field = { ...options, links, program: probe.path };
    const { delay, jitter } = await measureDelay(field);
    // It is about moments only.
    links.delete(PRECISE);
    const rate = await measureRate(field);
    const chance = await measureChance(field);
    const machine = { node: process.version, rounds: options.rounds, loadAverage, processors: cpus().length };
    return { ...machine, missing, delay, jitter, rate, chance };
  } finally {
    await ground.close();
  }
}

/** What taplab is to reach. */
function targetRows({ delay, rate }: AccuracyResults): string[] {
  const late = delay.find(({ name, asked }) => name === 'taplab' && asked === 'delay 5ms');
  const rates = rate.filter(({ name, expectedMbitPerSecond }) => name === 'taplab' && expectedMbitPerSecond);
  return [
    ...(late
      ? [
          `delay 5ms, median error | ${late.medianErrorMs.toFixed(3)} ms | at most 0.1 ms`,
          `delay 5ms, p99 error | ${late.p99ErrorMs.toFixed(3)} ms | at most 0.5 ms`,
        ]
      : []),
    ...rates.map(({ asked, protocol, mbitPerSecond, expectedMbitPerSecond }) => {
      const share = (100 * mbitPerSecond) / expectedMbitPerSecond!;
      return `${asked}, ${protocol} | ${share.toFixed(1)} % | ${asked.includes('5gbit') ? 'at least 95 %' : '98 to 102 %'}`;
    }),
  ];
}

/** The results as Markdown. */
export function formatAccuracy(results: AccuracyResults): string {
  const { node, rounds, processors, loadAverage, missing, delay, jitter, rate, chance } = results;
  const absent = missing
    .map(({ name, needs }) => `Not measured: ${name}, for want of ${needs}.\n\n`)
    .join('');
  return `Node ${node}. Rounds: ${rounds}, of which medians; the emulators take turns. ${processors} processors, whose load was
${loadAverage.toFixed(1)} before the first round.

${absent}| taplab | measured | to reach |
|---|---|---|
${targetRows(results)
  .map((row) => `| ${row} |`)
  .join('\n')}

${formatDelay(delay, jitter)}
${formatRate(rate)}
${formatChance(chance)}`;
}

/** The results as a chart. */
export function chartAccuracy({ delay, jitter, rate }: AccuracyResults): string {
  const late = (asked: string, of: 'medianErrorMs' | 'p99ErrorMs', what: string): BarGroup => ({
    title: `${asked}, ${what} error`,
    unit: 'ms',
    bars: delay.filter((each) => each.asked === asked).map((each) => ({ name: each.name, value: each[of] })),
  });
  return barChart('How far links are from what they were asked for', [
    late('delay 5ms', 'medianErrorMs', 'median'),
    late('delay 5ms', 'p99ErrorMs', 'p99'),
    late('delay 0.2ms', 'medianErrorMs', 'median'),
    {
      title: 'Jitter, distance from the normal distribution',
      unit: 'of 1',
      bars: jitter.map(({ name, distance }) => ({ name, value: distance })),
    },
    {
      title: 'TCP over 10 ms',
      unit: 'Mbit/s',
      bars: rate
        .filter(({ asked }) => asked === 'delay 10ms')
        .map(({ name, mbitPerSecond }) => ({ name, value: mbitPerSecond })),
    },
  ]);
}
