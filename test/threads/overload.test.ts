/** Workers that cannot carry what they are given: who notices, and when it is over. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { CONTROL_OWNER } from '../../src/bpf/types.ts';
import type { Emulator } from '../../src/daemon/emulator.ts';
import type { OverloadChange } from '../../src/daemon/links.ts';
import type { Lab } from '../../src/lab/model.ts';
import type { LinkSettings } from '../../src/link/settings.ts';
import { Program } from '../../vm/index.ts';
import { distPath } from '../helpers/dist.ts';
import { numberedFrame, pairLab } from '../helpers/lab.ts';
import { type SocketDevice, socketDevice } from '../helpers/socket-device.ts';

// Workers are files of their own, so all of it is the compiled program.
const { Emulator: CompiledEmulator } = (await import(distPath('src/daemon/emulator.js'))) as {
  Emulator: typeof Emulator;
};

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const WORKERS = 8;
const PATIENCE_MS = 40_000;

/** Two nodes; the more workers, the fewer slots each has. */
async function setUp(forward: Partial<LinkSettings>): Promise<{
  readonly emulator: Emulator;
  readonly changes: OverloadChange[];
  readonly devices: readonly [SocketDevice, SocketDevice];
}> {
  const lab: Lab = { ...pairLab(), virtual: false, workers: WORKERS };
  const changes: OverloadChange[] = [];
  const emulator = await CompiledEmulator.start(lab, { onOverload: (each) => void changes.push(...each) });
  cleanUp.push(() => emulator.close());
  const devices = [socketDevice(), socketDevice()] as const;
  for (const [i, name] of ['a:eth0', 'b:eth0'].entries()) {
    await emulator.connect(name, devices[i]!.port);
    cleanUp.push(() => {
      devices[i]!.closePort();
      devices[i]!.close();
    });
  }
  await emulator.setLink('ab', { forward });
  return { emulator, changes, devices };
}

/** Sends as much as the emulator takes, until something is so. */
async function flood([a, b]: readonly [SocketDevice, SocketDevice], isEnough: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  const frame = numberedFrame(1);
  while (!isEnough() && performance.now() < endMs) {
    for (let i = 0; i < 500 && a.send(frame); i++);
    while (b.receive());
    await turn();
  }
  expect(isEnough()).toBe(true);
}

it(
  'a link that holds more frames than its worker has slots for is overloaded, and no longer once it is left alone',
  async () => {
    const { emulator, changes, devices } = await setUp({ delayNs: 3600e9 });
    await flood(devices, () => emulator.link('ab')!.forward.overloaded.includes('pool'));
    expect(emulator.link('ab')!.forward.drops.pool).toBeGreaterThan(0);
    await expect.poll(() => emulator.link('ab')!.forward.overloaded, { timeout: PATIENCE_MS }).toEqual([]);
    const ofPool = changes.filter(
      ({ before, causes }) => before.includes('pool') !== causes.includes('pool'),
    );
    expect(ofPool.map(({ link, direction, causes }) => [link, direction, causes.includes('pool')])).toEqual([
      ['ab', 'forward', true],
      ['ab', 'forward', false],
    ]);
    expect(changes.every(({ direction }) => direction === 'forward')).toBe(true);
  },
  2 * PATIENCE_MS + 10_000,
);

it(
  'a worker with more to do than it can makes its links overloaded and late, until it can again',
  async () => {
    const { emulator, devices } = await setUp({ delayNs: 1e6 });
    // A frame costs a millisecond: so many instructions are not compiled, and would be slow if they were.
    const add = { code: 0x04, jt: 0, jf: 0, k: 1 };
    const program = Program.from([...new Array<typeof add>(4095).fill(add), { ...add, code: 0x06, k: 0 }]);
    const settings = {
      filter: '',
      program,
      direction: 'inout',
      immediate: false,
      readTimeoutMs: 1000,
    } as const;
    for (let i = 0; i < 64; i++) {
      await emulator.attach('a:eth0', { ...settings, bufferBytes: 4096, owner: CONTROL_OWNER });
    }
    const causes = () => emulator.link('ab')!.forward.overloaded;
    await flood(devices, () => causes().includes('worker') && causes().includes('late'));
    expect(emulator.link('ab')!.reverse.overloaded).toEqual([]);
    await expect.poll(causes, { timeout: PATIENCE_MS }).toEqual([]);
  },
  2 * PATIENCE_MS + 10_000,
);

it('a lab in which nothing moves never is', async () => {
  const { emulator, changes } = await setUp({ delayNs: 1e6, precision: 'high' });
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  expect(changes).toEqual([]);
  expect(emulator.link('ab')!.forward.overloaded).toEqual([]);
});
