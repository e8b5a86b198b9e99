/** Switches and hubs in lab files: what they become, and what is wrong with them. */
import { describe, expect, test } from 'vitest';
import { readersOf } from '../../src/daemon/placement.ts';
import { LabFileError, parseLab } from '../../src/lab/parse.ts';

const NODES = `name: x
nodes:
  a: { interfaces: { e0: , e1: { mtu: 9000 } } }
  b: { interfaces: { e0: , t0: { device: tun } } }
`;

function parse(text: string): ReturnType<typeof parseLab> {
  return parseLab(text, { file: 'f', baseDirectory: '/' });
}

function errorsOf(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof LabFileError)) throw error;
    return error.errors.map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
  return [];
}

test('a port is an interface, and its impairments are those of a link to it', () => {
  const lab = parse(`${NODES}
switches:
  sw0:
    ageing: 20s
    ports: [a:e0, { interface: b:e0, name: bee, vlan: 7, impair: delay 1ms, egress: loss 1% }, { trunk: [7, 1], native: 1 }]
`);
  expect(lab.switches).toMatchObject([
    {
      name: 'sw0',
      mirror: { name: 'sw0:mirror' },
      ports: [
        { name: 'sw0:1', kind: 'switch', mtu: 9000 },
        { name: 'sw0:bee', node: 'sw0', device: 'bee' },
        { name: 'sw0:3' },
      ],
      settings: {
        kind: 'switch',
        ageingNs: 20e9,
        ports: [
          { vlans: { untagged: 1, tagged: [] }, mirrored: true },
          { vlans: { untagged: 7, tagged: [] } },
          { vlans: { untagged: 1, tagged: [7] } },
        ],
      },
    },
  ]);
  expect(lab.links).toMatchObject([
    { name: 'sw0/a:e0', endpoints: ['a:e0', 'sw0:1'] },
    {
      name: 'sw0/b:e0',
      endpoints: ['b:e0', 'sw0:bee'],
      forward: { delayNs: 1e6, loss: 0 },
      reverse: { delayNs: 1e6, loss: 0.01 },
    },
  ]);
});

test('without vlan and trunk there are no VLANs; addresses age after 300s', () => {
  const { switches } = parse(
    `${NODES}\nswitches: { s: { ports: [a:e0, b:e0] } }\nhubs: { h: { ports: [a:e1] } }`,
  );
  expect(switches).toMatchObject([
    { settings: { kind: 'switch', ageingNs: 300e9, ports: [{ vlans: null }, { vlans: null }] } },
    { name: 'h', settings: { kind: 'hub', ports: [{ vlans: null }] } },
  ]);
});

