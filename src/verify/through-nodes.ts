/**
 * Probes through links as their nodes send them: into the node's device with packet(7), out of the far node's device, seen
 * on both sides by the kernel. So what is measured is all that a frame of the node goes through, TAP devices included.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { compileFilter } from '../../vm/index.ts';
import { inNamespace } from '../device/in-namespace.ts';
import { check, close, O_CLOEXEC, open } from '../sys/libc.ts';
import { PacketSocket } from '../sys/packet-socket.ts';
import type { Exit, Passage } from './passage.ts';
import { PROBE_FILTERS, type ProbeKind, probeNumber, probePath } from './probe.ts';
import { sendAll } from './send.ts';
import type { Achieved, InFlight, Subject } from './subject.ts';

const PROTOCOLS: Readonly<Record<ProbeKind, number>> = { ethernet: 0x88b5, raw: 0x0800 };
const LINK_TYPES = { ethernet: 'EN10MB', raw: 'RAW' } as const;
/** The kernel takes times a little after it was asked to. */
const STAMPS_MS = 50;

/** Where an interface is on the node's side; the namespace is a path, as for setns(2). */
export type NodeEnd = { readonly namespace: string; readonly device: string; readonly kind: ProbeKind };

/** The path of a namespace that ip-netns(8) knows. */
export function namedNamespace(name: string): string {
  return `/run/netns/${name}`;
}

/** Throws SystemError, or what the signal was aborted with. */
export async function throughNodes(
  subjects: readonly Subject[],
  endOf: (interfaceName: string) => NodeEnd,
  inFlight: InFlight,
  signal?: AbortSignal,
): Promise<Achieved> {
  const sockets = new Map<string, PacketSocket>();
  const baseSeconds = Math.floor(Date.now() / 1000);
  try {
    for (const name of new Set(subjects.flatMap(({ from, to }) => [from, to]))) {
      sockets.set(name, openEnd(endOf(name), baseSeconds));
    }
    await sleep(STAMPS_MS);
    const enteredNs = subjects.map((): (number | undefined)[] => []);
    const exits = subjects.map((): Exit[] => []);
    const take = (): void => {
      for (const [name, socket] of sockets) {
        socket.take((frame, timeNs) => {
          const { kind } = endOf(name);
          const path = probePath(kind, frame);
          const subject = path === undefined ? undefined : subjects[path];
          if (subject === undefined) return;
          const number = probeNumber(kind, path!, frame)!;
          if (subject.from === name) enteredNs[path!]![number] = timeNs;
          else if (subject.to === name) exits[path!]!.push({ number, timeNs });
        });
      }
    };
    const send = (i: number, frame: Uint8Array): boolean => sockets.get(subjects[i]!.from)!.send(frame);
    await sendAll(subjects, { send, take }, inFlight, signal);
    const missed = new Map([...sockets].map(([name, socket]) => [name, socket.missed()]));
    return {
      passages: subjects.map(
        ({ plan: { bytes, flood } }, i): Passage => ({
          enteredNs: enteredNs[i]!,
          exits: exits[i]!,
          bytes,
          flood,
        }),
      ),
      missed: subjects.map(({ from, to }) => missed.get(from)! + missed.get(to)!),
    };
  } finally {
    for (const socket of sockets.values()) socket.close();
  }
}

function openEnd({ namespace, device, kind }: NodeEnd, baseSeconds: number): PacketSocket {
  const fd = check(
    open(namespace, O_CLOEXEC),
    'open',
    namespace,
    "only root may enter the nodes' namespaces",
  );
  try {
    const { instructions } = compileFilter(PROBE_FILTERS[kind], { linkType: LINK_TYPES[kind] });
    return inNamespace(
      { fd, name: namespace },
      () => new PacketSocket(device, PROTOCOLS[kind], instructions, baseSeconds),
    );
  } finally {
    close(fd);
  }
}
