/** Datagrams from a to b, each with its number and the time it took. */
import { ADDRESS, type Pair } from '../net/ground.ts';

export type ProbePlan = {
  /** Of payload. */
  readonly bytes: number;
  readonly perSecond: number;
  readonly count: number;
};

export type Arrival = {
  readonly number: number;
  /** From the sender's call to when the receiver's kernel had it. */
  readonly delayNs: number;
  /** Since the first arrival. */
  readonly arrivedNs: number;
  /** No bit of its payload was changed; otherwise number and delay may be wrong too. */
  readonly isIntact: boolean;
};

/** What an Ethernet frame has around the payload of a datagram: its own header, that of IPv4 and that of UDP. */
export const HEADER_BYTES: number = 14 + 20 + 8;

/** Sends the datagrams of a plan; what arrived, in this order. `program` is the compiled bench/c/probe.c. */
export async function sendProbes(pair: Pair, program: string, plan: ProbePlan): Promise<Arrival[]> {
  const seconds = plan.count / plan.perSecond;
  const receiver = await pair.start('b', [program, 'receive', String(seconds + 10)], /^ready$/);
  let text = '';
  receiver.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise((resolve) => receiver.on('close', resolve));
  const { bytes, perSecond, count } = plan;
  await pair.run(
    'a',
    [program, 'send', ADDRESS.b, ...[bytes, perSecond, count].map(String)],
    seconds * 1000 + 20_000,
  );
  await ended;
  return text
    .split('\n')
    .filter((line) => /^-?\d+ /.test(line))
    .map((line) => {
      const [number, delayNs, arrivedNs, isIntact] = line.split(' ').map(Number);
      return { number: number!, delayNs: delayNs!, arrivedNs: arrivedNs!, isIntact: isIntact === 1 };
    });
}

/** What the probes took, in ms, shortest first. */
export function delaysMs(arrivals: readonly Arrival[]): number[] {
  return arrivals
    .filter(({ isIntact }) => isIntact)
    .map(({ delayNs }) => delayNs / 1e6)
    .sort((x, y) => x - y);
}
