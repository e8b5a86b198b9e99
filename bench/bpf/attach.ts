/** What attaching costs with one interface, a hundred, and 4,096: design rule 5, O(1) in the number of interfaces. */
import type { AttachOptions } from '../../src/bpf/types.ts';
import { CONTROL_OWNER } from '../../src/daemon/contract.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import { compileFilter, type Program } from '../../vm/index.ts';
import { threadCpuNs } from './cpu-time.ts';
import { labOf } from './lab.ts';
import { median, medianRatio, takeTurns } from './turns.ts';

export type AttachTiming = {
  readonly interfaces: number;
  readonly attachNs: number;
  readonly detachNs: number;
  /** Of attachNs to that with one interface. */
  readonly timesOne: number;
};

const COUNTS = [1, 100, 4096];
/** Descriptors that are open at the same time. */
const BATCH = 64;
const WARM_UP = 40;
const STRIDE = 61;

export function attachOptions(program: Program, bufferBytes: number): AttachOptions {
  return {
    filter: '',
    program,
    direction: 'inout',
    immediate: false,
    readTimeoutMs: 100,
    bufferBytes,
    owner: CONTROL_OWNER,
  };
}

/**
 * Attaches and detaches a batch on one interface. Batches on one interface of one, but on 64 of 4,096, would differ in
 * how many records come into the cache and how many lists are compiled, whatever attaching has to look for.
 */
async function turn(emulator: Emulator, name: string): Promise<{ attachNs: number; detachNs: number }> {
  const options = attachOptions(compileFilter('tcp port 80'), 32_768);
  const startNs = threadCpuNs();
  const descriptors = [];
  for (let i = 0; i < BATCH; i++) descriptors.push(await emulator.attach(name, options));
  const middleNs = threadCpuNs();
  for (const descriptor of descriptors) await descriptor.close();
  return { attachNs: (middleNs - startNs) / BATCH, detachNs: (threadCpuNs() - middleNs) / BATCH };
}

export async function benchAttach(rounds: number): Promise<AttachTiming[]> {
  const emulators = await Promise.all(COUNTS.map((count) => Emulator.start(labOf(count, true))));
  try {
    // A stride that leads to every interface, so that each turn has another one.
    const contenders = emulators.map((emulator, i) => {
      let next = 0;
      return () => turn(emulator, `n${(next++ * STRIDE) % COUNTS[i]!}:eth0`);
    });
    await takeTurns(contenders, WARM_UP);
    const samples = await takeTurns(contenders, rounds);
    const attach = samples.map((each) => each.map(({ attachNs }) => attachNs));
    return COUNTS.map((interfaces, i) => ({
      interfaces,
      attachNs: median(attach[i]!),
      detachNs: median(samples[i]!.map(({ detachNs }) => detachNs)),
      timesOne: medianRatio(attach[i]!, attach[0]!),
    }));
  } finally {
    for (const emulator of emulators) await emulator.close();
  }
}
