/** Links that are down, as the nodes on real TAP devices see them. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  eventually,
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';

const running: RunningLab[] = [];
afterEach(async () => {
  for (const lab of running.splice(0)) {
    await lab.stop();
    await removeNamespaces(lab.name);
  }
});

async function pair(impair = '{}'): Promise<RunningLab> {
  const name = uniqueLabName();
  const lab = await startLab(name, pairYaml(name, '', impair));
  running.push(lab);
  return lab;
}

/** Which of the nodes a and b see a carrier on their eth0. */
async function carriers(lab: RunningLab): Promise<string> {
  const seen = await Promise.all(
    ['a', 'b'].map(async (node) => {
      const { stdout } = await run('ip', ['-netns', lab.namespace(node), '-json', 'link', 'show', 'eth0']);
      const [{ flags }] = JSON.parse(stdout) as [{ flags: string[] }];
      expect(flags.includes('NO-CARRIER')).toBe(!flags.includes('LOWER_UP'));
      return flags.includes('LOWER_UP') ? node : '-';
    }),
  );
  return seen.join('');
}

async function set(lab: RunningLab, ...words: string[]): Promise<void> {
  expect(await taplab(['set', 'ab', ...words], lab.socket)).toMatchObject({ status: 0 });
}

describe.skipIf(noRealDevices)('the carrier that nodes see', () => {
  it('goes at both ends when the cable is pulled, at the receiver when one direction fails, and comes back', async () => {
    const lab = await pair();
    expect(await carriers(lab)).toBe('ab');
    await set(lab, 'carrier down');
    expect(await carriers(lab)).toBe('--');
    await set(lab, 'carrier up', '--direction', 'reverse');
    expect(await carriers(lab)).toBe('a-');
    await set(lab, 'clear');
    expect(await carriers(lab)).toBe('ab');
    await set(lab, 'match icmp carrier down');
    expect(await carriers(lab)).toBe('ab');
  });

  it('is not there from the start on a link that is down', async () => {
    const lab = await pair('carrier down');
    expect(await carriers(lab)).toBe('--');
    await set(lab, 'carrier up');
    expect(await carriers(lab)).toBe('ab');
  });

  it('comes and goes with a flap, without a frame', async () => {
    // Longer than it takes to look at both ends on a busy machine.
    const lab = await pair('flap 1500ms 1500ms');
    for (const state of ['--', 'ab', '--', 'ab']) {
      await eventually(async () => (await carriers(lab)) === state);
    }
    await set(lab, 'flap none');
    expect(await carriers(lab)).toBe('ab');
  });
});
