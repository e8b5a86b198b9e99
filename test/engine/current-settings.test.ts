/** Settings that change by themselves: what a link shows for now is what the frames of that moment meet. */
import { afterEach, describe, expect, it } from 'vitest';
import { Emulator } from '../../src/daemon/emulator.ts';
import { parseImpairment } from '../../src/link/impairment.ts';
import { CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';
import { frameNumber, numberedFrame, pairLab } from '../helpers/lab.ts';

const MS = 1e6;
const CSV = 'time,delay\n0s,1ms\n40ms,3ms\n70ms,2ms\n';
const MARKOV = 'markov 10ms state good "delay 1ms" to bad 30% state bad "delay 4ms" to good 50%';

const open: Emulator[] = [];

afterEach(async () => {
  for (const emulator of open.splice(0)) await emulator.close();
});

function settings(text: string): LinkSettings {
  return { ...CLEAR_LINK, ...parseImpairment(text, { readText: () => CSV }) };
}

/**
 * Sends a frame at each of these times. Returns the delay of each in milliseconds, and the delay that the link showed
 * for now just before: `shown` says which of its settings that is.
 */
async function sendAt(
  emulator: Emulator,
  timesMs: readonly number[],
  shown: (now: LinkSettings | null) => number | undefined,
): Promise<[delaysMs: number[], shownMs: (number | undefined)[]]> {
  const delays: number[] = [];
  const showns: (number | undefined)[] = [];
  emulator.memoryDevice('b:eth0').onFrame = (frame) => {
    delays[frameNumber(frame)] = emulator.clock.nowNs() / MS - timesMs[frameNumber(frame)]!;
  };
  for (const [i, ms] of timesMs.entries()) {
    emulator.clock.at(ms * MS, () => {
      const delayNs = shown(emulator.link('ab')!.forward.now);
      showns.push(delayNs === undefined ? undefined : delayNs / MS);
      emulator.memoryDevice('a:eth0').send(numberedFrame(i));
    });
  }
  await emulator.run();
  return [delays, showns];
}

async function start(text: string): Promise<Emulator> {
  const lab = pairLab();
  const links = [{ ...lab.links[0]!, forward: settings(text) }];
  const emulator = await Emulator.start({ ...lab, links });
  open.push(emulator);
  return emulator;
}

// Some of them long after the last frame: the link has slept meanwhile.
const TIMES_MS = [...Array.from({ length: 30 }, (_, i) => i * 7), 1_003, 1_004, 5_555, 60_001];

describe('what a link shows for now', () => {
  it.each([
    ['a schedule', 'delay 9ms schedule s.csv'],
    ['a schedule in a loop, in steps', 'delay 9ms schedule s.csv linear 5ms loop'],
    ['Markov states', MARKOV],
    ['both, the states on top', `schedule s.csv loop ${MARKOV.replace('delay 1ms', 'loss 0%')}`],
  ])('is what its frames meet, with %s', async (_, text) => {
    const emulator = await start(text);
    const [delays, shown] = await sendAt(emulator, TIMES_MS, (now) => now?.delayNs);
    expect(shown).toEqual(delays.map((each) => expect.closeTo(each, 6)));
    expect(new Set(shown).size).toBeGreaterThan(1);
  });

  it('has the rules too, each as its own frames meet it', async () => {
    const emulator = await start(`delay 0ms match "" ${MARKOV}`);
    const [delays, shown] = await sendAt(emulator, TIMES_MS, (now) => now?.rules[0]?.impair.delayNs);
    expect(shown).toEqual(delays.map((each) => expect.closeTo(each, 6)));
    expect(new Set(shown).size).toBeGreaterThan(1);
  });

  it('goes on over a change of something else, and begins again when the schedule changes', async () => {
    const emulator = await start('schedule s.csv');
    const delayNs = () => emulator.link('ab')!.forward.now?.delayNs;
    await emulator.run(45 * MS);
    await emulator.setLink('ab', { forward: { loss: 0.5 } });
    expect(emulator.link('ab')!.forward).toMatchObject({
      now: { delayNs: 3 * MS, loss: 0.5, schedule: null },
    });
    await emulator.setLink('ab', {
      forward: parseImpairment('schedule s.csv loop', { readText: () => CSV }),
    });
    expect(delayNs()).toBe(1 * MS);
    await emulator.run(86 * MS);
    expect(delayNs()).toBe(3 * MS);
    await emulator.setLink('ab', { forward: { schedule: null } });
    expect(emulator.link('ab')!.forward.now).toBeNull();
  });

  it('is nothing for a link that stays as it is', async () => {
    const emulator = await start('delay 5ms 1ms match "udp" loss 3%');
    expect(emulator.link('ab')!.forward.now).toBeNull();
    expect(emulator.link('ab')!.reverse.now).toBeNull();
  });
});
