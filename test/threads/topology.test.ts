/** Interfaces, links and devices that come and go under fire, with real workers. */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Emulator, EmulatorOptions } from '../../src/daemon/emulator.ts';
import type { Lab } from '../../src/lab/model.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';
import { distPath } from '../helpers/dist.ts';
import { EVERY_FRAME, frameNumber, memoryInterface, numberedFrame, pairLab } from '../helpers/lab.ts';
import { type SocketDevice, socketDevice } from '../helpers/socket-device.ts';

// Workers are files of their own, so all of it is the compiled program.
const { Emulator: CompiledEmulator } = (await import(distPath('src/daemon/emulator.js'))) as {
  Emulator: typeof Emulator;
};

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Two nodes on two workers, in real time; no device is connected. */
async function pair(options: EmulatorOptions = {}): Promise<Emulator> {
  const lab: Lab = { ...pairLab(), virtual: false, workers: 2 };
  const emulator = await CompiledEmulator.start(lab, options);
  cleanUp.push(() => emulator.close());
  return emulator;
}

function device(): SocketDevice {
  const made = socketDevice();
  cleanUp.push(() => {
    made.closePort();
    made.close();
  });
  return made;
}

describe('the workers of a lab', () => {
  it('end again when its devices cannot be had', async () => {
    const failed = async (): Promise<number> => {
      const ports = Promise.reject(new Error('no such device'));
      const onFailure = (error: Error): void => expect.unreachable(error.message);
      await expect(pair({ ports, onFailure })).rejects.toThrow('no such device');
      return readdirSync('/proc/self/task').length;
    };
    // After the first time there are also threads of Node's own that were not there before.
    const threads = await failed();
    expect(await failed()).toBe(threads);
  });
});

describe('the workers of a running lab', () => {
  it('count what they do: time, turns, lateness, frames shown', async () => {
    const emulator = await pair();
    const [a, b] = [device(), device()];
    await emulator.connect('a:eth0', a.port);
    await emulator.connect('b:eth0', b.port);
    await emulator.setLink('ab', { forward: { delayNs: 2e6 } });
    await emulator.attach('a:eth0', EVERY_FRAME);
    const before = emulator.workers();
    let received = 0;
    for (let sent = 0; received < 200; await turn()) {
      if (sent < 200 && a.send(numberedFrame(sent))) sent++;
      while (b.receive()) received++;
    }
    await expect.poll(() => emulator.workers()[0]!.slotsUsed).toBe(0);
    const [reader, other] = emulator.workers();
    expect(reader).toMatchObject({ index: 0, alive: true, taps: 200, timedTaps: 4 });
    expect(other).toMatchObject({ index: 1, alive: true, taps: 0, timedTaps: 0 });
    expect(reader!.busyNs).toBeGreaterThan(before[0]!.busyNs);
    expect(reader!.iterations).toBeGreaterThan(before[0]!.iterations);
    expect(reader!.timedTapsNs).toBeGreaterThan(0);
    const count = ({ counts }: { counts: readonly number[] }) => counts.reduce((sum, each) => sum + each, 0);
    expect(count(reader!.loopLag)).toBeGreaterThan(0);
    const { forward, reverse } = emulator.link('ab')!;
    expect([count(forward.delayError), count(reverse.delayError)]).toEqual([200, 0]);
    expect(forward.delayError.sumNs).toBeGreaterThan(0);
  });
});

