/**
 * `npm run bench -- bpf`: what bpf(4) descriptors cost: to attach, on the frame path with and without listeners, under the
 * lock, and to read.
 *
 * All that is compared takes turns in one run; numbers are medians over the rounds, ratios medians of the ratios within
 * each round. Needs no privilege.
 */
import { availableParallelism, loadavg } from 'node:os';
import { type AttachTiming, benchAttach } from './bpf/attach.ts';
import { benchDelivery, type DeliveryTiming } from './bpf/delivery.ts';
import { benchForwarding, type ForwardingTiming } from './bpf/forwarding.ts';
import { benchLock, type LockTiming } from './bpf/lock.ts';
import { benchReaders, type ReaderResults } from './bpf/readers.ts';

export const BPF_PARTS = ['attach', 'forwarding', 'lock', 'delivery', 'readers'] as const;
export type BpfPart = (typeof BPF_PARTS)[number];

/** Parts that were not measured are absent. */
export type BpfBenchResults = {
  readonly node: string;
  readonly cpus: number;
  /** Load average over a minute before the first measurement: what else the machine did. */
  readonly loadBefore: number;
  readonly rounds: number;
  readonly attach?: AttachTiming[];
  readonly forwarding?: ForwardingTiming[];
  readonly lock?: LockTiming;
  readonly delivery?: DeliveryTiming[];
  readonly readers?: ReaderResults;
};

export type BpfBenchOptions = {
  readonly rounds: number;
  /** Of reading, in one turn. */
  readonly seconds: number;
  readonly parts: readonly BpfPart[];
  readonly onProgress?: (what: string) => void;
};

/** Reading takes seconds in each turn. */
const MAX_READER_ROUNDS = 5;

/** Measures the parts that are asked for, one after the other. */
export async function benchBpf({
  rounds,
  seconds,
  parts,
  onProgress,
}: BpfBenchOptions): Promise<BpfBenchResults> {
  const machine = { node: process.version, cpus: availableParallelism(), loadBefore: loadavg()[0]!, rounds };
  const measure: { [Part in BpfPart]: () => Promise<BpfBenchResults[Part]> } = {
    attach: () => benchAttach(4 * rounds),
    forwarding: () => benchForwarding(rounds),
    lock: () => benchLock(rounds),
    delivery: () => benchDelivery(rounds),
    readers: () => benchReaders(Math.min(rounds, MAX_READER_ROUNDS), seconds),
  };
  const results: Partial<Record<BpfPart, unknown>> = {};
  for (const part of BPF_PARTS) {
    if (!parts.includes(part)) continue;
    onProgress?.(part);
    results[part] = await measure[part]();
  }
  return { ...machine, ...(results as Pick<BpfBenchResults, BpfPart>) };
}

/** The results as Markdown, with what is aimed at. */
export function formatBpf(results: BpfBenchResults): string {
  const { node, cpus, loadBefore, rounds, attach, forwarding, lock, delivery, readers } = results;
  const sections = [
    `Node ${node}, ${cpus} CPUs, load average ${loadBefore.toFixed(1)} before the run. Medians of ${rounds} rounds of alternating turns, of CPU
time of the thread that works, unless it says otherwise.`,
    attach && formatAttach(attach),
    forwarding && formatForwarding(forwarding),
    lock && formatLock(lock),
    delivery && formatDelivery(delivery),
    readers && formatReaders(readers),
  ];
  return `${sections.filter(Boolean).join('\n\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function formatAttach(timings: readonly AttachTiming[]): string {
  const rows = timings.map(({ interfaces, attachNs, detachNs, timesOne }) => [
    interfaces,
    (attachNs / 1000).toFixed(2),
    (detachNs / 1000).toFixed(2),
    timesOne.toFixed(2),
  ]);
  return `Attaching is O(1) in the number of interfaces; aim: times one at most 1.2.

${table(['interfaces', 'attach, µs', 'detach, µs', 'attach, times one'], rows)}`;
}

function formatForwarding(timings: readonly ForwardingTiming[]): string {
  const rows = timings.map(({ device, withNs, withoutNs, ratio }) => [
    device === 'memory' ? 'memory: 60 bytes copied' : 'kernel: one read(2), one write(2)',
    withNs.toFixed(0),
    withoutNs.toFixed(0),
    ratio.toFixed(3),
  ]);
  return `Forwarding a frame when nobody listens, beside a build without BPF (bench/bpf/without-bpf.ts); aim: ratio at most
1.02. The kernel devices are /dev/zero and /dev/null, cheaper than any that carry frames; the memory devices cost
nothing, so that their row shows the data plane alone.

${table(['devices', 'this build, ns', 'without BPF, ns', 'ratio'], rows)}`;
}

function formatLock({ noLockNs, uncontendedNs, contendedNs }: LockTiming): string {
  const rows = [
    ['a counter without the lock', noLockNs.toFixed(1)],
    ['with it, one thread', uncontendedNs.toFixed(1)],
    ['with it, two threads at full speed, per turn of each, time on the wall', contendedNs.toFixed(1)],
  ];
  return `The bpf_if lock: taken, a counter incremented, given back.\n\n${table(['', 'ns'], rows)}`;
}

function formatDelivery(timings: readonly DeliveryTiming[]): string {
  const rows = timings.map((each) => [
    each.engine,
    each.frameBytes,
    each.descriptors,
    each.nsPerFrame.toFixed(0),
    (each.deliveriesPerSecond / 1e6).toFixed(2),
    (each.bytesPerSecond / 1e9).toFixed(2),
  ]);
  const head = ['filters run as', 'frame, bytes', 'descriptors', 'ns per frame', 'deliveries, M/s', 'GB/s'];
  return `One thread delivers to descriptors that all accept the frame, each with the filter \`tcp port 80\`.

${table(head, rows)}`;
}

function formatReaders({ readers, encoders }: ReaderResults): string {
  const rows = readers.map(({ reader, capturedBytesPerSecond, capturedBytesPerCpuSecond, dropped }) => [
    reader,
    (capturedBytesPerSecond / 1e6).toFixed(0),
    (capturedBytesPerCpuSecond / 1e6).toFixed(0),
    `${(100 * dropped).toFixed(0)} %`,
  ]);
  const encoderRows = encoders.map((each) => [each.format, (each.capturedBytesPerSecond / 1e6).toFixed(0)]);
  return `Reading while a worker captures 1,536-byte frames as fast as it can; aim: 1,000 MB/s in-process, 200 MB/s over the
socket.

${table(['reader', 'captured, MB/s', 'per second of CPU time of the control thread', 'dropped for want of room'], rows)}

What stops it, where it stops: three busy threads, the worker that captures, the control thread that encodes and sends, and the reader's
process, share the CPUs. The second column is what the control thread could do if it never waited for one; encoding alone:

${table(['encoder', 'captured, MB per second of CPU time'], encoderRows)}`;
}