describe('a lab file is refused', () => {
  test.each<[what: string, text: string, expected: string]>([
    [
      'an interface that is not there',
      'switches: { s: { ports: [a:e0, c:e0] } }',
      '5:32: no node "c"; did you mean "a"?',
    ],
    [
      'an interface at two ports',
      'switches: { s: { ports: [a:e0, a:e0] } }',
      '5:32: a:e0 is used twice, in switch "s" and in switch "s"',
    ],
    [
      'an interface in a link and at a port',
      'hubs: { h: { ports: [a:e0] } }\nlinks: [{ name: l, endpoints: [a:e0, b:e0] }]',
      '5:22: a:e0 is used twice, in link "l" and in hub "h"',
    ],
    [
      'a tun device',
      'hubs: { h: { ports: [b:t0] } }',
      '5:22: b:t0 is a tun device, which carries IP packets; a hub takes Ethernet frames',
    ],
    [
      'a port with an interface in a link',
      'switches: { s: { ports: [a:e0] } }\nlinks: [{ name: l, endpoints: [s:1, b:e0] }]',
      '6:32: s:1 is used twice, in switch "s" and in link "l"',
    ],
    ['the name of a node', 'hubs: { a: { ports: [] } }', '5:9: "a" is the name of a node already'],
    [
      'the name of a switch for a hub',
      'switches: { s: { ports: [] } }\nhubs: { s: { ports: [] } }',
      '6:9: "s" is the name of a switch already',
    ],
    ['two ports of one name', 'switches: { s: { ports: [{ name: "2" }, a:e0] } }', '5:41: s:2 is port 1 too'],
    [
      'a port called as the mirror',
      'switches: { s: { ports: [{ name: mirror }] } }',
      '5:26: s:mirror is what the mirror is called',
    ],
    [
      'a link to the mirror',
      'switches: { s: { ports: [] } }\nlinks: [{ endpoints: [a:e0, s:mirror] }]',
      '6:29: s:mirror is for descriptors; no link leads to a mirror',
    ],
    [
      'access and trunk',
      'switches: { s: { ports: [{ interface: a:e0, vlan: 1, trunk: [2] }] } }',
      '5:45: vlan is for an access port, trunk for a trunk port; a port is one of them',
    ],
    [
      'native without trunk',
      'switches: { s: { ports: [{ interface: a:e0, native: 1 }] } }',
      '5:45: native is for a trunk port, which names its VLANs with trunk',
    ],
    [
      'a VLAN that cannot be',
      'switches: { s: { ports: [{ interface: a:e0, vlan: 4095 }] } }',
      '5:51: vlan: must be at most 4094',
    ],
    [
      'VLANs on a hub',
      'hubs: { h: { ports: [{ interface: a:e0, vlan: 1 }] } }',
      '5:41: unknown key "vlan"; known here: name, interface, mirror, impair, ingress, egress',
    ],
    [
      'impairments of a port without interface',
      'switches: { s: { ports: [{ name: up, impair: delay 1ms }] } }',
      '5:38: s:up names no interface; a link that leads to it has its own impairments',
    ],
    [
      'a bad impairment',
      'switches: { s: { ports: [{ interface: a:e0, egress: delay 1mss }] } }',
      '5:59: delay "1mss": unknown unit "mss", expected us, ns, ms, s',
    ],
    [
      'an ageing time without unit',
      'switches: { s: { ageing: "300", ports: [] } }',
      '5:26: ageing: "300": a unit is missing, as in 300s',
    ],
    [
      'a loop',
      `switches: { s: { ports: [{ name: u }, { name: v }] }, t: { ports: [{ name: u }, { name: v }] } }
links: [{ endpoints: [s:u, t:u] }, { endpoints: [s:v, t:v] }]`,
      '6:38: this link closes a loop of switches (s, t): there is no spanning tree protocol',
    ],
    [
      'a port of another that is none',
      'switches: { s: { ports: [{ interface: s:1 }] } }',
      '5:26: s:1 is a port itself; join ports with an entry under links',
    ],
  ])('for %s', (_, text, expected) => {
    expect(errorsOf(`${NODES}${text}`)).toContain(expected);
  });
});

test('all that leads to switches that links join is read by one worker, and others go elsewhere', () => {
  const lab = parse(`name: x
nodes:
  a: { interfaces: { e0: , e1: } }
  b: { interfaces: { e0: , e1: } }
  c: { interfaces: { e0: , e1: } }
switches:
  s: { ports: [a:e0, { name: up }] }
  t: { ports: [b:e0, { name: up }] }
hubs: { h: { ports: [c:e0, a:e1] } }
links: [{ endpoints: [s:up, t:up] }, { endpoints: [b:e1, c:e1] }]`);
  const readers = readersOf(lab, 4);
  const together = ['a:e0', 'b:e0', 's:1', 's:up', 't:1', 't:up'].map((name) => readers.get(name));
  expect(new Set(together).size).toBe(1);
  expect(readers.get('c:e0')).toBe(readers.get('h:1'));
  expect(readers.get('a:e1')).toBe(readers.get('h:2'));
  const workers = new Set([
    readers.get('a:e0'),
    readers.get('h:1'),
    readers.get('b:e1'),
    readers.get('c:e1'),
  ]);
  expect(workers.size).toBe(4);
});
