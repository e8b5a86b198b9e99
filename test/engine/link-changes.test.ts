/** Changes of links while they run: all or none, at one moment, and what is shown is what is in force. */
import { afterEach, describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena/arena.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import { capacityOf } from '../../src/daemon/layout.ts';
import { LinkTable } from '../../src/daemon/links.ts';
import type { Lab } from '../../src/lab/model.ts';
import { parseImpairment } from '../../src/link/impairment.ts';
import { frameNumber, memoryInterface, numberedFrame, pairLab } from '../helpers/lab.ts';

const open: Emulator[] = [];

afterEach(async () => {
  for (const emulator of open.splice(0)) await emulator.close();
});

/** Links ab and cd, each between two nodes. */
function twoLinks(): Lab {
  const pair = pairLab();
  const nodes = ['c', 'd'].map((name) => ({ name, interfaces: [memoryInterface(name)], routes: [] }));
  return {
    ...pair,
    nodes: [...pair.nodes, ...nodes],
    links: [...pair.links, { ...pair.links[0]!, name: 'cd', endpoints: ['c:eth0', 'd:eth0'] }],
  };
}

describe('a change with a filter that does not fit the frames of the link', () => {
  // The parser knows no link type: RAW frames have no Ethernet header.
  const ETHERNET_ONLY = [
    'match "ether host 02:00:00:00:00:01" loss 10%',
    'rate 1mbit queue prio class "vlan 5"',
    'match "udp" rate 1mbit queue drr class "broadcast" weight 2',
  ];

  it.each(ETHERNET_ONLY)('is refused, and nothing has changed: %s', (text) => {
    const lab = twoLinks();
    const links = new LinkTable(Arena.create(capacityOf(lab)), 1, () => 0);
    const linkTypes: Record<string, number> = { 'c:eth0': 101, 'd:eth0': 101 };
    for (const link of lab.links)
      links.add(link, (name) => ({ readers: [0], linkType: linkTypes[name] ?? 1 }));
    const forward = parseImpairment(text);
    const before = links.list();
    const changes = [
      { name: 'ab', forward },
      { name: 'cd', forward },
    ];
    expect(() => links.change(changes)).toThrow(
      /^link cd\/forward: filter ".*" does not fit its frames, which are RAW: .* is for Ethernet/,
    );
    expect(links.list()).toEqual(before);
    links.change(changes.slice(0, 1)).inForce();
    expect(links.get('ab')!.forward.settings).toMatchObject(forward);
    links.remove('cd')!.released();
    const added = { ...lab.links[1]!, forward: { ...lab.links[1]!.forward, ...forward } };
    expect(() => links.add(added, () => ({ readers: [0], linkType: 101 }))).toThrow(
      /does not fit its frames/,
    );
    expect(links.get('cd')).toBeUndefined();
  });
});

describe('a change of several links', () => {
  it('is made for all of them, and answers in their order', async () => {
    const emulator = await Emulator.start(twoLinks());
    open.push(emulator);
    const arrived: [number, number][] = [];
    for (const end of ['b', 'd']) {
      emulator.memoryDevice(`${end}:eth0`).onFrame = (frame) =>
        void arrived.push([frameNumber(frame), emulator.clock.nowNs()]);
    }
    const changed = await emulator.setLinks([
      { name: 'cd', forward: { delayNs: 2e6 } },
      { name: 'ab', forward: { delayNs: 1e6 } },
    ]);
    expect(
      changed.map(({ before, after }) => [before, after].map((each) => each.forward.settings.delayNs)),
    ).toEqual([
      [0, 2e6],
      [0, 1e6],
    ]);
    emulator.memoryDevice('a:eth0').send(numberedFrame(1));
    emulator.memoryDevice('c:eth0').send(numberedFrame(2));
    await emulator.run();
    expect(arrived).toEqual([
      [1, 1e6],
      [2, 2e6],
    ]);
  });

  it.each([
    ['there is no such link', { name: 'ef', forward: { loss: 1 } }, 'ENXIO'],
    ['they are too much for one moment', { name: 'cd', forward: { trace: hugeTrace() } }, 'ENOSPC'],
  ])('is not made for any when %s', async (_, change, code) => {
    const emulator = await Emulator.start(twoLinks());
    open.push(emulator);
    const changes = [{ name: 'ab', forward: { loss: 1, trace: hugeTrace() } }, change];
    await expect(emulator.setLinks(changes)).rejects.toMatchObject({ code });
    expect(emulator.links().map(({ forward }) => forward.settings.loss)).toEqual([0, 0]);
    expect(emulator.link('ab')!.forward.settings.trace).toBeNull();
  });
});

function hugeTrace(): { name: string; entries: number; data: string } {
  return { name: 'huge', entries: 1, data: 'A'.repeat(700_000) };
}
