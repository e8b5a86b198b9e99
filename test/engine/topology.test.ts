/** Interfaces and links that come and go, on a virtual clock: what becomes of frames, counters and descriptors. */
import { afterEach, describe, expect, it } from 'vitest';
import { frames } from '../../src/bpf/record.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import type { LabInterface, LabLink } from '../../src/lab/model.ts';
import { CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';
import { EVERY_FRAME, frameNumber, memoryInterface, numberedFrame, pairLab } from '../helpers/lab.ts';

const PORT = { fd: -1, linkType: 1 };
const open: Emulator[] = [];

afterEach(async () => {
  for (const emulator of open.splice(0)) await emulator.close();
});

async function pair(forward: Partial<LinkSettings> = {}): Promise<Emulator> {
  const emulator = await Emulator.start(pairLab(forward));
  open.push(emulator);
  return emulator;
}

/** Numbers of the frames that leave the lab at an interface. */
function arrivals(emulator: Emulator, name: string): number[] {
  const numbers: number[] = [];
  emulator.memoryDevice(name).onFrame = (frame) => void numbers.push(frameNumber(frame));
  return numbers;
}

const link = (name: string, ...endpoints: [string, string]): LabLink => ({
  name,
  endpoints,
  forward: CLEAR_LINK,
  reverse: CLEAR_LINK,
});

describe('an interface whose device goes', () => {
  it('is down: frames towards it are dropped for want of a carrier, and its descriptors stay', async () => {
    const emulator = await pair({ delayNs: 1e6 });
    const arrived = arrivals(emulator, 'b:eth0');
    const descriptor = await emulator.attach('b:eth0', EVERY_FRAME);
    const send = async (number: number): Promise<void> => {
      emulator.memoryDevice('a:eth0').send(numberedFrame(number));
      await emulator.run();
    };
    await send(1);
    await emulator.disconnect('b:eth0');
    expect(emulator.interface('b:eth0')).toMatchObject({ up: false, descriptors: 1 });
    await send(2);
    await expect(descriptor.write(numberedFrame(9))).rejects.toMatchObject({ code: 'ENETDOWN' });
    await emulator.connect('b:eth0', PORT);
    expect(emulator.interface('b:eth0')).toMatchObject({ up: true });
    await send(3);
    expect(arrived).toEqual([1, 3]);
    expect(emulator.link('ab')!.forward).toMatchObject({
      offered: { frames: 3 },
      delivered: { frames: 2 },
      drops: { carrier: 1 },
    });
    expect([...frames((await descriptor.read())!)].map(({ bytes }) => frameNumber(bytes))).toEqual([1, 3]);
    expect(descriptor.status()).toMatchObject({ attached: true, received: 2, accepted: 2 });
  });

  it('is connected once: another device is refused, and so is one of another link type', async () => {
    const emulator = await pair();
    await expect(emulator.connect('b:eth0', PORT)).rejects.toMatchObject({ code: 'EBUSY' });
    await emulator.disconnect('b:eth0');
    await emulator.disconnect('b:eth0');
    await expect(emulator.connect('b:eth0', { fd: -1, linkType: 101 })).rejects.toMatchObject({
      code: 'EINVAL',
      message: 'b:eth0 takes a tap device, this is a tun device',
    });
    await expect(emulator.connect('c:eth0', PORT)).rejects.toMatchObject({ code: 'ENXIO' });
    await emulator.connect('b:eth0', PORT);
  });
});

describe('a link that is removed', () => {
  it('drops and counts what is under way, and gives its slots back', async () => {
    const emulator = await pair({ delayNs: 10e6, rateBitsPerSecond: 8e6 });
    const arrived = arrivals(emulator, 'b:eth0');
    for (let i = 0; i < 20; i++) emulator.memoryDevice('a:eth0').send(numberedFrame(i, 1000));
    await emulator.run(12e6);
    const last = await emulator.removeLink('ab');
    expect(last.forward).toMatchObject({
      offered: { frames: 20 },
      delivered: { frames: 2 },
      drops: { carrier: 18 },
      inFlight: 0,
      queueBytes: 0,
      queueFrames: 0,
    });
    expect(emulator.link('ab')).toBeUndefined();
    await emulator.run();
    expect(arrived).toEqual([0, 1]);
  });

  it('leaves the frames of other links alone', async () => {
    const lab = pairLab({ delayNs: 10e6 });
    const more = ['c', 'd'].map((node) => ({
      name: node,
      interfaces: [memoryInterface(node)],
      routes: [],
    }));
    const cd = { ...lab.links[0]!, name: 'cd', endpoints: ['c:eth0', 'd:eth0'] as [string, string] };
    const emulator = await Emulator.start({
      ...lab,
      nodes: [...lab.nodes, ...more],
      links: [...lab.links, cd],
    });
    open.push(emulator);
    const arrived = arrivals(emulator, 'd:eth0');
    for (let i = 0; i < 50; i++) {
      emulator.clock.at(i * 1000, () => {
        emulator.memoryDevice('a:eth0').send(numberedFrame(i));
        emulator.memoryDevice('c:eth0').send(numberedFrame(i));
      });
    }
    await emulator.run(5e6);
    expect((await emulator.removeLink('ab')).forward.drops.carrier).toBe(50);
    await emulator.run();
    expect(arrived).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('can be made again at once, between other interfaces, with counters that begin at nothing', async () => {
    const emulator = await pair();
    emulator.memoryDevice('a:eth0').send(numberedFrame(1));
    await emulator.run();
    await emulator.addInterface(memoryInterface('c'));
    await expect(emulator.addLink(link('ac', 'a:eth0', 'c:eth0'))).rejects.toMatchObject({
      code: 'EBUSY',
      message: 'link ac: a:eth0 is an end of link ab',
    });
    await Promise.all([emulator.removeLink('ab'), emulator.addLink(link('ab', 'a:eth0', 'c:eth0'))]);
    const arrived = arrivals(emulator, 'c:eth0');
    emulator.memoryDevice('a:eth0').send(numberedFrame(2));
    await emulator.run();
    expect(arrived).toEqual([2]);
    expect(emulator.link('ab')!.forward).toMatchObject({ offered: { frames: 1 }, delivered: { frames: 1 } });
  });
});

describe('an interface that is removed', () => {
  it('must have no link; its descriptors can be read to the end, its name is free at once', async () => {
    const emulator = await pair();
    const old = await emulator.attach('b:eth0', EVERY_FRAME);
    emulator.memoryDevice('a:eth0').send(numberedFrame(1));
    await emulator.run();
    await expect(emulator.removeInterface('b:eth0')).rejects.toMatchObject({
      code: 'EBUSY',
      message: 'link ab leads to b:eth0; remove that first',
    });
    await emulator.removeLink('ab');
    await Promise.all([
      emulator.removeInterface('b:eth0'),
      emulator.addInterface(memoryInterface('b')),
      emulator.addLink(link('ab', 'a:eth0', 'b:eth0')),
    ]);
    expect(emulator.interface('b:eth0')).toMatchObject({
      up: true,
      transmit: { frames: 0 },
      descriptors: 0,
    });
    const next = await emulator.attach('b:eth0', EVERY_FRAME);
    emulator.memoryDevice('a:eth0').send(numberedFrame(2));
    await emulator.run();
    const numbers = async (descriptor: typeof old) =>
      [...frames((await descriptor.read())!)].map(({ bytes }) => frameNumber(bytes));
    expect(await numbers(old)).toEqual([1]);
    expect(await old.read()).toBeUndefined();
    expect(old.status()).toMatchObject({ attached: false, received: 1 });
    await expect(old.write(numberedFrame(3))).rejects.toMatchObject({ code: 'ENXIO' });
    await old.close();
    expect(await numbers(next)).toEqual([2]);
    expect(emulator.interface('b:eth0')).toMatchObject({ descriptors: 1, transmit: { frames: 1 } });
  });

  it('can be followed by others for ever: indexes are used again', async () => {
    const emulator = await pair();
    for (let i = 0; i < 600; i++) {
      await emulator.addInterface(memoryInterface('c'));
      await emulator.removeInterface('c:eth0');
    }
    expect(emulator.interface('c:eth0')).toBeUndefined();
  });

  it.each<[string, Partial<LabInterface>, object]>([
    ['its name is taken', { name: 'a:eth0' }, { code: 'EEXIST' }],
    [
      'its frames do not fit',
      { mtu: 9000 },
      { code: 'EINVAL', message: expect.stringMatching(/9000 does not fit.*room for 15\d\d/) },
    ],
  ])('is refused when %s', async (_why, more, error) => {
    const emulator = await pair();
    await expect(emulator.addInterface({ ...memoryInterface('c'), ...more })).rejects.toMatchObject(error);
    expect(emulator.interfaces()).toHaveLength(2);
  });

  it('is refused when there is no room for more, and one that leaves makes room', async () => {
    const emulator = await pair();
    const add = async (i: number): Promise<void> => emulator.addInterface(memoryInterface(`n${i}`));
    let added = 0;
    const full = async (): Promise<void> => {
      for (;;) {
        await add(added);
        added++;
      }
    };
    await expect(full()).rejects.toMatchObject({
      code: 'ENOSPC',
      message: expect.stringMatching(/room for \d+ interfaces/),
    });
    expect(added).toBe(256);
    await emulator.removeInterface('n7:eth0');
    await add(7);
  });
});
