import { afterEach, describe, expect, it } from 'vitest';
import { frames } from '../../src/bpf/record.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import type { LinkSettings } from '../../src/link/settings.ts';
import { assemble } from '../../vm/index.ts';
import { EVERY_FRAME, frameNumber, numberedFrame, pairLab } from '../helpers/lab.ts';

const open: Emulator[] = [];

async function pair(forward: Partial<LinkSettings> = {}): Promise<Emulator> {
  const emulator = await Emulator.start(pairLab(forward));
  open.push(emulator);
  return emulator;
}

/** What arrives at b, with the virtual time of arrival in ns. */
function arrivals(emulator: Emulator): { atNs: number; number: number }[] {
  const list: { atNs: number; number: number }[] = [];
  emulator.memoryDevice('b:eth0').onFrame = (frame) => {
    list.push({ atNs: emulator.clock.nowNs(), number: frameNumber(frame) });
  };
  return list;
}

afterEach(async () => {
  for (const emulator of open.splice(0)) await emulator.close();
});

describe('a lab on a virtual clock', () => {
  it('carries a frame over a clear link at once', async () => {
    const emulator = await pair();
    const arrived = arrivals(emulator);
    emulator.memoryDevice('a:eth0').send(numberedFrame(7));
    await emulator.run();
    expect(arrived).toEqual([{ atNs: 0, number: 7 }]);
  });

  it('delays each frame by exactly the propagation delay', async () => {
    const emulator = await pair({ delayNs: 20e6 });
    const arrived = arrivals(emulator);
    for (const at of [0, 1e6, 5e6]) {
      emulator.clock.at(at, () => emulator.memoryDevice('a:eth0').send(numberedFrame(at / 1e6)));
    }
    await emulator.run();
    expect(arrived).toEqual([
      { atNs: 20e6, number: 0 },
      { atNs: 21e6, number: 1 },
      { atNs: 25e6, number: 5 },
    ]);
    const { counts, sumNs } = emulator.link('ab')!.forward.delayError;
    expect([counts[0], sumNs]).toEqual([3, 0]);
  });

  it('serializes at the rate: 1,000-byte frames at 8 Mbit/s leave 1 ms apart', async () => {
    const emulator = await pair({ rateBitsPerSecond: 8e6, delayNs: 2e6 });
    const arrived = arrivals(emulator);
    for (let i = 0; i < 3; i++) emulator.memoryDevice('a:eth0').send(numberedFrame(i, 1000));
    await emulator.run();
    expect(arrived.map((each) => each.atNs)).toEqual([3e6, 4e6, 5e6]);
  });

  it('drops at the tail what exceeds the queue limit, and counts it', async () => {
    const emulator = await pair({ rateBitsPerSecond: 8e6, limitBytes: 2_500 });
    const arrived = arrivals(emulator);
    for (let i = 0; i < 4; i++) emulator.memoryDevice('a:eth0').send(numberedFrame(i, 1000));
    await emulator.run();
    expect(arrived.map((each) => each.number)).toEqual([0, 1]);
    expect(emulator.link('ab')!.forward).toMatchObject({
      offered: { frames: 4, bytes: 4000 },
      delivered: { frames: 2, bytes: 2000 },
      delayed: 2,
      drops: { queue: 2 },
      queueBytes: 0,
      queueFrames: 0,
      inFlight: 0,
    });
  });

  it('loses the same frames in every run with the same seed', async () => {
    const runs: number[][] = [];
    for (let run = 0; run < 2; run++) {
      const emulator = await pair({ loss: 0.3 });
      const arrived = arrivals(emulator);
      for (let i = 0; i < 1000; i++) emulator.memoryDevice('a:eth0').send(numberedFrame(i));
      await emulator.run();
      runs.push(arrived.map((each) => each.number));
    }
    expect(runs[0]).toEqual(runs[1]);
    // Binomial(1000, 0.7): 700 ± 5 standard deviations.
    expect(Math.abs(runs[0]!.length - 700)).toBeLessThan(73);
  });

  it('keeps frames that are under way when the link is changed', async () => {
    const emulator = await pair({ delayNs: 10e6 });
    const arrived = arrivals(emulator);
    emulator.memoryDevice('a:eth0').send(numberedFrame(1));
    await emulator.run(5e6);
    await emulator.setLink('ab', { forward: { delayNs: 1e6 } });
    emulator.memoryDevice('a:eth0').send(numberedFrame(2));
    await emulator.run();
    expect(arrived).toEqual([
      { atNs: 6e6, number: 2 },
      { atNs: 10e6, number: 1 },
    ]);
  });

  it('continues the frame on the wire at the new rate when the rate changes', async () => {
    const emulator = await pair({ rateBitsPerSecond: 8e3 }); // 1,000 bytes take a second
    const arrived = arrivals(emulator);
    for (const number of [1, 2]) emulator.memoryDevice('a:eth0').send(numberedFrame(number, 1000));
    await emulator.run(0.5e9);
    await emulator.setLink('ab', { forward: { rateBitsPerSecond: 8e6 } });
    await emulator.run();
    expect(arrived.map((each) => each.atNs)).toEqual([0.5005e9, 0.5015e9]);
  });

  it('drops a frame longer than the far MTU, but lets a VLAN tag through', async () => {
    const emulator = await pair();
    const arrived = arrivals(emulator);
    const tagged = numberedFrame(3, 1518);
    tagged.set([0x81, 0x00], 12);
    for (const frame of [numberedFrame(1, 1514), numberedFrame(2, 1515), tagged]) {
      emulator.memoryDevice('a:eth0').send(frame);
    }
    await emulator.run();
    expect(arrived.map((each) => each.number)).toEqual([1, 3]);
    expect(emulator.link('ab')!.forward.drops.mtu).toBe(1);
  });

  it('shows frames to descriptors on both ends, with direction, length and virtual time', async () => {
    const emulator = await pair({ delayNs: 3e6 });
    const near = await emulator.attach('a:eth0', EVERY_FRAME);
    const far = await emulator.attach('b:eth0', EVERY_FRAME);
    emulator.memoryDevice('a:eth0').send(numberedFrame(9, 100));
    await emulator.run();
    const seen = async (descriptor: typeof near) => [...frames((await descriptor.read())!)];
    expect(await seen(near)).toMatchObject([{ direction: 'in', nanoseconds: 0, wireLength: 100 }]);
    expect(await seen(far)).toMatchObject([{ direction: 'out', nanoseconds: 3e6, wireLength: 100 }]);
    expect(near.status()).toMatchObject({ received: 1, accepted: 1, dropped: 0, capturedBytes: 100 });
  });

  it('matches alike interpreted and compiled, through changes of the list', async () => {
    const emulator = await pair();
    const even = assemble('ldb [17]\njset #1, no, yes\nyes: ret #20\nno: ret #0');
    const descriptors = [
      await emulator.attach('a:eth0', EVERY_FRAME),
      await emulator.attach('a:eth0', { ...EVERY_FRAME, program: even }),
      await emulator.attach('a:eth0', { ...EVERY_FRAME, direction: 'out' }),
    ];
    const send = async (from: number): Promise<void> => {
      for (let i = from; i < from + 4; i++) emulator.memoryDevice('a:eth0').send(numberedFrame(i));
      await emulator.run();
    };
    const engine = () => emulator.interface('a:eth0')!.filterEngine;
    const accepted = () => descriptors.map((each) => each.status().accepted);
    expect(engine()).toBe('interpreter');
    await send(0);
    expect(accepted()).toEqual([4, 2, 0]);
    await expect.poll(engine).toBe('wasm');
    await send(4);
    expect(accepted()).toEqual([8, 4, 0]);
    await descriptors[0]!.setFilter('none', assemble('ret #0'), true);
    expect(engine()).toBe('interpreter');
    await send(8);
    await expect.poll(engine).toBe('wasm');
    await send(12);
    expect(accepted()).toEqual([8, 8, 0]);
    expect(descriptors.map((each) => each.status().received)).toEqual([16, 16, 0]);
    const batch = await descriptors[1]!.read();
    expect([...frames(batch!)].map(({ bytes }) => [bytes[17], bytes.length])).toEqual(
      [0, 2, 4, 6, 8, 10, 12, 14].map((number) => [number, 20]),
    );
  });

  it('lets descriptors be changed while frames move in the same thread', async () => {
    const emulator = await pair();
    const descriptor = await emulator.attach('a:eth0', EVERY_FRAME);
    for (let i = 0; i < 20; i++) emulator.memoryDevice('a:eth0').send(numberedFrame(i));
    await Promise.all([
      emulator.run(),
      descriptor.flush(),
      descriptor.setDirection('in'),
      descriptor.flush(),
    ]);
    expect(emulator.link('ab')!.forward.delivered.frames).toBe(20);
  });

  it('sends frames written to a descriptor out of its interface', async () => {
    const emulator = await pair();
    const arrived = arrivals(emulator);
    const descriptor = await emulator.attach('b:eth0', EVERY_FRAME);
    await descriptor.write(numberedFrame(5));
    expect(arrived.map((each) => each.number)).toEqual([5]);
    await expect(descriptor.write(numberedFrame(5, 1515))).rejects.toMatchObject({
      code: 'EMSGSIZE',
      message: expect.stringMatching(/1515 bytes is too long/),
    });
    expect(descriptor.status().written).toBe(1);
  });
});
