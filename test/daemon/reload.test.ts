import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { planReload, ReloadError } from '../../src/daemon/reload.ts';
import { carryOut, describePlan, type ReloadActions } from '../../src/daemon/reload-steps.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { eventually, taplab } from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { JoinedLab, PAIR } from '../join/helper.ts';

const NODES = `  a: { join: true, interfaces: { e0: { ip: 198.18.0.1/24 } } }
  b: { join: true, interfaces: { e0: { ip: 198.18.0.2/24 } } }
  m: { interfaces: { e0: } }
`;
const FORWARDING = NODES.replace('e0: }', 'e0: }, sysctls: { net.ipv4.ip_forward: 1 }');
const ADDRESSED = NODES.replace('e0: }', 'e0: { ip: 198.18.9.1/24 } }');
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
        'added interface a:e0',
        'let node a go, to join again',
        'added link ab',
      ],
    ],
    [
      'a node that joins more',
      lab(),
      lab(`${NODES}  c: { join: true, interfaces: { e0: } }\n`),
      ['added node c', 'added interface c:e0'],
    ],
    [
      'a node that joins less',
      lab(`${NODES}  c: { join: true, interfaces: { e0: } }\n`),
      lab(),
      ['removed interface c:e0', 'removed node c'],
    ],
    [
      'an interface more of a node that the emulator makes',
      lab(),
      lab(NODES.replace('e0: }', 'e0: , e1: }')),
      ['added interface m:e1', 'configured node m'],
    ],
    [
      'an interface less',
      lab(NODES.replace('e0: }', 'e0: , e1: }')),
      lab(),
      ['removed interface m:e1', 'configured node m'],
    ],
    [
      'routes',
      lab(ADDRESSED),
      lab(ADDRESSED.replace('9.1/24 } }', '9.1/24 } }, routes: [default via 198.18.9.2]')),
      ['configured node m'],
    ],
    ['a setting more', lab(), lab(FORWARDING), ['configured node m']],
    [
      'a setting less: what it was before nobody knows',
      lab(FORWARDING),
      lab(),
      [
        'removed interface m:e0',
        'removed node m',
        'added node m',
        'added interface m:e0',
        'configured node m',
      ],
    ],
    [
      'a node that joins no more',
      lab(),
      lab(NODES.replace('b: { join: true,', 'b: {')),
      [
        'removed link ab',
        'removed interface b:e0',
        'removed node b',
        'added node b',
        'added interface b:e0',
        'added link ab',
        'configured node b',
      ],
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
        'added interface a:e0',
        'let node a go, to join again',
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
      'an MTU that is too large',
      lab(NODES.replace('e0: }', 'e0: , e1: { mtu: 9000 } }')),
      /m:e1 would have MTU 9000/,
    ],
  ])('%s needs the lab down and up', (_, after, says) => {
    expect(() => planReload(lab(), after, 1500)).toThrow(ReloadError);
    expect(() => planReload(lab(), after, 1500)).toThrow(says);
  });
});

describe('a step that fails', () => {
  const before = lab();
  const after = lab(
    NODES.replace('e0: }', 'e0: , e1: { ip: 198.18.3.1/24 } }'),
    '  - { name: ab, endpoints: [m:e1, b:e0], impair: delay 5ms }\n',
  );
  /** Actions that all succeed, but one. */
  const actions = (failing: string): ReloadActions =>
    new Proxy({} as ReloadActions, {
      get: (_, name) => async () => {
        if (name === failing) throw new Error('no more');
      },
    });

  test.each<[action: string, says: string[], interfaces: string[]]>([
    ['addInterface', ['could not add interface m:e1: no more', 'done: removed link ab;'], ['m:e0']],
    ['addLink', ['could not add link ab', 'done: removed link ab, added interface m:e1;'], ['m:e0', 'm:e1']],
    ['configureNode', ['could not configure node m', 'not done: nothing else;'], ['m:e0', 'm:e1']],
  ])(
    '%s: what is done is said, the model is what is so, and the next reload goes on',
    async (name, says, interfaces) => {
      const model = { lab: before };
      const failed: Error = await carryOut(planReload(before, after), actions(name), model).then(
        () => new Error('did not fail'),
        (error: Error) => error,
      );
      expect(failed).toBeInstanceOf(ReloadError);
      for (const each of says) expect(failed.message).toContain(each);
      const node = model.lab.nodes.find((each) => each.name === 'm')!;
      expect(node.interfaces.map((each) => each.name)).toEqual(interfaces);
      expect(node.interfaces[1]?.addresses ?? []).toEqual([]);
      await carryOut(planReload(model.lab, after), actions(''), model);
      expect(describePlan(planReload(model.lab, after))).toEqual([]);
    },
  );
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
      rmSync(join(joined.directory, 'lab.yaml'));
      expect((await taplab(['reload', '--socket', joined.socket])).stderr).toMatch(
        /lab\.yaml cannot be read \(ENOENT\); nothing is changed/,
      );
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
