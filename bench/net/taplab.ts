/**
 * What taplab's own features cost on small packets, beside a taplab that does without: descriptors attached with a
 * filter each, impairments, a switch instead of the link. Each case is a lab of its own; they take turns.
 */
import { ControlClient } from '../../src/control/client.ts';
import { median } from '../vm/contender.ts';
import { type Carrier, startTaplab, type TaplabLab } from './contenders.ts';
import type { Ground } from './ground.ts';
import { udp } from './work.ts';

const SMALL_BYTES = 18;
/** Ports that nobody sends to: each filter is run, none accepts. */
const FIRST_PORT = 20_000;

type Case = Pick<TaplabLab, 'impair' | 'between'> & { readonly name: string; readonly descriptors?: number };

const CASES: readonly Case[] = [
  { name: 'nothing attached' },
  { name: '1 descriptor', descriptors: 1 },
  { name: '16 descriptors', descriptors: 16 },
  { name: '256 descriptors', descriptors: 256 },
  { name: 'a switch', between: 'switch' },
  { name: 'a hub', between: 'hub' },
  { name: 'delay 1ms', impair: 'delay 1ms' },
  { name: 'delay 1ms 0.5ms', impair: 'delay 1ms 0.5ms' },
  { name: 'loss 1%', impair: 'loss 1%' },
  { name: 'rate 10gbit', impair: 'rate 10gbit' },
  { name: 'rate 10gbit queue fq_codel', impair: 'rate 10gbit queue fq_codel' },
];

/** Medians; the ratio is of packets per second to those of the first case. */
export type CaseTiming = {
  readonly name: string;
  readonly packetsPerSecond: number;
  readonly cpuNsPerPacket: number;
  readonly ratio: number;
};

export type CaseOptions = {
  readonly seconds: number;
  readonly rounds: number;
  readonly onProgress?: (what: string) => void;
};

/** Measures all cases. `generator` is the compiled bench/c/udp.c. */
export async function timeCases(
  ground: Ground,
  generator: string,
  { seconds, rounds, onProgress }: CaseOptions,
): Promise<CaseTiming[]> {
  const carriers: Carrier[] = [];
  for (const each of CASES) carriers.push(await startCase(ground, each));
  const rates: number[][] = CASES.map(() => []);
  const costs: number[][] = CASES.map(() => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, carrier] of carriers.entries()) {
      onProgress?.(`round ${round} of ${rounds}: ${CASES[i]!.name}`);
      const { packetsPerSecond, cpuNsPerPacket } = await udp(carrier, generator, SMALL_BYTES, seconds);
      rates[i]!.push(packetsPerSecond);
      costs[i]!.push(cpuNsPerPacket);
    }
  }
  const plain = median(rates[0]!);
  return CASES.map(({ name }, i) => ({
    name,
    packetsPerSecond: median(rates[i]!),
    cpuNsPerPacket: median(costs[i]!),
    ratio: median(rates[i]!) / plain,
  }));
}

async function startCase(ground: Ground, { impair, between, descriptors = 0 }: Case): Promise<Carrier> {
  const carrier = await startTaplab(ground.pair(), {
    ...(impair !== undefined && { impair: `"${impair}"` }),
    ...(between !== undefined && { between }),
  });
  const client = new ControlClient(carrier.socket);
  for (let i = 0; i < descriptors; i++) {
    await client.attach('a:eth0', { filter: `udp port ${FIRST_PORT + i}`, bufferBytes: 4096 });
  }
  client.close();
  return carrier;
}

/** As Markdown. */
export function formatCases(cases: readonly CaseTiming[]): string {
  const rows = cases.map(({ name, packetsPerSecond, cpuNsPerPacket, ratio }) =>
    [name, (packetsPerSecond / 1000).toFixed(0), (cpuNsPerPacket / 1000).toFixed(2), ratio.toFixed(2)].join(
      ' | ',
    ),
  );
  return `taplab, 60-byte frames; each filter looks at every frame and accepts none.

| | kpps | CPU µs per packet | packets/s beside the first |
|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}
