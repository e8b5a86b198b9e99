import { afterEach, describe, expect, it } from 'vitest';
import { type CapturedFrame, frames } from '../../src/bpf/record.ts';
import type { DescriptorHandle } from '../../src/bpf/types.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import { DROP_REASONS, type LinkSettings } from '../../src/link/settings.ts';
import { EVERY_FRAME, frameNumber, numberedFrame, pairLab } from '../helpers/lab.ts';

const open: Emulator[] = [];

async function pair(forward: Partial<LinkSettings> = {}): Promise<Emulator> {
  const emulator = await Emulator.start(pairLab(forward));
  open.push(emulator);
  return emulator;
}

const all = { ...EVERY_FRAME, direction: 'all' } as const;

/** What a descriptor has seen, each as `direction number`, with the reason if it was dropped. */
async function seen(descriptor: DescriptorHandle): Promise<string[]> {
  const batch = await descriptor.read({ nonblocking: true }).catch(() => new Uint8Array(0));
  return [...frames(batch!)].map(describeFrame);
}

function describeFrame({ direction, dropReason, bytes }: CapturedFrame): string {
  const why = dropReason === undefined ? '' : ` ${DROP_REASONS[dropReason]}`;
  return `${direction} ${frameNumber(bytes)}${why}`;
}

afterEach(async () => {
  for (const emulator of open.splice(0)) await emulator.close();
});

describe('a frame that a link drops', () => {
  it.each([
    ['loss', { loss: 1 }],
    ['queue', { rateBitsPerSecond: 1_000, limitBytes: 1 }],
  ] as const)('is seen once more where it came in, with the reason %s', async (reason, settings) => {
    const emulator = await pair(settings);
    const [near, far] = [await emulator.attach('a:eth0', all), await emulator.attach('b:eth0', all)];
    const only = await emulator.attach('a:eth0', { ...all, direction: 'drop' });
    const both = await emulator.attach('a:eth0', { ...all, direction: 'inout' });
    for (const number of [1, 2]) emulator.memoryDevice('a:eth0').send(numberedFrame(number));
    await emulator.run(1e6);
    const dropped = emulator.link('ab')!.forward.drops[reason];
    expect(dropped).toBeGreaterThan(0);
    const ofNear = await seen(near);
    expect(ofNear.filter((each) => each.startsWith('in'))).toEqual(['in 1', 'in 2']);
    const drops = ofNear.filter((each) => each.startsWith('drop'));
    expect(drops).toHaveLength(dropped);
    expect(drops.every((each) => each.endsWith(` ${reason}`))).toBe(true);
    expect(await seen(only)).toEqual(drops);
    expect(await seen(both)).toEqual(['in 1', 'in 2']);
    expect((await seen(far)).filter((each) => each.startsWith('drop'))).toEqual([]);
  });

  it('because it does not fit the far MTU is seen where it came in', async () => {
    const emulator = await pair();
    const near = await emulator.attach('a:eth0', { ...all, direction: 'drop' });
    const long = new Uint8Array(1600);
    long.set(numberedFrame(3));
    emulator.memoryDevice('a:eth0').send(long);
    await emulator.run();
    expect(await seen(near)).toEqual(['drop 3 mtu']);
  });
});

describe('a frame that is written', () => {
  it('goes to the node, and with feedback comes in again: the link carries it', async () => {
    const emulator = await pair();
    const arrived: string[] = [];
    for (const name of ['a:eth0', 'b:eth0']) {
      emulator.memoryDevice(name).onFrame = (frame) => arrived.push(`${name} ${frameNumber(frame)}`);
    }
    const writer = await emulator.attach('a:eth0', all);
    const other = await emulator.attach('a:eth0', { ...all, direction: 'out' });
    await writer.write(numberedFrame(1));
    writer.setFeedback(true);
    await writer.write(numberedFrame(2));
    await writer.setDirection('in');
    await writer.write(numberedFrame(3));
    await emulator.run();
    expect(arrived).toEqual(['a:eth0 1', 'a:eth0 2', 'b:eth0 2', 'a:eth0 3', 'b:eth0 3']);
    // Of a frame that comes back a descriptor of both directions is not shown both; nobody sees it go out then.
    expect(await seen(writer)).toEqual(['out 1', 'in 2', 'in 3']);
    expect(await seen(other)).toEqual(['out 1', 'out 3']);
    expect(emulator.interface('a:eth0')!.receive.frames).toBe(0);
    expect(writer.status()).toMatchObject({ written: 3, writeDropped: 0 });
  });

  it('is not fed back when it could not be sent', async () => {
    const emulator = await pair();
    const writer = await emulator.attach('a:eth0', { ...all, feedback: true });
    await expect(writer.write(new Uint8Array(1600))).rejects.toMatchObject({ code: 'EMSGSIZE' });
    await emulator.run();
    expect(await seen(writer)).toEqual([]);
  });
});
