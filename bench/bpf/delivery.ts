/** How fast one thread delivers to 1, 4, 16 and 64 descriptors of an interface, all of which accept the frame. */
import type { DeliveryJob } from './delivery-worker.ts';
import { BenchWorker, median, takeTurns } from './turns.ts';

export type DeliveryTiming = DeliveryJob & {
  readonly nsPerFrame: number;
  /** Frames put into buffers, over all descriptors, in a second. */
  readonly deliveriesPerSecond: number;
  readonly bytesPerSecond: number;
};

const COUNTS = [1, 4, 16, 64];
const LENGTHS = [60, 1514];
/** Deliveries in a turn, a multiple of every count: some ten milliseconds. */
const DELIVERIES = 102_400;
const WARM_UP = 5;

export async function benchDelivery(rounds: number): Promise<DeliveryTiming[]> {
  const jobs: DeliveryJob[] = (['wasm', 'interpreter'] as const).flatMap((engine) =>
    LENGTHS.flatMap((frameBytes) => COUNTS.map((descriptors) => ({ engine, frameBytes, descriptors }))),
  );
  const threads = jobs.map((job) => new BenchWorker<DeliveryJob, number, number>('delivery-worker', job));
  try {
    const contenders = threads.map((thread, i) => () => thread.ask(DELIVERIES / jobs[i]!.descriptors));
    await takeTurns(contenders, WARM_UP);
    const samples = await takeTurns(contenders, rounds);
    return jobs.map((job, i) => {
      const nsPerFrame = median(samples[i]!);
      const deliveriesPerSecond = (job.descriptors * 1e9) / nsPerFrame;
      return {
        ...job,
        nsPerFrame,
        deliveriesPerSecond,
        bytesPerSecond: deliveriesPerSecond * job.frameBytes,
      };
    });
  } finally {
    for (const thread of threads) await thread.close();
  }
}
