/** Switches and hubs in a lab on a virtual clock: who gets which frame, with which tag, and who sees it. */
import { afterEach, describe, expect, it } from 'vitest';
import { frames } from '../../src/bpf/record.ts';
import { Emulator } from '../../src/daemon/emulator.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { EVERY_FRAME } from '../helpers/lab.ts';

const open: Emulator[] = [];

afterEach(async () => {
  for (const emulator of open.splice(0)) await emulator.close();
});

const GROUP = 'ffffffffffff';
const ADDRESS: Readonly<Record<string, string>> = {
  a: '02000000000a',
  b: '02000000000b',
  c: '02000000000c',
  d: '02000000000d',
};

/** A frame from one node to another, or to all; with a VLAN tag when told. */
function frame(from: string, to: string, vlan?: number, number = 1, length = 60): Uint8Array {
  const tag = vlan === undefined ? '' : `8100${vlan.toString(16).padStart(4, '0')}`;
  const header = Buffer.from(`${ADDRESS[to] ?? GROUP}${ADDRESS[from]}${tag}88b5`, 'hex');
  return Buffer.concat([header, Buffer.from([number]), Buffer.alloc(length - 15)]);
}

type Lab = {
  readonly emulator: Emulator;
  /** Sends frames now, and returns who got how many once nothing moves any more. */
  send(...frames: [node: string, frame: Uint8Array][]): Promise<Record<string, number>>;
  /** What each node got, in hexadecimal. */
  readonly got: Map<string, string[]>;
};

async function lab(switches: string, extra = ''): Promise<Lab> {
  const nodes = Object.keys(ADDRESS).map((name) => `  ${name}: { interfaces: { eth0: } }`);
  const text = `name: switched\ndevice: memory\nnodes:\n${nodes.join('\n')}\n${switches}\n${extra}`;
  const emulator = await Emulator.start(parseLab(text, { file: 'lab.yaml', baseDirectory: '/' }));
  open.push(emulator);
  const got = new Map<string, string[]>();
  for (const node of Object.keys(ADDRESS)) {
    emulator.memoryDevice(`${node}:eth0`).onFrame = (bytes) => {
      const list = got.get(node) ?? [];
      list.push(Buffer.from(bytes).toString('hex'));
      got.set(node, list);
    };
  }
  return {
    emulator,
    got,
    async send(...list) {
      got.clear();
      for (const [node, bytes] of list) emulator.memoryDevice(`${node}:eth0`).send(bytes);
      await emulator.run();
      return Object.fromEntries([...got].map(([node, all]) => [node, all.length]));
    },
  };
}

const FOUR = 'switches: { sw0: { ports: [a:eth0, b:eth0, c:eth0, d:eth0] } }';

