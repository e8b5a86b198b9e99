/**
 * What a lab's links are asked to do with the probes that entered them: the same links, with the same seed, on a
 * virtual clock, where nothing is ever late. That a link in virtual time does what its words say is proven by the
 * statistics of test/link/.
 */
import { Emulator } from '../daemon/emulator.ts';
import type { Lab } from '../lab/model.ts';
import { asVirtualLab } from '../lab/parse.ts';
import type { Subject } from './achieved.ts';
import type { Passage } from './passage.ts';
import { probe, probeNumber } from './probe.ts';

/** The passages of the same probes when they enter at the same moments. */
export async function request(
  lab: Lab,
  subjects: readonly Subject[],
  achieved: readonly Passage[],
): Promise<Passage[]> {
  const emulator = await Emulator.start({ ...asVirtualLab(lab), descriptors: [] });
  try {
    const { clock } = emulator;
    // One that the descriptor had no room for is not known.
    const firsts = achieved.flatMap(({ enteredNs }) => enteredNs.find((each) => each !== undefined) ?? []);
    const startNs = firsts.reduce((least, each) => Math.min(least, each), Number.MAX_VALUE);
    const passages = subjects.map(({ from, to, plan }, i): Passage => {
      const near = emulator.memoryDevice(from);
      const enteredNs: number[] = [];
      for (const [number, timeNs] of achieved[i]!.enteredNs.entries()) {
        if (timeNs === undefined) continue;
        enteredNs[number] = timeNs - startNs;
        clock.at(timeNs - startNs, () => near.send(probe(number, plan.bytes[number]!)));
      }
      const leftNs = new Map<number, number>();
      emulator.memoryDevice(to).onFrame = (frame) => {
        const number = probeNumber(frame);
        if (number !== undefined && !leftNs.has(number)) leftNs.set(number, clock.nowNs());
      };
      return { enteredNs, leftNs, bytes: plan.bytes, flood: plan.flood };
    });
    await emulator.run();
    return passages;
  } finally {
    await emulator.close();
  }
}
