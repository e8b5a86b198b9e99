/**
 * Probes through a lab's links without devices and without privilege: the same threads, timers and links as of a running
 * lab, on sockets in place of its devices. What enters and leaves a link is stamped by the data plane, where descriptors
 * see it: on one clock, and without what this process adds by looking.
 */
import { frames } from '../bpf/record.ts';
import { resolveFilter } from '../control/filter.ts';
import { CONTROL_OWNER } from '../daemon/contract.ts';
import { Emulator } from '../daemon/emulator.ts';
import { LINKTYPE_ETHERNET } from '../device/link-type.ts';
import type { Lab } from '../lab/model.ts';
import type { Exit, Passage } from './passage.ts';
import { probeNumber } from './probe.ts';
import { sendAll } from './send.ts';
import { SocketPort } from './socket-port.ts';
import type { Achieved, Subject } from './subject.ts';

const BUFFER_BYTES = 1 << 20;

/** @param lab all of TAP devices. Throws SystemError, or what the signal was aborted with. */
export async function throughSockets(
  lab: Lab,
  subjects: readonly Subject[],
  signal?: AbortSignal,
): Promise<Achieved> {
  const ports = new Map(
    lab.links.flatMap(({ endpoints }) => endpoints).map((name) => [name, new SocketPort()]),
  );
  let emulator: Emulator | undefined;
  try {
    const started = await Emulator.start(lab, { ports });
    emulator = started;
    const watched = await Promise.all(subjects.map((subject, path) => watch(started, path, subject)));
    const send = (i: number, frame: Uint8Array): boolean => ports.get(subjects[i]!.from)!.send(frame);
    const take = (): void => {
      for (const port of ports.values()) port.drain();
    };
    const directions = () => started.links().flatMap(({ forward, reverse }) => [forward, reverse]);
    const inFlight = async (): Promise<number> => directions().reduce((sum, each) => sum + each.inFlight, 0);
    await sendAll(subjects, { send, take }, inFlight, signal);
    const passages = await Promise.all(watched.map((finish) => finish()));
    const missed = subjects.map(({ from }) => directions().find((each) => each.from === from)!.drops.device);
    return { passages, missed };
  } finally {
    await emulator?.close();
    for (const port of ports.values()) port.close();
  }
}

/** Captures both ends of a direction. Returns what ends that, and says what was seen. */
async function watch(
  emulator: Emulator,
  path: number,
  { from, to, plan }: Subject,
): Promise<() => Promise<Passage>> {
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
          const number = probeNumber('ethernet', path, bytes);
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
  const enteredNs: (number | undefined)[] = [];
  const exits: Exit[] = [];
  const ends = [
    await attach(from, 'in', (number, timeNs) => {
      enteredNs[number] = timeNs;
    }),
    await attach(to, 'out', (number, timeNs) => {
      exits.push({ number, timeNs });
    }),
  ];
  return async () => {
    for (const end of ends) await end();
    return { enteredNs, exits, bytes: plan.bytes, flood: plan.flood };
  };
}
