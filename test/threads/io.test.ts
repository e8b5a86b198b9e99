/** Frames written one by one and many at a time: what arrives, and what becomes of those that a device refuses. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Emulator } from '../../src/daemon/emulator.ts';
import { openWriteRing } from '../../src/engine/write-batch.ts';
import { distPath } from '../helpers/dist.ts';
import { frameNumber, numberedFrame, pairLab } from '../helpers/lab.ts';
import { type SocketDevice, socketDevice } from '../helpers/socket-device.ts';

const { Emulator: CompiledEmulator } = (await import(distPath('src/daemon/emulator.js'))) as {
  Emulator: typeof Emulator;
};

const WAYS = openWriteRing() === undefined ? ['epoll'] : ['epoll', 'uring'];
if (WAYS.length === 1) console.warn('skipped: TAPLAB_IO=uring, which this system does not allow');

const cleanUp: (() => unknown)[] = [];
const wished = process.env.TAPLAB_IO;

afterEach(async () => {
  if (wished === undefined) delete process.env.TAPLAB_IO;
  else process.env.TAPLAB_IO = wished;
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Two nodes; the workers write in the way that is wished for. */
async function pair(way: string): Promise<{ emulator: Emulator; a: SocketDevice; b: SocketDevice }> {
  process.env.TAPLAB_IO = way;
  const emulator = await CompiledEmulator.start({ ...pairLab(), virtual: false, workers: 1 });
  cleanUp.push(() => emulator.close());
  const [a, b] = [socketDevice(), socketDevice()];
  for (const each of [a, b]) cleanUp.push(each.closePort, each.close);
  await emulator.connect('a:eth0', a.port);
  await emulator.connect('b:eth0', b.port);
  return { emulator, a, b };
}

describe.each(WAYS)('with TAPLAB_IO=%s', (way) => {
  it('every frame arrives, in order, both ways, delayed or not', async () => {
    const { emulator, a, b } = await pair(way);
    for (const delayNs of [0, 1e6]) {
      await emulator.setLink('ab', { forward: { delayNs }, reverse: { delayNs } });
      const arrived: number[][] = [[], []];
      for (const [i, [from, to]] of [
        [a, b],
        [b, a],
      ].entries()) {
        for (let sent = 0; arrived[i]!.length < 2000; await turn()) {
          // No more at a time than the far end has room for.
          for (; sent < 2000 && sent < arrived[i]!.length + 30 && from!.send(numberedFrame(sent)); sent++);
          for (let frame = to!.receive(); frame; frame = to!.receive()) arrived[i]!.push(frameNumber(frame));
        }
      }
      const all = Array.from({ length: 2000 }, (_, i) => i);
      expect(arrived).toEqual([all, all]);
    }
    expect(emulator.link('ab')!.forward.delivered.frames).toBe(4000);
    await expect.poll(() => emulator.workers()[0]!.slotsUsed).toBe(0);
  });

  it('frames that a device has no room for are dropped and counted, and no others', async () => {
    const { emulator, a, b } = await pair(way);
    let sent = 0;
    const forward = () => emulator.link('ab')!.forward;
    for (const endMs = performance.now() + 20_000; forward().drops.device < 200; await turn()) {
      expect(performance.now()).toBeLessThan(endMs);
      for (let i = 0; i < 100 && a.send(numberedFrame(sent)); i++) sent++;
    }
    await expect.poll(() => forward().offered.frames).toBe(sent);
    await expect.poll(() => emulator.workers()[0]!.slotsUsed).toBe(0);
    let received = 0;
    while (b.receive()) received++;
    const { delivered, drops } = forward();
    expect(delivered.frames + drops.device).toBe(sent);
    expect(received).toBe(delivered.frames);
    expect(emulator.interface('b:eth0')!.transmit.frames).toBe(received);
    expect(delivered.bytes).toBe(received * numberedFrame(0).length);
  });

  it('a device that dies takes the frames on their way with it, and its interface is down', async () => {
    const { emulator, a, b } = await pair(way);
    let sent = 0;
    for (; sent < 50 && a.send(numberedFrame(sent)); sent++);
    b.close();
    for (; sent < 100 && a.send(numberedFrame(sent)); sent++);
    await expect.poll(() => emulator.interface('b:eth0')!.up).toBe(false);
    await expect.poll(() => emulator.link('ab')!.forward.offered.frames).toBe(sent);
    const { delivered, drops } = emulator.link('ab')!.forward;
    expect(delivered.frames + drops.device + drops.carrier).toBe(sent);
  });
});