describe('a switch', () => {
  it('floods what it does not know, and sends what it has learned to one port', async () => {
    const { emulator, send } = await lab(FOUR);
    expect(await send(['a', frame('a', 'b')])).toEqual({ b: 1, c: 1, d: 1 });
    expect(await send(['b', frame('b', 'a')])).toEqual({ a: 1 });
    expect(await send(['a', frame('a', 'b')])).toEqual({ b: 1 });
    expect(await send(['a', frame('a', 'all')])).toEqual({ b: 1, c: 1, d: 1 });
    expect(emulator.switch('sw0')).toMatchObject({ addresses: 2, forwarded: 2, flooded: 2, learned: 2 });
  });

  it('passes a frame on as it came', async () => {
    const { got, send } = await lab(FOUR);
    const sent = frame('a', 'b', 0x6000 | 12);
    await send(['a', sent]);
    expect(got.get('c')).toEqual([Buffer.from(sent).toString('hex')]);
  });

  it('forgets an address that was silent for the ageing time, and no sooner', async () => {
    const { emulator, send } = await lab(
      'switches: { sw0: { ageing: 10s, ports: [a:eth0, b:eth0, c:eth0] } }',
    );
    await send(['b', frame('b', 'all')]);
    await emulator.run(9.9e9);
    expect(await send(['a', frame('a', 'b')])).toEqual({ b: 1 });
    expect(emulator.switchAddresses('sw0')).toEqual([
      { mac: '02:00:00:00:00:0a', vlan: 0, port: 'sw0:1', ageNs: 0 },
      { mac: '02:00:00:00:00:0b', vlan: 0, port: 'sw0:2', ageNs: 9.9e9 },
    ]);
    await emulator.run(10e9);
    expect(emulator.switchAddresses('sw0')).toMatchObject([{ mac: '02:00:00:00:00:0a' }]);
    expect(await send(['a', frame('a', 'b')])).toEqual({ b: 1, c: 1 });
  });

  it('follows a station that moves', async () => {
    const { emulator, send } = await lab(FOUR);
    await send(['b', frame('b', 'all')]);
    await send(['c', frame('b', 'all')]);
    expect(await send(['a', frame('a', 'b')])).toEqual({ c: 1 });
    expect(emulator.switch('sw0')).toMatchObject({ moved: 1, addresses: 2 });
  });

  it.each<[what: string, lose: (emulator: Emulator) => Promise<unknown>]>([
    ['carrier', (emulator) => emulator.setLink('sw0/b:eth0', { forward: { carrier: 'down' } })],
    ['node', (emulator) => emulator.disconnect('b:eth0')],
    ['link', (emulator) => emulator.removeLink('sw0/b:eth0')],
  ])('forgets what it has learned at a port that loses its %s, and nothing else', async (_what, lose) => {
    const { emulator, send } = await lab(FOUR);
    await send(['b', frame('b', 'all')], ['c', frame('c', 'all')]);
    await lose(emulator);
    expect(emulator.switchAddresses('sw0')).toMatchObject([{ mac: '02:00:00:00:00:0c' }]);
    expect(await send(['a', frame('a', 'b')])).toMatchObject({ c: 1, d: 1 });
    expect(await send(['a', frame('a', 'c')])).toEqual({ c: 1 });
  });

  it('does not pass on what is for bridges only, but spanning tree frames', async () => {
    const { emulator, send } = await lab(FOUR);
    const lldp = Buffer.concat([Buffer.from('0180c200000e', 'hex'), frame('a', 'b').subarray(6)]);
    const bpdu = Buffer.concat([Buffer.from('0180c2000000', 'hex'), frame('a', 'b').subarray(6)]);
    expect(await send(['a', lldp])).toEqual({});
    expect(await send(['a', bpdu])).toEqual({ b: 1, c: 1, d: 1 });
    expect(emulator.switch('sw0')).toMatchObject({ filtered: 1 });
  });

  it('impairs each port by itself, exactly in time, and as links do', async () => {
    const { emulator } = await lab(`switches:
  sw0:
    ports: [{ interface: a:eth0, ingress: delay 5ms }, { interface: b:eth0, egress: delay 7ms }, c:eth0]`);
    const at: Record<string, number> = {};
    for (const node of ['b', 'c']) {
      emulator.memoryDevice(`${node}:eth0`).onFrame = () => {
        at[node] = emulator.clock.nowNs();
      };
    }
    emulator.memoryDevice('a:eth0').send(frame('a', 'all'));
    await emulator.run();
    expect(at).toEqual({ b: 12e6, c: 5e6 });
    const { after } = await emulator.setLink('sw0/b:eth0', { reverse: { loss: 1 } });
    expect(after).toMatchObject({ endpoints: ['b:eth0', 'sw0:2'], reverse: { from: 'sw0:2' } });
    emulator.memoryDevice('a:eth0').send(frame('a', 'all'));
    await emulator.run();
    expect(emulator.link('sw0/b:eth0')!.reverse).toMatchObject({
      offered: { frames: 2 },
      drops: { loss: 1 },
    });
  });

  it('counts at the port a copy for which there is no slot; the other ports have theirs', async () => {
    const { emulator } = await lab(
      'switches: { sw0: { ports: [a:eth0, { interface: b:eth0, egress: delay 1s }, c:eth0] } }',
    );
    // More than one direction may have, a batch at a time; none leaves for b meanwhile.
    const device = emulator.memoryDevice('a:eth0');
    for (let batch = 0; batch < 55; batch++) {
      for (let i = 0; i < 2_000; i++) device.send(frame('a', 'c'));
      await emulator.run(0);
    }
    const { offered, drops, inFlight } = emulator.link('sw0/b:eth0')!.reverse;
    expect(offered.frames).toBe(110_000);
    expect(drops.pool).toBeGreaterThan(0);
    expect(inFlight).toBe(110_000 - drops.pool);
    expect(emulator.link('sw0/c:eth0')!.reverse.drops.pool).toBe(0);
    emulator.memoryDevice('b:eth0').onFrame = () => {};
    await emulator.run();
    expect(emulator.link('sw0/b:eth0')!.reverse.delivered.frames).toBe(inFlight);
  });

  it('joins others over links between ports', async () => {
    const { emulator, send } = await lab(
      `switches:
  sw0: { ports: [a:eth0, b:eth0, { name: up }] }
  sw1: { ports: [c:eth0, d:eth0, { name: up }] }`,
      'links: [{ name: trunk, endpoints: [sw0:up, sw1:up], impair: delay 1ms }]',
    );
    expect(await send(['a', frame('a', 'c')])).toEqual({ b: 1, c: 1, d: 1 });
    expect(await send(['c', frame('c', 'a')])).toEqual({ a: 1 });
    expect(emulator.switchAddresses('sw0')).toMatchObject([
      { mac: '02:00:00:00:00:0a', port: 'sw0:1' },
      { mac: '02:00:00:00:00:0c', port: 'sw0:up' },
    ]);
  });
});

