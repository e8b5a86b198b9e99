/** `precision high` with real workers: who waits on the clock, when, and who does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { Emulator } from '../../src/daemon/emulator.ts';
import type { Lab } from '../../src/lab/model.ts';
import type { LinkSettings } from '../../src/link/settings.ts';
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

const FRAMES = 20;
const ATTEMPTS = 50;

/** Two nodes, the direction from each carried by a worker of its own. */
async function setUp(forward: Partial<LinkSettings>): Promise<{
  /** Sends frames one by one, and waits for each. */
  readonly send: () => Promise<void>;
  readonly spinNs: () => number[];
}> {
  const lab: Lab = { ...pairLab(), virtual: false, workers: 2 };
  const emulator = await CompiledEmulator.start(lab);
  cleanUp.push(() => emulator.close());
  const [a, b] = [socketDevice(), socketDevice()] as [SocketDevice, SocketDevice];
  for (const [name, device] of [['a:eth0', a] as const, ['b:eth0', b] as const]) {
    await emulator.connect(name, device.port);
    cleanUp.push(() => {
      device.closePort();
      device.close();
    });
  }
  await emulator.setLink('ab', { forward });
  const send = async (): Promise<void> => {
    for (let i = 0; i < FRAMES; i++) {
      a.send(numberedFrame(i));
      await expect.poll(() => b.receive(), { interval: 1 }).toEqual(numberedFrame(i));
    }
  };
  return { send, spinNs: () => emulator.workers().map(({ spinNs }) => spinNs) };
}

it('the worker that carries such frames waits on the clock for the last of each delay, and no other does', async () => {
  const { send, spinNs } = await setUp({ delayNs: 2e6, precision: 'high' });
  // On a busy machine a worker may wake up when the time is over already; then there is nothing to wait for.
  for (let i = 0; i < ATTEMPTS && spinNs()[0] === 0; i++) await send();
  const [carrier, other] = spinNs();
  expect(carrier).toBeGreaterThan(0);
  expect(other).toBe(0);
});

it('it does not while nothing waits, nor without being told', async () => {
  const precise = await setUp({ delayNs: 2e6, precision: 'high' });
  await precise.send();
  const before = precise.spinNs();
  await sleep(50);
  expect(precise.spinNs()).toEqual(before);
  const normal = await setUp({ delayNs: 2e6 });
  await normal.send();
  expect(normal.spinNs()).toEqual([0, 0]);
});
