/**
 * A lab's links in real time: the same threads, timers and links as of a running lab, on sockets in place of its
 * devices. What enters and leaves a link is stamped by the data plane, where descriptors see it: on one clock, and
 * without what this process adds by looking.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { frames } from '../bpf/record.ts';
import { resolveFilter } from '../control/filter.ts';
import { CONTROL_OWNER } from '../daemon/contract.ts';
import { Emulator } from '../daemon/emulator.ts';
import { LINKTYPE_ETHERNET } from '../device/link-type.ts';
import type { Lab } from '../lab/model.ts';
import type { Passage } from './passage.ts';
import type { Plan } from './plan.ts';
import { probe, probeNumber } from './probe.ts';
import { SocketPort } from './socket-port.ts';

const BUFFER_BYTES = 1 << 20;
const TICK_MS = 1;
/** For what is still on its way at the end. */
const QUIET_MS = 100;
const MAX_QUIET_MS = 10_000;

/** A direction to be measured. */
export type Subject = { readonly from: string; readonly to: string; readonly plan: Plan };

export type Achieved = {
  /** In the order of the subjects. */
  readonly passages: readonly Passage[];
  /** By direction, as above: frames that found this process too slow to take them. */
  readonly refused: readonly number[];
};

/** Sends all probes, every direction at the same time. Throws SystemError, or what the signal was aborted with. */
export async function achieve(
  lab: Lab,
  subjects: readonly Subject[],
  signal?: AbortSignal,
): Promise<Achieved> {
  const ports = new Map(
    lab.links.flatMap(({ endpoints }) => endpoints).map((name) => [name, new SocketPort()]),
  );
  let emulator: Emulator | undefined;
  try {
    emulator = await Emulator.start(onSockets(lab), { ports });
    const watched = await Promise.all(subjects.map((subject) => watch(emulator!, subject)));
    await send(subjects, ports, signal);
    await settle(emulator, ports);
    const passages = await Promise.all(watched.map((finish) => finish()));
    const refused = subjects.map(({ from }) => {
      const links = emulator!.links().flatMap(({ forward, reverse }) => [forward, reverse]);
      return links.find((each) => each.from === from)!.drops.device;
    });
    return { passages, refused };
  } finally {
    await emulator?.close();
    for (const port of ports.values()) port.close();
  }
}

/** The lab on devices that pass Ethernet frames one by one. */
function onSockets(lab: Lab): Lab {
  const nodes = lab.nodes.map((node) => ({
    ...node,
    interfaces: node.interfaces.map((each) => ({ ...each, kind: 'tap' as const, offload: false })),
  }));
  return { ...lab, nodes, descriptors: [], virtual: false };
}

/** Captures both ends of a direction. Returns what ends that, and says what was seen. */
async function watch(emulator: Emulator, { from, to, plan }: Subject): Promise<() => Promise<Passage>> {
  const attach = async (
    interfaceName: string,
    direction: 'in' | 'out',
    see: (n: number, ns: number) => void,
  ) => {
    const descriptor = await emulator.attach(interfaceName, {
      filter: '',
      program: resolveFilter('', LINKTYPE_ETHERNET).program,
      direction,
      immediate: false,
      readTimeoutMs: 10,
      bufferBytes: BUFFER_BYTES,
      owner: CONTROL_OWNER,
      timestamp: 'nanotime-monotonic',
    });
    const pump = async (): Promise<void> => {
      for (let batch = await descriptor.read(); batch !== undefined; batch = await descriptor.read()) {
        for (const { bytes, seconds, nanoseconds } of frames(batch)) {
          const number = probeNumber(bytes);
          if (number !== undefined) see(number, seconds * 1e9 + nanoseconds);
        }
      }
    };
    const pumped = pump();
    return async (): Promise<void> => {
      await descriptor.detach();
      await pumped;
      await descriptor.close();
    };
  };
  const enteredNs: number[] = [];
  const leftNs = new Map<number, number>();
  const ends = [
    await attach(from, 'in', (number, timeNs) => {
      enteredNs[number] = timeNs;
    }),
    await attach(to, 'out', (number, timeNs) => {
      if (!leftNs.has(number)) leftNs.set(number, timeNs);
    }),
  ];
  return async () => {
    for (const end of ends) await end();
    return { enteredNs, leftNs, bytes: plan.bytes, flood: plan.flood };
  };
}

async function send(
  subjects: readonly Subject[],
  ports: ReadonlyMap<string, SocketPort>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const startMs = performance.now();
  const sent = subjects.map(() => 0);
  for (let left = true; left; ) {
    signal?.throwIfAborted();
    const nowNs = (performance.now() - startMs) * 1e6;
    left = false;
    for (const [i, { from, plan }] of subjects.entries()) {
      const port = ports.get(from)!;
      let next = sent[i]!;
      while (plan.atNs[next]! <= nowNs && port.send(probe(next, plan.bytes[next]!))) next++;
      sent[i] = next;
      left ||= next < plan.atNs.length;
    }
    for (const port of ports.values()) port.drain();
    await sleep(TICK_MS);
  }
}

/** Waits until nothing is on its way. */
async function settle(emulator: Emulator, ports: ReadonlyMap<string, SocketPort>): Promise<void> {
  for (let waitedMs = 0; waitedMs < MAX_QUIET_MS; waitedMs += TICK_MS) {
    for (const port of ports.values()) port.drain();
    const isQuiet = emulator
      .links()
      .every(({ forward, reverse }) => forward.inFlight + reverse.inFlight === 0);
    if (isQuiet && waitedMs >= QUIET_MS) return;
    await sleep(TICK_MS);
  }
}
