/**
 * `npm run bench -- scale`: what a frame costs in a lab of many nodes beside one of two. The labs are up together and
 * take turns; medians over the rounds are reported. Traffic goes over one link while all others idle, or over all of
 * them in turn: as much as they carry, and a few frames only, each of which wakes the worker.
 */
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { PACKAGE_ROOT } from '../src/package.ts';
import { ChainLab, type Traffic } from './net/chain.ts';
import { compileC, Ground } from './net/ground.ts';
import { median } from './vm/contender.ts';

export type ScaleTiming = {
  readonly build: string;
  readonly nodes: number;
  readonly traffic: string;
  readonly framesPerSecond: number;
  readonly cpuNsPerFrame: number;
  /** CPU time of a frame to that in the same build's smallest lab, the median over the rounds. */
  readonly times: number;
};

export type RoundTripTiming = { readonly build: string; readonly nodes: number; readonly medianMs: number };

export type ScaleResults = {
  readonly node: string;
  readonly rounds: number;
  readonly loadBefore: number;
  readonly frames: readonly ScaleTiming[];
  readonly roundTrips: readonly RoundTripTiming[];
};

export type ScaleOptions = {
  /** Seconds of traffic in one turn. */
  readonly seconds: number;
  readonly rounds: number;
  /** Sizes of the labs; the first is what the others are set beside. */
  readonly nodes: readonly number[];
  /** The folder dist/ of another build. */
  readonly beside?: string;
  readonly onProgress?: (what: string) => void;
};

/** Few enough for the worker to sleep between any two. */
const FEW_PER_SECOND = 5000;

const KINDS: readonly {
  readonly name: string;
  readonly isSpread: boolean;
  readonly framesPerSecond: number;
}[] = [
  { name: 'one link, as much as it carries', isSpread: false, framesPerSecond: 0 },
  { name: 'all links in turn, as much as they carry', isSpread: true, framesPerSecond: 0 },
  { name: `one link, ${FEW_PER_SECOND}/s`, isSpread: false, framesPerSecond: FEW_PER_SECOND },
  { name: `all links in turn, ${FEW_PER_SECOND}/s`, isSpread: true, framesPerSecond: FEW_PER_SECOND },
];

type Entry = { readonly build: string; readonly nodes: number; readonly lab: ChainLab };

/** Measures everything. Throws when not root or without gcc. */
export async function benchScale(options: ScaleOptions): Promise<ScaleResults> {
  const { rounds, seconds, beside, onProgress } = options;
  const [loadBefore = 0] = loadavg();
  const ground = new Ground();
  const entries: Entry[] = [];
  const costs = new Map<string, { rate: number; cpuNs: number }[]>();
  const trips = new Map<Entry, number[]>();
  try {
    const program = compileC(ground, 'spread');
    if ('missing' in program) throw new Error(program.missing);
    const builds = [join(PACKAGE_ROOT, 'dist'), ...(beside === undefined ? [] : [resolve(beside)])];
    for (const [b, folder] of builds.entries()) {
      for (const nodes of options.nodes) {
        const build = b === 0 ? 'this' : 'beside';
        onProgress?.(`bringing up ${nodes} nodes, ${build} build`);
        const cli = join(folder, 'src/cli/main.js');
        entries.push({ build, nodes, lab: await ChainLab.start(ground, entries.length, nodes, cli) });
      }
    }
    for (let round = 0; round <= rounds; round++) {
      for (const kind of KINDS) {
        for (const entry of round % 2 === 0 ? entries : entries.toReversed()) {
          onProgress?.(
            `round ${round} of ${rounds}: ${kind.name}: ${entry.nodes} nodes, ${entry.build} build`,
          );
          const traffic: Traffic = {
            links: kind.isSpread ? entry.lab.links : 1,
            framesPerSecond: kind.framesPerSecond,
          };
          const cost = await entry.lab.send(program.path, traffic, seconds);
          // The first round is for neighbours to be resolved and code to be compiled.
          if (round === 0) continue;
          const key = keyOf(entry, kind.name);
          costs.set(key, [
            ...(costs.get(key) ?? []),
            { rate: cost.framesPerSecond, cpuNs: cost.cpuNsPerFrame },
          ]);
        }
      }
      for (const entry of entries) {
        const tripMs = await entry.lab.roundTripMs();
        if (round > 0) trips.set(entry, [...(trips.get(entry) ?? []), tripMs]);
      }
    }
  } finally {
    for (const { lab } of entries) lab.close();
    await ground.close();
  }
  return {
    node: process.version,
    rounds,
    loadBefore,
    frames: KINDS.flatMap(({ name }) =>
      entries.map((entry) => {
        const smallest = entries.find(({ build }) => build === entry.build)!;
        const [own, base] = [costs.get(keyOf(entry, name))!, costs.get(keyOf(smallest, name))!];
        return {
          build: entry.build,
          nodes: entry.nodes,
          traffic: name,
          framesPerSecond: median(own.map(({ rate }) => rate)),
          cpuNsPerFrame: median(own.map(({ cpuNs }) => cpuNs)),
          times: median(own.map(({ cpuNs }, round) => cpuNs / base[round]!.cpuNs)),
        };
      }),
    ),
    roundTrips: entries.map((entry) => ({
      build: entry.build,
      nodes: entry.nodes,
      medianMs: median(trips.get(entry)!),
    })),
  };
}

function keyOf({ build, nodes }: Entry, kind: string): string {
  return `${build} ${nodes} ${kind}`;
}

/** The results as Markdown. */
export function formatScale({ node, rounds, loadBefore, frames, roundTrips }: ScaleResults): string {
  const hasBeside = frames.some(({ build }) => build !== 'this');
  const labOf = ({ build, nodes }: { build: string; nodes: number }): string =>
    `${nodes} nodes${hasBeside ? `, ${build} build` : ''}`;
  const rows = frames.map((each) =>
    [
      each.traffic,
      labOf(each),
      (each.framesPerSecond / 1000).toFixed(1),
      (each.cpuNsPerFrame / 1000).toFixed(2),
      each.times.toFixed(2),
    ].join(' | '),
  );
  const tripRows = roundTrips.map((each) => `${labOf(each)} | ${each.medianMs.toFixed(3)}`);
  return `Node ${node}. Rounds: ${rounds}, of which medians; the labs take turns. The load was ${loadBefore.toFixed(1)} before the first
round. Labs are chains with a link from each node to the next; frames have 60 bytes.

| traffic | lab | kpps | CPU µs per frame | times the smallest lab |
|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}

| lab | rtt over one link, idle, ms |
|---|---|
${tripRows.map((row) => `| ${row} |`).join('\n')}
`;
}