describe('VLANs', () => {
  const VLANS = `switches:
  sw0:
    ports:
      - { interface: a:eth0, vlan: 10 }
      - { interface: b:eth0, vlan: 20 }
      - { interface: c:eth0, trunk: [10, 20], native: 1 }
      - { interface: d:eth0, vlan: 10 }`;

  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

  it('are apart, and have a tag on a trunk', async () => {
    const { got, send } = await lab(VLANS);
    expect(await send(['a', frame('a', 'all')])).toEqual({ c: 1, d: 1 });
    expect(got.get('d')).toEqual([hex(frame('a', 'all'))]);
    expect(got.get('c')).toEqual([hex(frame('a', 'all', 10))]);
    expect(await send(['b', frame('b', 'all')])).toEqual({ c: 1 });
    expect(got.get('c')).toEqual([hex(frame('b', 'all', 20))]);
  });

  it.each<[string, string, Uint8Array, Record<string, Uint8Array[]>]>([
    ['a tag is taken off for an access port', 'c', frame('c', 'all', 20), { b: [frame('c', 'all')] }],
    ['a VLAN that the trunk has not is refused', 'c', frame('c', 'all', 30), {}],
    ['what has no tag on a trunk is of the native VLAN', 'c', frame('c', 'all'), {}],
    [
      'an access port takes frames with its own tag',
      'b',
      frame('b', 'all', 20),
      { c: [frame('b', 'all', 20)] },
    ],
    ['an access port refuses other tags', 'b', frame('b', 'all', 10), {}],
    [
      'a priority tag names no VLAN, and its priority stays',
      'b',
      frame('b', 'all', 0xa000),
      { c: [frame('b', 'all', 0xa000 | 20)] },
    ],
  ])('%s', async (_, node, sent, expected) => {
    const { got, send } = await lab(VLANS);
    await send([node, sent]);
    expect(Object.fromEntries(got)).toEqual(
      Object.fromEntries(Object.entries(expected).map(([to, list]) => [to, list.map(hex)])),
    );
  });

  it('learn by themselves: one address may be at two ports', async () => {
    const { emulator, send } = await lab(VLANS);
    await send(['a', frame('d', 'all')]);
    await send(['b', frame('d', 'all')]);
    expect(emulator.switchAddresses('sw0')).toMatchObject([
      { vlan: 10, port: 'sw0:1' },
      { vlan: 20, port: 'sw0:2' },
    ]);
    expect(await send(['c', frame('c', 'd', 10)])).toEqual({ a: 1 });
    expect(await send(['c', frame('c', 'd', 20)])).toEqual({ b: 1 });
    expect(emulator.switch('sw0')).toMatchObject({ vlanRefused: 0, forwarded: 2 });
  });
});

describe('a hub', () => {
  it('sends every frame to all others, and learns nothing', async () => {
    const { emulator, send } = await lab('hubs: { h0: { ports: [a:eth0, b:eth0, c:eth0] } }');
    await send(['b', frame('b', 'a')]);
    expect(await send(['a', frame('a', 'b')])).toEqual({ b: 1, c: 1 });
    expect(emulator.switch('h0')).toMatchObject({ kind: 'hub', flooded: 2, addresses: 0 });
  });
});

describe('descriptors', () => {
  type Seen = [direction: string, addresses: string];

  /** What a descriptor sees, in and out, of two frames: one from a that is flooded, one back. */
  async function seen(switches: string, interfaceName: string): Promise<Seen[]> {
    const { emulator, send } = await lab(switches);
    const descriptor = await emulator.attach(interfaceName, EVERY_FRAME);
    const list: Seen[] = [];
    const reading = (async () => {
      for (;;) {
        const batch = await descriptor.read();
        if (batch === undefined) return;
        for (const { direction, bytes } of frames(batch)) {
          list.push([direction, Buffer.from(bytes.subarray(0, 12)).toString('hex')]);
        }
      }
    })();
    await send(['a', frame('a', 'b')]);
    await send(['b', frame('b', 'a')]);
    await emulator.stop();
    await reading;
    return list;
  }

  it('on the mirror see every frame enter and leave', async () => {
    const there = `${ADDRESS.b}${ADDRESS.a}`;
    const back = `${ADDRESS.a}${ADDRESS.b}`;
    const all = 'switches: { sw0: { ports: [a:eth0, b:eth0, c:eth0] } }';
    expect(await seen(all, 'sw0:mirror')).toEqual([
      ['in', there],
      ['out', there],
      ['out', there],
      ['in', back],
      ['out', back],
    ]);
    const some = `switches:
  sw0: { ports: [{ interface: a:eth0, mirror: false }, { interface: b:eth0, mirror: false }, c:eth0] }`;
    expect(await seen(some, 'sw0:mirror')).toEqual([['out', there]]);
    expect(await seen(all, 'sw0:2')).toEqual([
      ['in', there],
      ['out', back],
    ]);
  });
});
