import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { asVirtualLab, parseLab, readLab } from '../../src/lab/parse.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url);

function parse(text: string): ReturnType<typeof parseLab> {
  return parseLab(text, { file: 'lab.yaml', baseDirectory: '/labs' });
}

describe('parseLab', () => {
  test('the example of the design document', () => {
    const lab = parse(readFileSync(new URL('wan.yaml', EXAMPLES), 'utf8'));
    const impaired = {
      delayNs: 20e6,
      jitterNs: 2e6,
      loss: 0.005,
      rateBitsPerSecond: 50e6,
      limitBytes: null,
    };
    expect(lab).toMatchObject({
      name: 'wan',
      seed: 7,
      workers: 1,
      virtual: false,
      nodes: [
        {
          name: 'client',
          interfaces: [{ name: 'client:eth0', kind: 'tap', addresses: ['198.18.0.1/24'], mtu: 1500 }],
        },
        { name: 'server', interfaces: [{ name: 'server:eth0', device: 'eth0', node: 'server' }] },
      ],
      links: [
        { name: 'wan', endpoints: ['client:eth0', 'server:eth0'], forward: impaired, reverse: impaired },
      ],
      descriptors: [
        { interface: 'client:eth0', filter: 'tcp port 80', direction: 'inout', write: '/labs/http.pcapng' },
      ],
    });
  });

  test.each(readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml')))(
    'examples/%s is a valid lab that names the schema',
    async (name) => {
      const url = new URL(name, EXAMPLES);
      await readLab(fileURLToPath(url));
      const [first] = readFileSync(url, 'utf8').split('\n');
      expect(first).toBe('# yaml-language-server: $schema=../docs/lab.schema.json');
    },
  );

  test('defaults: seed 1, one worker, tap devices, a link that does nothing', () => {
    const lab = parse(`
name: x
nodes: { a: { interfaces: { eth0: } }, b: { interfaces: { eth0: {}, spare: } } }
links: [{ endpoints: [a:eth0, b:eth0] }]
`);
    expect(lab).toMatchObject({ seed: 1, workers: 1, descriptors: [], virtual: false });
    expect(lab.links).toEqual([
      { name: 'a-b', endpoints: ['a:eth0', 'b:eth0'], forward: CLEAR_LINK, reverse: CLEAR_LINK },
    ]);
    expect(lab.nodes[1]!.interfaces.map(({ device, kind }) => [device, kind])).toEqual([
      ['eth0', 'tap'],
      ['spare', 'tap'],
    ]);
  });

  test('nodes, links and descriptors may be empty', () => {
    const lab = parse('name: x\nnodes: { a: }\nlinks:\ndescriptors: []');
    expect(lab.nodes).toEqual([{ name: 'a', interfaces: [], routes: [], sysctls: {} }]);
    expect(lab.virtual).toBe(false);
  });

  test('impair is the base of both directions; forward and reverse are laid over it', () => {
    const lab = parse(`
name: x
nodes: { a: { interfaces: { e: } }, b: { interfaces: { e: } } }
links:
  - endpoints: [a:e, b:e]
    impair: delay 10ms 1ms loss 1%
    forward: { loss: 2%, rate: 1mbit }
    reverse: clear
`);
    expect(lab.links[0]!.forward).toEqual({
      ...CLEAR_LINK,
      delayNs: 10e6,
      jitterNs: 1e6,
      loss: 0.02,
      rateBitsPerSecond: 1e6,
      limitBytes: null,
    });
    expect(lab.links[0]!.reverse).toEqual(CLEAR_LINK);
  });

  test('links without a name are named after their nodes, each differently', () => {
    const lab = parse(`
name: x
nodes: { a: { interfaces: { e0: , e1: , e2: } }, b: { interfaces: { e0: , e1: , e2: } } }
links:
  - endpoints: [a:e0, b:e0]
  - endpoints: [a:e1, b:e1]
  - { name: a-b, endpoints: [a:e2, b:e2] }
`);
    expect(lab.links.map((link) => link.name)).toEqual(['a-b-2', 'a-b-3', 'a-b']);
  });

  test('a hardware address follows from the names: the same in every run, different for every interface', () => {
    const text = 'name: x\nnodes: { a: { interfaces: { e0: , e1: , e2: { mac: "02:00:00:00:00:AA" } } } }';
    const macs = parse(text).nodes[0]!.interfaces.map(({ mac }) => mac);
    expect(macs).toEqual(parse(text).nodes[0]!.interfaces.map(({ mac }) => mac));
    expect(macs[0]).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(macs[0]).not.toBe(macs[1]);
    expect(macs[2]).toBe('02:00:00:00:00:aa');
    expect(parse(text.replace('name: x', 'name: y')).nodes[0]!.interfaces[0]!.mac).not.toBe(macs[0]);
  });

  test('routes and sysctls, in either notation', () => {
    const lab = parse(`
name: x
nodes:
  a:
    interfaces: { e: { ip: [198.18.0.1/24, fd00::1/64] } }
    routes: [default via 198.18.0.254, { to: fd01::/64, via: fd00::2 }, 198.19.0.0/16 via 198.18.0.9]
    sysctls: { net.ipv4.ip_forward: 1, net/ipv6/conf/all/forwarding: true, net.ipv4.ip_local_port_range: 1024 2048 }
`);
    expect(lab.nodes[0]).toMatchObject({
      routes: [
        { to: 'default', via: '198.18.0.254' },
        { to: 'fd01::/64', via: 'fd00::2' },
        { to: '198.19.0.0/16', via: '198.18.0.9' },
      ],
      sysctls: {
        'net.ipv4.ip_forward': '1',
        'net/ipv6/conf/all/forwarding': '1',
        'net.ipv4.ip_local_port_range': '1024 2048',
      },
    });
  });

  test('memory and pcap devices make a virtual lab; their files are absolute', () => {
    const lab = parse(`
name: x
device: memory
nodes: { a: { interfaces: { e: } }, b: { interfaces: { p: { device: pcap, read: in.pcap, write: /tmp/out.pcap } } } }
links: [{ endpoints: [a:e, b:p] }]
`);
    expect(lab.virtual).toBe(true);
    expect(lab.nodes[1]!.interfaces[0]).toMatchObject({
      readFile: '/labs/in.pcap',
      writeFile: '/tmp/out.pcap',
    });
  });

  test('anchors and aliases work, however often one is used', () => {
    const interfaces = Array.from({ length: 200 }, (_, i) => `e${i}: `).join(', ');
    const links = Array.from(
      { length: 200 },
      (_, i) => `  - { endpoints: [a:e${i}, b:e${i}], impair: *slow }`,
    );
    links[0] = '  - { endpoints: [a:e0, b:e0], impair: &slow { delay: 1s } }';
    const lab = parse(
      `name: x\nnodes: { a: { interfaces: {${interfaces}} }, b: { interfaces: {${interfaces}} } }\nlinks:\n${links.join('\n')}`,
    );
    expect(lab.links.every((link) => link.forward.delayNs === 1e9)).toBe(true);
  });

  test('names that JavaScript objects have of themselves are names like others', () => {
    const lab = parse(`
name: constructor
nodes: { constructor: { interfaces: { toString: } }, hasOwnProperty: { interfaces: { valueOf: } } }
links: [{ endpoints: [constructor:toString, hasOwnProperty:valueOf] }]
`);
    expect(lab.nodes.map(({ name }) => name)).toEqual(['constructor', 'hasOwnProperty']);
    expect(lab.links[0]!.name).toBe('constructor-hasOwnProperty');
  });

  test('the same lab on memory devices', () => {
    const lab = asVirtualLab(parse(readFileSync(new URL('two-links.yaml', EXAMPLES), 'utf8')));
    expect(lab.virtual).toBe(true);
    expect(new Set(lab.nodes.flatMap((node) => node.interfaces.map(({ kind }) => kind)))).toEqual(
      new Set(['memory']),
    );
  });
});
