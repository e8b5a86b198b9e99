/** How many frames chance takes, doubles and damages. */
import type { Setting } from './emulators.ts';
import { type Arrival, HEADER_BYTES, sendProbes } from './probes.ts';
import { binomialInterval } from './statistics.ts';
import { type Field, measureInTurns } from './turns.ts';

/** `hit` counts, of `sent` datagrams, those that chance has chosen. */
type ChanceSetting = Setting & { readonly hit: (arrivals: readonly Arrival[], sent: number) => number };

const PER_SECOND = 2000;
const BYTES = 1008;
const PROBABILITY = 0.01;
/** wirefilter wants bits per mebibyte; it damages a frame with this probability then. */
const NOISE = (PROBABILITY * 2 ** 20) / (BYTES + HEADER_BYTES);

const numbers = (arrivals: readonly Arrival[]): number =>
  new Set(arrivals.filter(({ isIntact }) => isIntact).map(({ number }) => number)).size;

const SETTINGS: readonly ChanceSetting[] = [
  { taplab: 'loss 1%', wirefilter: ['-l', '1'], hit: (arrivals, sent) => sent - numbers(arrivals) },
  {
    taplab: 'duplicate 1%',
    wirefilter: ['-D', '1'],
    hit: (arrivals) => arrivals.length - numbers(arrivals),
  },
  {
    taplab: 'corrupt 1%',
    wirefilter: ['-n', String(NOISE)],
    // A bit in a header may cost the datagram.
    hit: (arrivals, sent) => sent - numbers(arrivals),
  },
];

/** Over all rounds together. */
export type ChanceResult = {
  readonly name: string;
  readonly asked: string;
  readonly sent: number;
  readonly hit: number;
  /** Where `hit` is in 99.9 % of cases. */
  readonly interval: readonly [number, number];
};

export async function measureChance(field: Field): Promise<ChanceResult[]> {
  const count = Math.round(field.seconds * PER_SECOND);
  const plan = { bytes: BYTES, perSecond: PER_SECOND, count };
  const all = await measureInTurns(field, 'chance', SETTINGS, async ({ pair }, { hit }) =>
    hit(await sendProbes(pair, field.program, plan), count),
  );
  return all.map(({ name, setting, samples }) => {
    const sent = count * samples.length;
    return {
      name,
      asked: setting.taplab,
      sent,
      hit: samples.reduce((sum, each) => sum + each, 0),
      interval: binomialInterval(sent, PROBABILITY),
    };
  });
}

/** As Markdown. */
export function formatChance(results: readonly ChanceResult[]): string {
  const rows = results.map(({ name, asked, sent, hit, interval: [low, high] }) =>
    [`\`${asked}\``, name, sent.toLocaleString('en'), hit, `${low} to ${high}`].join(' | '),
  );
  return `## Chance

Datagrams lost, doubled, damaged; by chance: in 99.9 % of cases.

| asked | | sent | hit | by chance |
|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}
