/**
 * What is asked of every contender: each returns one number for one turn.
 */

import type { Carrier } from './contenders.ts';
import { ADDRESS, cpuMs } from './ground.ts';

export type TcpOptions = {
  readonly flows?: number;
  /** From b to a. */
  readonly reverse?: boolean;
  /** At the beginning, these do not count. */
  readonly omitSeconds?: number;
  /** The machine's own unless given, as `cubic`. */
  readonly congestionControl?: string;
};

/** Throughput of TCP from a to b in Gbit/s of payload (iperf3, which runs for whole seconds). */
export async function tcp(
  { pair }: Carrier,
  seconds: number,
  { flows = 1, reverse = false, omitSeconds = 0, congestionControl }: TcpOptions = {},
): Promise<number> {
  // One server for each turn; it ends with its client.
  const server = await pair.start('b', ['iperf3', '-s', '-1', '--forceflush'], /Server listening/);
  try {
    const args = [
      ...['-c', ADDRESS.b, '-J', '-t', String(Math.ceil(seconds)), '-P', String(flows)],
      ...['-O', String(omitSeconds)],
      ...(reverse ? ['-R'] : []),
      ...(congestionControl === undefined ? [] : ['-C', congestionControl]),
    ];
    const report = JSON.parse(await pair.run('a', ['iperf3', ...args], seconds * 1000 + 20_000)) as {
      end: { sum_received: { bits_per_second: number } };
    };
    return report.end.sum_received.bits_per_second / 1e9;
  } finally {
    await pair.ground.stop(server);
  }
}

export type PacketRate = {
  /** Datagrams per second that arrived. */
  readonly packetsPerSecond: number;
  /** Processor time of the contender for each of them; 0 when the kernel carries them. */
  readonly cpuNsPerPacket: number;
};

/** UDP datagrams with `bytes` of payload from a to b, as fast as a can send. */
export async function udp(
  { pair, pids }: Carrier,
  program: string,
  bytes: number,
  seconds: number,
): Promise<PacketRate> {
  const receiver = await pair.start('b', [program, 'receive', String(seconds)], /^ready$/);
  let last = '';
  receiver.stdout!.on('data', (chunk: Buffer) => {
    last += chunk.toString();
  });
  const ended = new Promise((resolve) => receiver.on('close', resolve));
  const before = cpuMs(pids);
  await pair.run('a', [program, 'send', ADDRESS.b, String(bytes), String(seconds)], seconds * 1000 + 20_000);
  await ended;
  const usedMs = cpuMs(pids) - before;
  const [packets, elapsedNs] = last.trim().split('\n').at(-1)!.split(' ').map(Number);
  if (!packets || !elapsedNs) throw new Error(`no datagram arrived: ${last}`);
  return { packetsPerSecond: packets / (elapsedNs / 1e9), cpuNsPerPacket: (usedMs * 1e6) / packets };
}

/** Round-trip times of `count` pings from a to b, 2 ms apart, in ms, shortest first. */
export async function roundTrips({ pair }: Carrier, count: number): Promise<number[]> {
  const text = await pair.run('a', ['ping', '-n', '-i', '0.002', '-c', String(count), ADDRESS.b]);
  const times = [...text.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  // The first one waits for ARP.
  return times.slice(1).sort((x, y) => x - y);
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}
