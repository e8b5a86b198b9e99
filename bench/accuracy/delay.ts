/** How late datagrams are that are sent at a steady pace over links with a delay, and how their jitter is distributed. */
import { quantile } from '../net/work.ts';
import { median } from '../vm/contender.ts';
import { CLEAR, type Setting } from './emulators.ts';
import { delaysMs, sendProbes } from './probes.ts';
import { expectedDistance, largestDistance, normalCumulative } from './statistics.ts';
import { type Field, measureInTurns } from './turns.ts';

type DelaySetting = Setting & { readonly delayMs: number; readonly deviationMs?: number };

const SETTINGS: readonly DelaySetting[] = [
  { ...CLEAR, delayMs: 0 },
  { taplab: 'delay 5ms', wirefilter: ['-d', '5'], delayMs: 5 },
  { taplab: 'delay 0.2ms', wirefilter: ['-d', '0.2'], delayMs: 0.2 },
  {
    taplab: 'delay 5ms 1ms distribution normal',
    // Its normal distribution is given by three deviations; -N lets frames overtake each other, as they do with jitter.
    wirefilter: ['-N', '-d', '5+3N'],
    delayMs: 5,
    deviationMs: 1,
  },
];

/** Not one a millisecond: an emulator that counts whole ones is met in every phase. */
const PER_SECOND = 1009;
const BYTES = 64;

/**
 * An error is how far measured is from requested, too early or too late, in ms. Median and p99 are medians over the
 * rounds, the largest is of all.
 */
export type DelayResult = {
  readonly name: string;
  readonly asked: string;
  readonly requestedMs: number;
  readonly medianErrorMs: number;
  readonly p99ErrorMs: number;
  readonly largestErrorMs: number;
  /** Less the median delay of the same emulator without impairment in the same round. */
  readonly medianBeyondBaseMs: number;
  readonly p99BeyondBaseMs: number;
};

export type JitterResult = {
  readonly name: string;
  readonly asked: string;
  readonly deviationMs: number;
  readonly measuredDeviationMs: number;
  /** Largest distance of the distribution from the one asked for (Kolmogorov-Smirnov), 0 to 1, all rounds together. */
  readonly distance: number;
  /** Below this in 99.9 % of cases if it is the one asked for. */
  readonly expectedDistance: number;
};

export async function measureDelay(field: Field): Promise<{ delay: DelayResult[]; jitter: JitterResult[] }> {
  const plan = { bytes: BYTES, perSecond: PER_SECOND, count: Math.round(field.seconds * PER_SECOND) };
  const all = await measureInTurns(field, 'delay', SETTINGS, async ({ pair }) => {
    const delays = delaysMs(await sendProbes(pair, field.program, plan));
    if (delays.length === 0) throw new Error('no datagram arrived');
    return delays;
  });
  const results = all.map(({ name, setting, samples }) => {
    const clear = all.find((each) => each.name === name && each.setting.delayMs === 0)!.samples;
    const bases = clear.map((delays) => quantile(delays, 0.5));
    return setting.deviationMs === undefined
      ? { delay: [delayResult(name, setting, samples, bases)], jitter: [] }
      : { delay: [], jitter: [jitterResult(name, setting, samples, bases)] };
  });
  return {
    delay: results.flatMap(({ delay }) => delay),
    jitter: results.flatMap(({ jitter }) => jitter),
  };
}

function delayResult(
  name: string,
  { taplab, delayMs }: DelaySetting,
  rounds: readonly (readonly number[])[],
  bases: readonly number[],
): DelayResult {
  const errors = rounds.map((delays) => errorsOf(delays, delayMs));
  const beyond = rounds.map((delays, round) => errorsOf(delays, delayMs + bases[round]!));
  const over = (all: readonly number[][], q: number): number =>
    median(all.map((sorted) => quantile(sorted, q)));
  return {
    name,
    asked: taplab,
    requestedMs: delayMs,
    medianErrorMs: over(errors, 0.5),
    p99ErrorMs: over(errors, 0.99),
    largestErrorMs: Math.max(...errors.map((sorted) => sorted.at(-1)!)),
    medianBeyondBaseMs: over(beyond, 0.5),
    p99BeyondBaseMs: over(beyond, 0.99),
  };
}

/** How far delays are from what was asked for, least first. */
export function errorsOf(delaysMs: readonly number[], askedMs: number): number[] {
  return delaysMs.map((each) => Math.abs(each - askedMs)).sort((x, y) => x - y);
}

function jitterResult(
  name: string,
  { taplab, delayMs, deviationMs = 0 }: DelaySetting,
  rounds: readonly (readonly number[])[],
  bases: readonly number[],
): JitterResult {
  const deviations = rounds.flatMap((delays, round) => delays.map((each) => each - delayMs - bases[round]!));
  const mean = deviations.reduce((sum, each) => sum + each, 0) / deviations.length;
  const variance = deviations.reduce((sum, each) => sum + (each - mean) ** 2, 0) / deviations.length;
  return {
    name,
    asked: taplab,
    deviationMs,
    measuredDeviationMs: Math.sqrt(variance),
    distance: largestDistance(deviations, (x) => normalCumulative(x / deviationMs)),
    expectedDistance: expectedDistance(deviations.length),
  };
}

/** As Markdown. */
export function formatDelay(delay: readonly DelayResult[], jitter: readonly JitterResult[]): string {
  const rows = delay.map((each) =>
    [
      each.asked === '' ? 'no impairment' : `\`${each.asked}\``,
      each.name,
      each.medianErrorMs.toFixed(3),
      each.p99ErrorMs.toFixed(3),
      each.largestErrorMs.toFixed(3),
      ...(each.asked === ''
        ? ['-', '-']
        : [each.medianBeyondBaseMs.toFixed(3), each.p99BeyondBaseMs.toFixed(3)]),
    ].join(' | '),
  );
  const jitterRows = jitter.map((each) =>
    [
      `\`${each.asked}\``,
      each.name,
      each.measuredDeviationMs.toFixed(3),
      each.distance.toFixed(3),
      each.expectedDistance.toFixed(3),
    ].join(' | '),
  );
  return `## Delay

One way, ${PER_SECOND.toLocaleString('en')} datagrams a second. Error in ms: how far measured is from requested, from the sender's call to the
receiver's kernel. The base is the same emulator's median without impairment in the same round: what the devices and
both kernels need.

| asked | | error, median | p99 | largest | beyond the base, median | p99 |
|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}

The distribution of the jitter; distance: Kolmogorov-Smirnov, of the whole 1, after the base has been subtracted. Errors
of a few hundredths of a ms are in it.

| asked | | deviation, ms | distance | by chance, less than |
|---|---|---|---|---|
${jitterRows.map((row) => `| ${row} |`).join('\n')}
`;
}
