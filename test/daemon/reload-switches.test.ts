/** A lab file whose switches and hubs differ: what is changed, and that the rest goes on. */
import { afterEach, describe, expect, it } from 'vitest';
import { LabRun } from '../../src/daemon/lab-run.ts';
import { planReload } from '../../src/daemon/reload.ts';
import { describePlan } from '../../src/daemon/reload-steps.ts';
import type { Lab } from '../../src/lab/model.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { EVERY_FRAME } from '../helpers/lab.ts';

const NODES = ['a', 'b', 'c', 'd'] as const;

/** A lab of four nodes on a virtual clock. */
function lab(switches: string): Lab {
  const nodes = NODES.map((name) => `  ${name}: { interfaces: { eth0: } }\n`);
  return parseLab(`name: x\ndevice: memory\nnodes:\n${nodes.join('')}${switches}\n`, {
    file: 'f',
    baseDirectory: '/',
  });
}

const THREE = 'switches: { s: { ports: [a:eth0, b:eth0, { interface: c:eth0, name: last }] } }';

const PLANS: readonly (readonly [what: string, before: string, after: string, plan: readonly string[]])[] = [
  ['nothing', THREE, THREE, []],
  ['ageing', THREE, THREE.replace('{ s: {', '{ s: { ageing: 9s,'), ['set switch s']],
  ['a VLAN', THREE, THREE.replace('interface: c:eth0', 'interface: c:eth0, vlan: 7'), ['set switch s']],
  [
    'a port more',
    THREE,
    THREE.replace('last }]', 'last }, d:eth0]'),
    ['set switch s', 'added link s/d:eth0'],
  ],
  [
    'a port less',
    THREE,
    THREE.replace(', { interface: c:eth0, name: last }', ''),
    ['removed link s/c:eth0', 'set switch s'],
  ],
  [
    'another node at a port: the port stays',
    THREE,
    THREE.replace('c:eth0', 'd:eth0'),
    ['removed link s/c:eth0', 'added link s/d:eth0'],
  ],
  [
    'a port less and one more',
    THREE,
    THREE.replace('last', 'other'),
    ['removed link s/c:eth0', 'set switch s', 'set switch s', 'added link s/c:eth0'],
  ],
  [
    'a switch more',
    THREE.replace(', b:eth0', ''),
    THREE.replace(', b:eth0', '').replace(/\}$/, ', t: { ports: [b:eth0] } }'),
    ['set switch t', 'added link t/b:eth0'],
  ],
  [
    'a switch less',
    THREE,
    '',
    ['removed link s/a:eth0', 'removed link s/b:eth0', 'removed link s/c:eth0', 'removed switch s'],
  ],
  [
    'a hub now',
    'switches: { s: { ports: [a:eth0, b:eth0] } }',
    'hubs: { s: { ports: [a:eth0, b:eth0] } }',
    [
      'removed link s/a:eth0',
      'removed link s/b:eth0',
      'removed switch s',
      'set switch s',
      'added link s/a:eth0',
      'added link s/b:eth0',
    ],
  ],
];

describe('what is to be done when a switch differs by', () => {
  it.each(PLANS)('%s', (_what, before, after, plan) => {
    expect(describePlan(planReload(lab(before), lab(after)))).toEqual(plan);
  });
});

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

describe('a running switch', () => {
  const runs: LabRun[] = [];
  afterEach(async () => {
    for (const run of runs.splice(0)) await run.down();
  });

  async function start(switches: string): Promise<LabRun> {
    const run = await LabRun.up(lab(switches), { log: SILENT, onFailure: () => undefined });
    runs.push(run);
    return run;
  }

  const reload = (run: LabRun, switches: string): Promise<string[]> =>
    run.apply(lab(switches), () => undefined);

  /** Who gets a frame that a node sends to all. */
  async function reached({ emulator }: LabRun, from: string): Promise<string> {
    const got: string[] = [];
    for (const name of NODES) emulator.memoryDevice(`${name}:eth0`).onFrame = () => got.push(name);
    const header = Buffer.from(`ffffffffffff02000000000${from}88b5`, 'hex');
    emulator.memoryDevice(`${from}:eth0`).send(Buffer.concat([header, Buffer.alloc(46)]));
    await emulator.run();
    return got.sort().join('');
  }

  it.each(PLANS.map(([what, before, after]) => [what, before, after] as const))(
    'does what its file says after a reload, and again before: %s',
    async (_what, before, after) => {
      const run = await start(before);
      for (const now of [after, before, after]) {
        await reload(run, now);
        expect(describePlan(planReload(run.lab, lab(now)))).toEqual([]);
        const fresh = await start(now);
        for (const node of NODES) expect(await reached(run, node)).toBe(await reached(fresh, node));
        expect(run.emulator.switches().map(({ name, ports }) => [name, ports])).toEqual(
          fresh.emulator.switches().map(({ name, ports }) => [name, ports]),
        );
      }
    },
  );

  it('keeps what does not differ: counters, links and descriptors of ports; and learns anew', async () => {
    const run = await start(THREE);
    const { emulator } = run;
    const descriptor = await emulator.attach('s:1', EVERY_FRAME);
    await reached(run, 'a');
    expect(emulator.switchAddresses('s')).toMatchObject([{ port: 's:1' }]);
    await reload(
      run,
      THREE.replace(', { interface: c:eth0, name: last }', ', { interface: d:eth0, name: new }'),
    );
    expect(emulator.switchAddresses('s')).toEqual([]);
    expect(await reached(run, 'a')).toBe('bd');
    expect(emulator.link('s/a:eth0')?.forward.offered.frames).toBe(2);
    expect(emulator.switch('s')).toMatchObject({ flooded: 2, learned: 2, addresses: 1 });
    expect(descriptor.status()).toMatchObject({ attached: true, accepted: 2 });
    expect(emulator.interface('s:last')).toBeUndefined();
  });

  it('says when there is no room for more switches, and stays as it was', async () => {
    const run = await start(THREE);
    const many = Array.from({ length: 64 }, (_, i) => `t${i}: { ports: [{ name: p }] }`);
    const more = THREE.replace(/\}$/, `, ${many.slice(0, 63).join(', ')} }`);
    await reload(run, more);
    const hubs = 'hubs: { h: { ports: [{ name: p }] }, i: { ports: [{ name: p }] } }';
    await expect(reload(run, `${more}\n${hubs}`)).rejects.toThrow(
      /could not set switch i: .*room for 65 switches/,
    );
    expect(run.emulator.interface('i:p')).toBeUndefined();
    expect(run.emulator.switches()).toHaveLength(65);
    await reload(run, THREE);
    expect(await reached(run, 'a')).toBe('bc');
  });
});
