import { describe, expect, test } from 'vitest';
import { describePlan, planReload, ReloadError } from '../../src/daemon/reload.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { eventually, taplab } from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { JoinedLab, PAIR } from '../join/helper.ts';

const NODES = `  a: { join: true, interfaces: { e0: { ip: 198.18.0.1/24 } } }
  b: { join: true, interfaces: { e0: { ip: 198.18.0.2/24 } } }
  m: { interfaces: { e0: } }
`;
const LINK = '  - { name: ab, endpoints: [a:e0, b:e0], impair: delay 5ms }\n';

function lab(nodes = NODES, links = LINK, rest = '', head = 'name: x\n'): ReturnType<typeof parseLab> {
  return parseLab(`${head}nodes:\n${nodes}links:\n${links}${rest}`, { file: 'f', baseDirectory: '/' });
}

describe('what is to be done when the lab file changes', () => {
  const descriptor = 'descriptors: [{ interface: a:e0, filter: icmp }]';
  test.each<[what: string, before: ReturnType<typeof lab>, after: ReturnType<typeof lab>, plan: string[]]>([
    ['nothing', lab(), lab(), []],
    ['the settings of a link', lab(), lab(NODES, LINK.replace('5ms', '9ms')), ['set link ab']],
    ['a link less', lab(), lab(NODES, '  []\n'), ['removed link ab']],
    ['a link more', lab(NODES, '  []\n'), lab(), ['added link ab']],
    ['other ends', lab(), lab(NODES, LINK.replace('b:e0', 'm:e0')), ['removed link ab', 'added link ab']],
    [
      'the address of a node that joins: its link goes and comes with the interface',
      lab(),
      lab(NODES.replace('0.1/24', '0.7/24')),
      [
        'removed link ab',
        'removed interface a:e0',
        'let node a go, to join again',
        'added interface a:e0',
        'added link ab',
      ],
    ],
    [
      'a node that joins more',
      lab(),
      lab(`${NODES}  c: { join: true, interfaces: { e0: } }\n`),
      ['added interface c:e0'],
    ],
    [
      'a node that joins less',
      lab(`${NODES}  c: { join: true, interfaces: { e0: } }\n`),
      lab(),
      ['removed interface c:e0', 'let node c go, to join again'],
    ],
    ['a descriptor more', lab(), lab(NODES, LINK, descriptor), ['opened a descriptor on a:e0']],
    ['a descriptor less', lab(NODES, LINK, descriptor), lab(), ['closed the descriptor on a:e0']],
    [
      'a descriptor whose interface is another',
      lab(NODES, LINK, descriptor),
      lab(NODES.replace('0.1/24', '0.7/24'), LINK, descriptor),
      [
        'closed the descriptor on a:e0',
        'removed link ab',
        'removed interface a:e0',
        'let node a go, to join again',
        'added interface a:e0',
        'added link ab',
        'opened a descriptor on a:e0',
      ],
    ],
  ])('%s', (_, before, after, plan) => {
    expect(describePlan(planReload(before, after))).toEqual(plan);
  });

  test.each<[what: string, after: ReturnType<typeof lab>, says: RegExp]>([
    ['another name', lab(NODES, LINK, '', 'name: y\n'), /name is x, and would be y/],
    ['another seed', lab(NODES, LINK, '', 'name: x\nseed: 9\n'), /seed is 1, and would be 9/],
    [
      'a node of the emulator that differs',
      lab(NODES.replace('e0: }', 'e0: , e1: }')),
      /node m, which the emulator makes/,
    ],
    [
      'a node that joins no more',
      lab(NODES.replace('a: { join: true,', 'a: {')),
      /node a, which the emulator makes/,
    ],
  ])('%s needs the lab down and up', (_, after, says) => {
    expect(() => planReload(lab(), after)).toThrow(ReloadError);
    expect(() => planReload(lab(), after)).toThrow(says);
  });
});

describe.skipIf(isMissing('namespaces', 'tun', 'ping'))('a running lab', { timeout: 60_000 }, () => {
  test('changes to what its file says on SIGHUP; what an invalid file says changes nothing', async () => {
    const joined = new JoinedLab(PAIR);
    try {
      const emulator = await joined.up();
      const nodes = [joined.join('a'), joined.join('b')];
      await eventually(() => nodes.every(({ text }) => text.includes('has joined')));
      joined.write('nodes: [');
      emulator.child.kill('SIGHUP');
      await eventually(() => emulator.text.includes('lab file not reloaded'));
      expect((await taplab(['reload', '--socket', joined.socket])).stderr).toMatch(/lab\.yaml:2/);
      joined.write(PAIR.replace('"b:eth0"]', '"b:eth0"], impair: delay 30ms').replace('0.1/24', '0.9/24'));
      emulator.child.kill('SIGHUP');
      await eventually(() => emulator.text.includes('lab file reloaded'));
      await eventually(async () => (await joined.isUp('a:eth0')) && nodes[0]!.text.includes('198.18.0.9/24'));
      expect(joined.run('a', 'ip', 'address', 'show', 'eth0')).toContain('198.18.0.9/24');
      expect((await joined.client.link('ab')).forward.settings.delayNs).toBe(30e6);
      // The other node has not noticed.
      expect(nodes[1]!.text).not.toContain('gone');
      const time = /time=([\d.]+)/.exec(joined.run('a', 'ping', '-c', '1', '-W', '2', '198.18.0.2'));
      expect(Number(time![1])).toBeGreaterThan(59);
      const again = await taplab(['reload', '--socket', joined.socket]);
      expect(again).toMatchObject({ status: 0, stderr: 'the lab file says what it said before\n' });
    } finally {
      await joined.close();
    }
  });
});
