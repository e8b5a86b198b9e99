/** Links that go from worker to worker, step by step, on a virtual clock: every state that a move can be in. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseImpairment } from '../../src/link/impairment.ts';
import { CLEAR_LINK, DROP_REASONS, type LinkSettings } from '../../src/link/settings.ts';
import { TwoWorkers } from '../helpers/two-workers.ts';

const MS = 1e6;
/** How often the new worker looks, and a little. */
const LOOK = 2e5;

const impaired = (text: string): Partial<LinkSettings> => parseImpairment(text);

/** The lab with its link on worker 0. */
async function onWorker0(settings = ''): Promise<TwoWorkers> {
  const lab = await TwoWorkers.start(settings === '' ? {} : impaired(settings));
  if (lab.link.forward.workers[0] !== 0 || lab.link.reverse.workers[0] !== 0) {
    await lab.move(0);
    lab.run(LOOK);
  }
  expect([lab.link.forward.workers, lab.link.reverse.workers]).toEqual([[0], [0]]);
  return lab;
}

function expectAllCounted({ link }: TwoWorkers): void {
  for (const { offered, delivered, drops, duplicated, inFlight } of [link.forward, link.reverse]) {
    const dropped = DROP_REASONS.reduce((sum, reason) => sum + drops[reason], 0);
    expect(offered.frames + duplicated).toBe(delivered.frames + dropped + inFlight);
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe('a link that goes to another worker', () => {
  it('holds what is under way to its time, has what comes wait for that, and is not late for it', async () => {
    const lab = await onWorker0('delay 10ms');
    const startNs = lab.nowNs;
    lab.send('a', 1);
    lab.run(1 * MS);
    await lab.move(1);
    lab.send('a', 2);
    lab.run(1 * MS);
    lab.send('a', 3);
    lab.runUntil(startNs + 30 * MS);
    expect(lab.arrived.b).toEqual([1, 2, 3]);
    expect(lab.arrivedNs.map((at) => at - startNs)).toEqual([10 * MS, 11 * MS, 12 * MS]);
    expect(lab.link.forward).toMatchObject({ workers: [1], offered: { frames: 3 }, inFlight: 0 });
  });

  it('goes both ways, and each interface is read by the new worker', async () => {
    const lab = await onWorker0();
    await lab.move(1);
    lab.run(LOOK);
    lab.send('a', 1);
    lab.send('b', 2);
    lab.run(LOOK, [1]);
    expect(lab.arrived).toEqual({ a: [2], b: [1] });
    expect(lab.topology.registry.list().map(({ readers }) => readers)).toEqual([[1], [1]]);
    expect([lab.link.forward.workers, lab.link.reverse.workers]).toEqual([[1], [1]]);
  });

  it('keeps frames of a rate in a row: what waited follows when the wire is free', async () => {
    // 60 bytes at 480 kbit/s take 1 ms.
    const lab = await onWorker0('rate 480kbit delay 5ms');
    const startNs = lab.nowNs;
    lab.send('a', ...upTo(10));
    lab.run(MS / 2);
    await lab.move(1);
    lab.send('a', 11, 12, 13);
    lab.run(100 * MS);
    expect(lab.arrived.b).toEqual(upTo(13));
    expect(lab.arrivedNs.map((at) => at - startNs)).toEqual(upTo(13).map((n) => (n + 5) * MS));
  });

  it('fills the wire no more than it would else when the old worker is slow to leave', async () => {
    const lab = await onWorker0('rate 480kbit limit 4packets');
    lab.send('a', 1, 2);
    lab.run(MS / 2);
    await lab.move(1);
    for (const number of [3, 4, 5, 6, 7, 8]) {
      lab.send('a', number);
      lab.run(2 * MS, [1]);
    }
    lab.run(20 * MS);
    expect(lab.arrived.b).toEqual(upTo(8));
  });

  it('stays with EBUSY until the old worker has left and the new one has noticed, however it moves', async () => {
    const lab = await onWorker0('delay 10ms');
    lab.send('a', 1);
    lab.run(MS);
    await lab.move(1);
    lab.send('a', 2);
    lab.run(MS);
    // The old worker has frames.
    await expect(lab.move(0)).rejects.toMatchObject({
      code: 'EBUSY',
      message: 'link ab: worker 0, which had it before, still has frames of it; wait until they have left',
    });
    await expect(lab.move(1)).resolves.toMatchObject({ forward: { workers: [1] } });
    // It has left, and the new one sleeps.
    lab.run(20 * MS, [0]);
    expect(lab.arrived.b).toEqual([1]);
    await expect(lab.move(0)).rejects.toMatchObject({ code: 'EBUSY' });
    // It has noticed.
    lab.run(LOOK);
    await lab.move(0);
    lab.send('a', 3);
    lab.run(50 * MS);
    expect(lab.arrived.b).toEqual([1, 2, 3]);
    expect(lab.link.forward).toMatchObject({
      workers: [0],
      offered: { frames: 3 },
      delivered: { frames: 3 },
      delayed: 3,
    });
    expect(lab.link.forward.delayError.counts.reduce((sum, count) => sum + count)).toBe(3);
  });

  it('drops what waits and what is under way when it is removed, and its numbers are used again', async () => {
    const lab = await onWorker0('delay 10ms');
    const definition = { name: 'ab', endpoints: ['a:eth0', 'b:eth0'] } as const;
    for (const awake of [[0, 1], [0], [1]]) {
      lab.send('a', 1);
      lab.run(MS);
      const other = 1 - lab.link.forward.workers[0]!;
      await lab.move(other);
      lab.send('a', 2, 3);
      lab.run(awake.length === 2 ? MS : 15 * MS, awake);
      const { forward } = await lab.topology.removeLink('ab');
      expect(forward).toMatchObject({
        inFlight: 0,
        offered: { frames: forward.delivered.frames + forward.drops.carrier },
      });
      for (const { plane } of lab.workers) expect(plane.pool.used).toBe(0);
      await lab.topology.addLink({
        ...definition,
        forward: { ...CLEAR_LINK, delayNs: 10 * MS },
        reverse: CLEAR_LINK,
      });
      lab.run(20 * MS);
      lab.arrived.b.length = 0;
      lab.send('a', 4);
      lab.run(20 * MS);
      expect(lab.arrived.b).toEqual([4]);
      expect(lab.link.forward.workers).toEqual([other]);
    }
  });

  it('takes new settings while it goes, in both workers', async () => {
    const lab = await onWorker0('delay 10ms');
    lab.send('a', 1);
    lab.run(MS);
    await lab.move(1);
    lab.send('a', 2);
    lab.run(MS);
    await lab.topology.setLinks([{ name: 'ab', forward: impaired('delay 10ms loss 100%') }]);
    lab.run(50 * MS);
    expect(lab.arrived.b).toEqual([1]);
    expect(lab.link.forward).toMatchObject({ offered: { frames: 2 }, drops: { loss: 1 }, inFlight: 0 });
  });

  it('counts what rules matched over all moves, and a rule in the place of another from 0', async () => {
    const lab = await onWorker0('match "ether proto 0x88b5" delay 1ms');
    const matched = (): number => lab.link.forward.rules[0]!.matched.frames;
    const sendAndMove = async (): Promise<void> => {
      lab.send('a', 1, 2);
      lab.run(MS / 2);
      await lab.move(1 - lab.link.forward.workers[0]!);
    };
    await sendAndMove();
    lab.run(5 * MS);
    await sendAndMove();
    expect(matched()).toBe(4);
    const rules = impaired('match "ether proto 0x88b5 and len > 0" loss 1%').rules!;
    await lab.topology.setLinks([{ name: 'ab', forward: { rules } }]);
    expect(matched()).toBe(0);
    lab.run(5 * MS);
    expect(matched()).toBe(0);
    lab.send('a', 3);
    lab.run(5 * MS);
    expect(matched()).toBe(1);
    expectAllCounted(lab);
  });

  it('leaves the far node with the carrier that it is set to, whoever had it last', async () => {
    const lab = await onWorker0('carrier down');
    const carriers = (): boolean[] => lab.cables.map(({ hasCarrier }) => hasCarrier);
    const set = (carrier: 'up' | 'down'): Promise<unknown> =>
      lab.topology.setLinks([{ name: 'ab', forward: { carrier }, reverse: { carrier } }]);
    expect(carriers()).toEqual([false, false]);
    await lab.move(1);
    lab.run(LOOK);
    expect(carriers()).toEqual([false, false]);
    await lab.move(0);
    await set('up');
    lab.run(LOOK);
    expect(carriers()).toEqual([true, true]);
    await lab.move(1);
    await set('down');
    lab.run(LOOK);
    expect(carriers()).toEqual([false, false]);
    await lab.move(0);
    await lab.topology.removeLink('ab');
    expect(carriers()).toEqual([true, true]);
  });

  it('leaves a device that comes later with the carrier that the link has now', async () => {
    const lab = await onWorker0('carrier down');
    await lab.move(1);
    lab.run(LOOK);
    await lab.topology.setLinks([{ name: 'ab', forward: { carrier: 'up' } }]);
    await lab.topology.disconnect('b:eth0');
    await lab.topology.connect('b:eth0', { fd: -1, linkType: 1 });
    expect(lab.cables[1].hasCarrier).toBe(true);
  });

  it('does what its status says where settings change by themselves, set while it went', async () => {
    const lab = await onWorker0('delay 5ms');
    const markov = 'markov 20ms state up "" to down 50% state down "loss 100%" to up 50%';
    lab.send('a', 0);
    lab.run(MS);
    await lab.move(1);
    await lab.topology.setLinks([{ name: 'ab', forward: impaired(`delay 0ms ${markov}`) }]);
    lab.run(10 * MS);
    const expected = [0];
    for (const number of upTo(50)) {
      if (lab.link.forward.now!.loss === 0) expected.push(number);
      lab.send('a', number);
      lab.run(20 * MS);
    }
    expect(expected.length).toBeGreaterThan(10);
    expect(expected.length).toBeLessThan(41);
    expect(lab.arrived.b).toEqual(expected);
  });

  it('shows the far node the carrier that the new worker has, not what the old one came to last', async () => {
    const lab = await onWorker0();
    // A direction that holds no frame goes on with its states when the next one comes.
    const markov = 'markov 20ms state up "" to down 50% state down "carrier down" to up 50%';
    const shown = new Set<boolean>();
    for (const number of upTo(20)) {
      await lab.topology.setLinks([{ name: 'ab', forward: impaired('delay 90ms') }]);
      lab.send('a', number);
      lab.run(MS);
      await lab.move(1 - lab.link.forward.workers[0]!);
      await lab.topology.setLinks([{ name: 'ab', forward: impaired(markov) }]);
      lab.run(88 * MS);
      shown.add(lab.cables[1].hasCarrier);
      lab.run(2 * MS);
      expect(lab.cables[1].hasCarrier).toBe(true);
      await lab.topology.setLinks([{ name: 'ab', forward: CLEAR_LINK }]);
    }
    expect(shown.size).toBe(2);
  });

  it('goes on with a device that comes while it goes, or that went', async () => {
    const lab = await onWorker0('delay 10ms');
    lab.send('a', 1);
    lab.run(MS);
    await lab.move(1);
    await lab.topology.disconnect('a:eth0');
    lab.run(MS);
    await lab.topology.connect('a:eth0', { fd: -1, linkType: 1 });
    lab.send('a', 2);
    lab.run(50 * MS);
    await lab.topology.disconnect('b:eth0');
    await lab.move(0);
    lab.send('a', 3);
    lab.run(50 * MS);
    await lab.topology.connect('b:eth0', { fd: -1, linkType: 1 });
    lab.send('a', 4);
    lab.run(50 * MS);
    expect(lab.arrived.b).toEqual([1, 2, 4]);
    expect(lab.link.forward.drops.carrier).toBe(1);
  });

  it('stays as it was when the new worker cannot take it', async () => {
    const lab = await onWorker0();
    lab.before = (worker, command) => {
      if (worker === 1 && command.do === 'link') throw new Error('out of memory');
    };
    for (let i = 0; i < 600; i++) await expect(lab.move(1)).rejects.toThrow('out of memory');
    lab.before = () => {};
    lab.send('a', 1);
    lab.run(MS);
    expect(lab.arrived.b).toEqual([1]);
    await lab.move(1);
    lab.send('a', 2);
    lab.run(MS);
    expect(lab.arrived.b).toEqual([1, 2]);
  });

  it.each([
    ['slot 1ms', /slot goes by the time of its worker; set `slot none` first/],
    ['flap 1s 1s', /flap goes by the time of its worker/],
    ['match ip flap 1s 1s', /flap goes by the time of its worker/],
  ])('is refused with %s', async (settings, why) => {
    const lab = await onWorker0();
    await lab.topology.setLinks([{ name: 'ab', forward: impaired(settings) }]);
    await expect(lab.move(1)).rejects.toThrow(why);
  });

  it('has no worker that is not there', async () => {
    const lab = await onWorker0();
    await expect(lab.move(2)).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(lab.topology.moveLink('no', 1)).rejects.toMatchObject({ code: 'ENXIO' });
  });

  it('delivers each frame once and in order, whatever the workers do in between', async () => {
    const step = fc.oneof(
      fc.record({ send: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ move: fc.constantFrom(0, 1) }),
      fc.record({ runUs: fc.nat({ max: 4_000 }), awake: fc.constantFrom([0], [1], [0, 1]) }),
    );
    const settings = fc.constantFrom(
      '',
      'delay 3ms',
      'rate 5mbit',
      'delay 2ms rate 2mbit',
      'rate 1mbit burst 2kb',
    );
    await fc.assert(
      fc.asyncProperty(settings, fc.array(step, { maxLength: 60 }), async (impair, steps) => {
        const lab = await TwoWorkers.start(impair === '' ? {} : impaired(impair));
        let sent = 0;
        for (const each of steps) {
          if ('send' in each) {
            for (let i = 0; i < each.send; i++) lab.send('a', ++sent);
          } else if ('move' in each) {
            await lab.move(each.move).catch(({ code }: { code: string }) => expect(code).toBe('EBUSY'));
          } else lab.run(each.runUs * 1e3, each.awake);
          expectAllCounted(lab);
        }
        lab.run(60_000 * MS);
        expect(lab.arrived.b).toEqual(upTo(sent));
        expect(lab.link.forward).toMatchObject({ offered: { frames: sent }, delivered: { frames: sent } });
        for (const { plane } of lab.workers) expect(plane.pool.used).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
