/**
 * What a direction is asked to do with the probes that entered it: the same link, many times over and each time with
 * other random numbers, on a virtual clock, where nothing is ever late. That a link in virtual time does what its words
 * say is proven by the statistics of test/link/.
 */
import { Emulator } from '../daemon/emulator.ts';
import type { Lab, LabInterface } from '../lab/model.ts';
import { CLEAR_LINK, type LinkSettings } from '../link/settings.ts';
import { type Exit, type Passage, type Seen, seen } from './passage.ts';
import { type ProbeKind, probe, probeNumber } from './probe.ts';

/** As many as make their standard deviation worth something. */
const RUNS = 24;

/** What is seen in each of the runs when the probes of a passage enter at the same moments. */
export async function requested(
  settings: LinkSettings,
  kind: ProbeKind,
  mtu: number,
  passage: Passage,
): Promise<Seen[]> {
  const emulator = await Emulator.start(labOf(settings, kind, mtu));
  try {
    const { clock } = emulator;
    const { bytes, flood } = passage;
    const startNs = Math.min(...passage.enteredNs.slice(0, flood).flatMap((each) => each ?? []));
    const runs = Array.from({ length: RUNS }, (_, run) => ({
      near: emulator.memoryDevice(`near${run}:eth0`),
      exits: [] as Exit[],
    }));
    for (const [run, { exits }] of runs.entries()) {
      emulator.memoryDevice(`far${run}:eth0`).onFrame = (frame) => {
        const number = probeNumber(kind, 0, frame);
        if (number !== undefined) exits.push({ number, timeNs: clock.nowNs() });
      };
    }
    const enteredNs = passage.enteredNs.map((each) => (each === undefined ? undefined : each - startNs));
    for (const [number, timeNs] of enteredNs.entries()) {
      if (timeNs === undefined) continue;
      clock.at(timeNs, () => {
        for (const { near } of runs) near.send(probe(kind, 0, number, bytes[number]!));
      });
    }
    await emulator.run();
    return runs.flatMap(({ exits }) => seen({ enteredNs, exits, bytes, flood }) ?? []);
  } finally {
    await emulator.close();
  }
}

/** A link of those settings for each run; its random numbers follow from its name. */
function labOf(settings: LinkSettings, kind: ProbeKind, mtu: number): Lab {
  const end = (node: string): LabInterface => ({
    name: `${node}:eth0`,
    node,
    device: 'eth0',
    kind: 'memory',
    ...(kind === 'raw' && { raw: true }),
    addresses: [],
    mac: '02:00:00:00:00:00',
    mtu,
  });
  const numbers = Array.from({ length: RUNS }, (_, run) => run);
  return {
    name: 'requested',
    seed: 1,
    workers: 1,
    nodes: numbers
      .flatMap((run) => [`near${run}`, `far${run}`])
      .map((name) => ({ name, interfaces: [end(name)], routes: [] })),
    links: numbers.map((run) => ({
      name: `run${run}`,
      endpoints: [`near${run}:eth0`, `far${run}:eth0`] as const,
      forward: settings,
      reverse: CLEAR_LINK,
    })),
    descriptors: [],
    virtual: true,
  };
}
