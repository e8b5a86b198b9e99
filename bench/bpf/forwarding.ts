/**
 * What BPF costs forwarding when nobody listens: this build beside one without BPF, each in a thread of its own.
 *
 * Two kinds of devices. `memory` does nothing but put 60 bytes into the slot: what is left is the data plane itself,
 * and the difference between the builds in nanoseconds. `kernel` makes the two cheapest system calls there are for each
 * frame, a read(2) of /dev/zero and a write(2) to /dev/null: less than any device that carries frames takes.
 */
import type { ForwardingJob } from './forwarding-worker.ts';
import { BenchWorker, median, medianRatio, takeTurns } from './turns.ts';
import { BUILD_ROOT, buildWithoutBpf } from './without-bpf.ts';

export type ForwardingTiming = {
  readonly device: ForwardingJob['device'];
  readonly withNs: number;
  readonly withoutNs: number;
  /** Median of the ratios within each round. */
  readonly ratio: number;
};

/** Frames in a turn: some ten milliseconds. */
const FRAMES = { memory: 200_000, kernel: 50_000 };
/** V8 may optimise the same code a little differently each time: threads are started anew so many times. */
const PAIRS = 5;
const WARM_UP = 8;

type ForwardingThread = BenchWorker<ForwardingJob, number, number>;

export async function benchForwarding(rounds: number): Promise<ForwardingTiming[]> {
  const without = buildWithoutBpf();
  try {
    const results: ForwardingTiming[] = [];
    for (const device of ['memory', 'kernel'] as const) {
      const samples: [number[], number[]] = [[], []];
      for (let pair = 0; pair < PAIRS; pair++) {
        const [withBpf, withoutBpf] = await measurePair(device, without.root, rounds, pair % 2 === 1);
        samples[0].push(...withBpf);
        samples[1].push(...withoutBpf);
      }
      const [withBpf, withoutBpf] = samples;
      const ratio = medianRatio(withBpf, withoutBpf);
      results.push({ device, withNs: median(withBpf), withoutNs: median(withoutBpf), ratio });
    }
    return results;
  } finally {
    without.remove();
  }
}

async function measurePair(
  device: ForwardingJob['device'],
  withoutRoot: string,
  rounds: number,
  reversed: boolean,
): Promise<[number[], number[]]> {
  const start = (root: string): ForwardingThread => new BenchWorker('forwarding-worker', { root, device });
  const roots = reversed ? [withoutRoot, BUILD_ROOT] : [BUILD_ROOT, withoutRoot];
  const threads = roots.map(start);
  try {
    const contenders = threads.map((thread) => () => thread.ask(FRAMES[device]));
    await takeTurns(contenders, WARM_UP);
    const samples = await takeTurns(contenders, rounds);
    return reversed ? [samples[1]!, samples[0]!] : [samples[0]!, samples[1]!];
  } finally {
    for (const thread of threads) await thread.close();
  }
}
