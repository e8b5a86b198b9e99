/**
 * `npm run bench -- bringup`: how long labs take to come up and to go down, and how much memory they need, beside
 * Mininet (Debian: mininet, bridge-utils). Each round brings every lab up and down once, the contenders in turns;
 * medians are reported. A lab counts as up when its nodes are configured and its links carry frames.
 */
import { cpus, loadavg } from 'node:os';
import { type BringUp, contenders, type Shape } from './net/bring-up.ts';
import { Ground } from './net/ground.ts';
import { type BarGroup, barChart } from './svg.ts';
import { median } from './vm/contender.ts';

/** Medians over the rounds, in milliseconds; `failed` says why there are none. */
export type BringUpTiming = {
  readonly name: string;
  readonly shape: Shape;
  readonly nodes: number;
  readonly upMs?: number;
  readonly downMs?: number;
  /** Of memory, that of the processes that the lab needs; of what they share with others, their share. */
  readonly megabytes?: number;
  readonly failed?: string;
};

export type BringUpResults = {
  readonly node: string;
  readonly rounds: number;
  /** Of the machine in the minute before, and its processors: what else ran. */
  readonly loadAverage: number;
  readonly processors: number;
  readonly timings: readonly BringUpTiming[];
};

export type BringUpOptions = {
  readonly rounds: number;
  readonly nodes: readonly number[];
  /** Told what is being measured. */
  readonly onProgress?: (what: string) => void;
};

const SHAPES: readonly Shape[] = ['chain', 'switch'];

/** Measures everything. Throws when not root. */
export async function benchBringUp({ rounds, nodes, onProgress }: BringUpOptions): Promise<BringUpResults> {
  const [loadAverage = 0] = loadavg();
  const ground = new Ground();
  const labs = SHAPES.flatMap((shape) => nodes.map((count) => ({ shape, count })));
  const timings: BringUpTiming[] = [];
  try {
    const all = contenders(ground);
    for (const { shape, count } of labs) {
      const samples = new Map<string, BringUp[]>();
      const failed = new Map<string, string>();
      for (let round = 1; round <= rounds; round++) {
        for (const { name, missing, run } of all) {
          if (missing !== undefined) failed.set(name, `not installed: ${missing}`);
          if (failed.has(name)) continue;
          onProgress?.(`${shape} of ${count} nodes, round ${round} of ${rounds}: ${name}`);
          try {
            samples.set(name, [...(samples.get(name) ?? []), await run(shape, count)]);
          } catch (error) {
            failed.set(name, (error as Error).message.split('\n')[0]!.slice(0, 200));
          }
        }
      }
      for (const { name } of all)
        timings.push(timing(name, shape, count, samples.get(name) ?? [], failed.get(name)));
    }
  } finally {
    await ground.close();
  }
  return { node: process.version, rounds, loadAverage, processors: cpus().length, timings };
}

function timing(
  name: string,
  shape: Shape,
  nodes: number,
  samples: readonly BringUp[],
  failed: string | undefined,
): BringUpTiming {
  if (failed !== undefined) return { name, shape, nodes, failed };
  return {
    name,
    shape,
    nodes,
    upMs: median(samples.map(({ upMs }) => upMs)),
    downMs: median(samples.map(({ downMs }) => downMs)),
    megabytes: median(samples.map(({ megabytes }) => megabytes)),
  };
}

/** The results as Markdown. */
export function formatBringUp({ node, rounds, loadAverage, processors, timings }: BringUpResults): string {
  const seconds = (ms: number | undefined): string => (ms === undefined ? '-' : (ms / 1000).toFixed(2));
  const rows = timings.map((each) =>
    [
      labOf(each),
      each.failed === undefined ? each.name : `${each.name} (not measured: ${each.failed})`,
      seconds(each.upMs),
      seconds(each.downMs),
      seconds(bothMs(each)),
      ratio(each, timings),
      each.megabytes?.toFixed(0) ?? '-',
    ].join(' | '),
  );
  return `Node ${node}. Rounds: ${rounds}, of which medians; the contenders take turns. ${processors} processors, whose load was
${loadAverage.toFixed(1)} before the first round.

Each lab is made from text, all nodes namespaces with addresses, until whoever makes it says that it is up; the start
of Node or Python is in it. taplab and Mininet run in the foreground and are told to end by the end of their stdin; down
is until they have ended. With \`taplab up --detach\` and \`taplab down\` the start of these commands is in the
times. What the kernel does about namespaces that nobody has any more is in nobody's. A chain has a link from each node to
the next; Mininet makes those of veth, and its switch is a Linux bridge. Memory is that of the processes alone, in
proportion where they share it (Pss): Mininet has a shell in each node and carries frames in the kernel.

| lab | | up s | down s | both s | of Mininet | memory MB |
|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}

/** Up and down together, as an SVG. */
export function chartBringUp({ timings }: BringUpResults): string {
  const labs = [...new Set(timings.map(labOf))];
  const groups = labs.map((lab): BarGroup => {
    const bars = timings.flatMap((each) => {
      const ms = labOf(each) === lab ? bothMs(each) : undefined;
      return ms === undefined ? [] : [{ name: each.name, value: ms / 1000 }];
    });
    return { title: lab, unit: 'seconds up and down', bars };
  });
  return barChart('Bringing labs up and down', groups);
}

function labOf({ nodes, shape }: BringUpTiming): string {
  return `${nodes} nodes, ${shape}`;
}

function bothMs({ upMs, downMs }: BringUpTiming): number | undefined {
  return upMs === undefined || downMs === undefined ? undefined : upMs + downMs;
}

/** What part of Mininet's time it took, for the same lab in the same rounds. */
function ratio(timing: BringUpTiming, timings: readonly BringUpTiming[]): string {
  const mininet = timings.find((each) => each.name === 'Mininet' && labOf(each) === labOf(timing));
  const [own, theirs] = [bothMs(timing), mininet && bothMs(mininet)];
  return own === undefined || theirs === undefined ? '-' : (own / theirs).toFixed(2);
}