describe('an interface of a running lab', () => {
  it('starts without a device, and moves frames once it has one', async () => {
    const emulator = await pair();
    const [a, b] = [device(), device()];
    expect(emulator.interfaces().map(({ up }) => up)).toEqual([false, false]);
    await emulator.connect('a:eth0', a.port);
    a.send(numberedFrame(1));
    await expect.poll(() => emulator.link('ab')!.forward.drops.carrier).toBe(1);
    await emulator.connect('b:eth0', b.port);
    a.send(numberedFrame(2));
    await expect.poll(() => b.receive()).toEqual(numberedFrame(2));
    expect(emulator.interfaces().map(({ up }) => up)).toEqual([true, true]);
  });

  it('is down when its device dies, says when the file may be closed, and can be connected again', async () => {
    const down: string[] = [];
    const emulator = await pair({ onInterfaceDown: (name) => void down.push(name) });
    const [a, b, next] = [device(), device(), device()];
    await emulator.connect('a:eth0', a.port);
    await emulator.connect('b:eth0', b.port);
    b.close();
    await expect.poll(() => down).toEqual(['b:eth0']);
    b.closePort();
    expect(emulator.interface('b:eth0')!.up).toBe(false);
    await emulator.connect('b:eth0', next.port);
    a.send(numberedFrame(3));
    await expect.poll(() => next.receive()).toEqual(numberedFrame(3));
    expect(down).toEqual(['b:eth0']);
  });

  it('refuses a file that cannot be waited for, and can be connected to another', async () => {
    const emulator = await pair();
    const file = openSync(import.meta.filename, 'r');
    cleanUp.push(() => closeSync(file));
    const refused = emulator.connect('a:eth0', { fd: file, linkType: 1 });
    await expect(refused).rejects.toThrow(`epoll_ctl file ${file}: EPERM`);
    expect(emulator.interface('a:eth0')!.up).toBe(false);
    const [a, b] = [device(), device()];
    await emulator.connect('a:eth0', a.port);
    await emulator.connect('b:eth0', b.port);
    a.send(numberedFrame(4));
    await expect.poll(() => b.receive()).toEqual(numberedFrame(4));
  });

  it('is gone for good when the device was the lab’s own', async () => {
    const gone: string[] = [];
    const [a, b] = [device(), device()];
    const ports = new Map([
      ['a:eth0', a.port],
      ['b:eth0', b.port],
    ]);
    const emulator = await pair({ ports, onInterfaceGone: (name) => void gone.push(name) });
    b.close();
    await expect.poll(() => gone).toEqual(['b:eth0']);
    await expect(emulator.connect('b:eth0', device().port)).rejects.toMatchObject({ code: 'ENXIO' });
  });

  it('uses nothing of a device after disconnect() returned, however many frames are on their way', async () => {
    const emulator = await pair();
    const a = device();
    await emulator.connect('a:eth0', a.port);
    let sent = 0;
    let isOver = false;
    const fire = (async () => {
      for (; !isOver; await turn()) while (a.send(numberedFrame(sent))) sent++;
    })();
    let received = 0;
    for (let cycle = 0; cycle < 100; cycle++) {
      const b = device();
      await emulator.connect('b:eth0', b.port);
      for (let got = 0; got < 20; await turn()) {
        for (let frame = b.receive(); frame; frame = b.receive()) {
          got++;
          received++;
        }
      }
      await emulator.disconnect('b:eth0');
      while (b.receive()) received++;
      b.closePort();
      // Takes over the number of the file, so that whoever still wrote to that would be seen.
      const successor = device();
      expect(successor.port.fd).toBe(b.port.fd);
      await turn();
      expect(successor.receive()).toBeUndefined();
      successor.closePort();
    }
    isOver = true;
    await fire;
    const link = (): ReturnType<Emulator['link']> => emulator.link('ab');
    await expect.poll(() => link()!.forward.offered.frames).toBe(sent);
    const { delivered, drops, inFlight } = link()!.forward;
    expect(inFlight).toBe(0);
    expect(delivered.frames).toBe(received);
    expect(delivered.frames + drops.carrier + drops.device).toBe(sent);
  });

  it('is removed and made again under fire; the other link loses nothing', async () => {
    const emulator = await pair();
    const [a, b, c] = [device(), device(), device()];
    await emulator.connect('a:eth0', a.port);
    await emulator.connect('b:eth0', b.port);
    await emulator.addInterface(memoryInterface('c'), c.port);
    const numbers: number[] = [];
    let sent = 0;
    let isOver = false;
    const fire = (async () => {
      for (; !isOver; await turn()) {
        while (sent - numbers.length < 50 && a.send(numberedFrame(sent))) sent++;
        while (c.send(numberedFrame(0)));
        for (let frame = b.receive(); frame; frame = b.receive()) numbers.push(frameNumber(frame));
      }
    })();
    for (let cycle = 0; cycle < 100; cycle++) {
      const d = device();
      await emulator.addInterface(memoryInterface('d'), d.port);
      await emulator.addLink({
        name: 'cd',
        endpoints: ['c:eth0', 'd:eth0'],
        forward: { ...CLEAR_LINK, delayNs: 1e6 },
        reverse: CLEAR_LINK,
      });
      while (!d.receive()) await turn();
      const { forward } = await emulator.removeLink('cd');
      const dropped = Object.values(forward.drops).reduce((sum, each) => sum + each, 0);
      expect(forward.offered.frames).toBe(forward.delivered.frames + dropped);
      await emulator.removeInterface('d:eth0');
      d.closePort();
    }
    isOver = true;
    await fire;
    await expect
      .poll(() => {
        for (let frame = b.receive(); frame; frame = b.receive()) numbers.push(frameNumber(frame));
        return numbers.length;
      })
      .toBe(sent);
    expect(numbers).toEqual(Array.from({ length: sent }, (_, i) => i));
  });
});
