/**
 * `npm run bench -- link`: what a frame costs on a link: of each impairment, and by how many links there are and how
 * many frames are in flight. Devices and system calls are not in it. Needs no privilege.
 *
 * Each contender is a thread of its own; all take turns in one run. Numbers are medians over the rounds of CPU time.
 * `beside` names another build to measure with the same code, for a comparison that does not depend on what else the
 * machine does.
 */
import { availableParallelism, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { BenchWorker, median, medianRatio, takeTurns } from './bpf/turns.ts';
import { BUILD_ROOT } from './bpf/without-bpf.ts';
import type { LinkJob } from './link/link-worker.ts';

export type LinkTiming = {
  readonly impairment: string;
  readonly links: number;
  readonly framesInFlight: number;
  readonly nsPerFrame: number;
  /** Without timers, the frames leaving in random order: what it costs that the memory of each is far from the last's. */
  readonly isFloor?: true;
  /** Of nsPerFrame to that of the other build, the median over the rounds. */
  readonly timesBeside?: number;
};

export type LinkBenchResults = {
  readonly node: string;
  readonly cpus: number;
  /** Load average over a minute before the first measurement. */
  readonly loadBefore: number;
  readonly rounds: number;
  readonly impairments: readonly LinkTiming[];
  readonly scale: readonly LinkTiming[];
};

export type LinkBenchOptions = {
  readonly rounds: number;
  /** The folder dist/ of another build. */
  readonly beside?: string;
  readonly onProgress?: (what: string) => void;
};

const EVERYTHING =
  'loss 1% duplicate 1% corrupt 1% rate 10gbit delay 1ms 100us 25% distribution normal reorder 1% mtu 1500';

/** One frame a microsecond: 1 ms are 1,000 frames. */
const IMPAIRMENTS = [
  'clear',
  'mtu 1500',
  'flap 1s 1ms',
  'loss 1%',
  'loss 1% 25%',
  'loss gemodel 1% 10%',
  'duplicate 1%',
  'corrupt 1%',
  'ber 1e-6',
  'rate 10gbit',
  'rate 10gbit burst 32kb',
  'rate 10gbit queue codel',
  'rate 10gbit queue fq_codel',
  'delay 1ms',
  'delay 1ms reorder 1%',
  'delay 1ms 100us',
  'delay 1ms 100us 25% distribution normal',
  'slot 100us 200us',
  'match "udp port 53" loss 10%',
  'loss 1% rate 10gbit delay 1ms',
  EVERYTHING,
];
const JITTER = (us: number): string => `delay ${us}us ${us / 5}us`;
const DELAYS: readonly ((us: number) => string)[] = [
  (us) => `delay ${us}us`,
  JITTER,
  (us) => `loss 1% rate 10gbit delay ${us}us`,
];
const LINKS = [1, 1000];
const FRAMES_IN_FLIGHT = [10, 1000, 100_000];

/** In a turn: some ten milliseconds. */
const FRAMES = 50_000;
const WARM_UP = 6;
/** Besides those in flight by the delay: what its jitter, a queue, a slot or a copy holds. */
const SPARE_SLOTS = 32_768;

type Contender = Pick<LinkTiming, 'impairment' | 'links' | 'framesInFlight' | 'isFloor'>;
type LinkThread = BenchWorker<LinkJob, number, number>;

export async function benchLink({ rounds, beside, onProgress }: LinkBenchOptions): Promise<LinkBenchResults> {
  const machine = { node: process.version, cpus: availableParallelism(), loadBefore: loadavg()[0]!, rounds };
  const roots = beside === undefined ? [BUILD_ROOT] : [BUILD_ROOT, resolve(beside, 'src')];
  onProgress?.('impairments');
  const impairments = await measure(
    IMPAIRMENTS.map((impairment) => ({ impairment, links: 1, framesInFlight: 1000 })),
    roots,
    rounds,
  );
  const scale: LinkTiming[] = [];
  for (const delay of DELAYS) {
    onProgress?.(`scale of ${delay(10)}`);
    const contenders = LINKS.flatMap((links) =>
      FRAMES_IN_FLIGHT.map((framesInFlight) => ({
        impairment: delay(framesInFlight),
        links,
        framesInFlight,
      })),
    );
    const floors = delay === JITTER ? contenders.map((each) => ({ ...each, isFloor: true as const })) : [];
    scale.push(...(await measure([...contenders, ...floors], roots, rounds)));
  }
  return { ...machine, impairments, scale };
}

/** Lets all contenders of all builds take turns. */
async function measure(
  contenders: readonly Contender[],
  roots: readonly string[],
  rounds: number,
): Promise<LinkTiming[]> {
  const threads = contenders.flatMap(({ impairment, links, framesInFlight, isFloor }) =>
    roots.map(
      (root): LinkThread =>
        new BenchWorker('../link/link-worker', {
          root,
          impairment,
          links,
          slots: framesInFlight + SPARE_SLOTS,
          ...(isFloor && { unordered: framesInFlight }),
        }),
    ),
  );
  try {
    for (const thread of threads) await thread.ask(2 * (FRAMES_IN_FLIGHT.at(-1)! + FRAMES));
    const turns = threads.map((thread) => () => thread.ask(FRAMES));
    await takeTurns(turns, WARM_UP);
    const samples = await takeTurns(turns, rounds);
    return contenders.map((contender, i) => {
      const [own, other] = samples.slice(i * roots.length);
      const nsPerFrame = median(own!);
      return roots.length === 1
        ? { ...contender, nsPerFrame }
        : { ...contender, nsPerFrame, timesBeside: medianRatio(own!, other!) };
    });
  } finally {
    for (const thread of threads) await thread.close();
  }
}

/** The results as Markdown. */
export function formatLink({ node, cpus, loadBefore, rounds, impairments, scale }: LinkBenchResults): string {
  return `Node ${node}, ${cpus} CPUs, load average ${loadBefore.toFixed(1)} before the run. Medians of ${rounds} rounds of alternating turns, of CPU
time of the thread that works. Frames of 1,000 bytes, one a microsecond on a virtual clock, from the offer to the far
end, with the timers; without devices, system calls and descriptors.

One link, 1,000 frames in flight where there is a delay of 1 ms:

${table(['impairment'], impairments, ({ impairment }) => [`\`${impairment}\``])}

By frames in flight, over all links together; aim: timers cost a frame no more when there are more. Where jitter has
frames overtake each other, what a frame costs grows whatever the timers do: it leaves when its memory, and that of its
link, is no longer in the cache. How much that alone is, the rows "in random order" show: the same link without timers,
where of the frames that wait one drawn at random leaves whenever one comes.

${table(['impairment', 'links', 'frames in flight'], scale, (each) => [
  `\`${each.impairment}\`${each.isFloor ? ', in random order' : ''}`,
  each.links.toLocaleString('en'),
  each.framesInFlight.toLocaleString('en'),
])}
`;
}

function table(
  head: readonly string[],
  timings: readonly LinkTiming[],
  cells: (timing: LinkTiming) => readonly string[],
): string {
  const isBeside = timings.some(({ timesBeside }) => timesBeside !== undefined);
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  const columns = [...head, 'ns per frame', ...(isBeside ? ['times the other build'] : [])];
  const rows = timings.map((timing) => [
    ...cells(timing),
    timing.nsPerFrame.toFixed(0),
    ...(timing.timesBeside === undefined ? [] : [timing.timesBeside.toFixed(2)]),
  ]);
  return [line(columns), `|${'---|'.repeat(columns.length)}`, ...rows.map(line)].join('\n');
}
