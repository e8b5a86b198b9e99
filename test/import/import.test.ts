import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ImportFormat, importLab } from '../../src/import/import.ts';
import { InputError } from '../../src/import/input.ts';
import type { Lab } from '../../src/lab/model.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { formatImpairment } from '../../src/link/impairment.ts';

const folder = mkdtempSync(join(tmpdir(), 'taplab-import-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;

/** Imports the first of some files; the others lie beside it. Places are `file:line` without the folder. */
function take(
  format: ImportFormat,
  files: Readonly<Record<string, string>>,
): { lab: Lab; text: string; left: string[] } {
  const base = join(folder, `lab${++count}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), text);
  }
  const { lab: text, leftOut } = importLab(format, join(base, Object.keys(files)[0]!));
  const lab = parseLab(text, { file: 'lab.yaml', baseDirectory: '.' });
  const left = leftOut.map(
    ({ file, line, text: words, reason }) => `${file.slice(base.length + 1)}:${line} ${words} | ${reason}`,
  );
  return { lab, text, left };
}

const linkTexts = (lab: Lab): string[] =>
  lab.links.map(({ name, endpoints, forward, reverse }) =>
    [name, ...endpoints, formatImpairment(forward), formatImpairment(reverse)].join(' | '),
  );
const node = (lab: Lab, name: string) => lab.nodes.find((each) => each.name === name)!;

describe('Kathará', () => {
  const CONF = `LAB_NAME="static-routing"
LAB_DESCRIPTION="Two hosts and two routers"
LAB_AUTHOR="Authors"
# hosts
pc1[0]="A"
pc1[image]="kathara/base"

r1[0]="A"
r1[1]="B" # to r2
r1[sysctl]="net.ipv4.conf.all.rp_filter=0"
r2[0]='B/02:00:00:00:00:22'
r2[1]=C
r2[exec]="ip route add 195.11.14.0/24 via 100.0.0.9"
pc2[0]="C"
pc2[bridged]=true
`;
  const FILES = {
    'lab.conf': CONF,
    'pc1.startup': `#!/bin/sh
ip address add 195.11.14.5/24 dev eth0
ip route add default via 195.11.14.1 dev eth0
systemctl start apache2
`,
    'r1.startup': `ip address add 195.11.14.1/24 dev eth0
ip address add 100.0.0.9/30 dev eth1
route add -net 200.1.1.0 netmask 255.255.255.0 gw 100.0.0.10
tc qdisc add dev eth1 root netem delay 10ms loss 1% 2>/dev/null || true
if [ -f /etc/x ]; then
  ip route add 9.0.0.0/8 via 100.0.0.10
fi
`,
    'r2.startup': `ifconfig eth0 100.0.0.10/30 up
ifconfig eth1 200.1.1.1 netmask 255.255.255.0 broadcast 200.1.1.255 up`,
    'pc2.startup': 'ip addr add 200.1.1.7/24 dev eth0; ip route add default via 200.1.1.1\r\n',
    'pc2/etc/motd': 'hello',
    'lab.dep': 'pc1: r1',
  };

  test('devices become nodes, with what their scripts set up', () => {
    const { lab, text } = take('kathara', FILES);
    expect(lab.name).toBe('static-routing');
    expect(text).toContain('# description: Two hosts and two routers');
    expect(node(lab, 'pc1')).toMatchObject({
      interfaces: [{ device: 'eth0', addresses: ['195.11.14.5/24'] }],
      routes: [{ to: 'default', via: '195.11.14.1' }],
      sysctls: {},
    });
    expect(node(lab, 'r1')).toMatchObject({
      interfaces: [{ addresses: ['195.11.14.1/24'] }, { addresses: ['100.0.0.9/30'] }],
      routes: [{ to: '200.1.1.0/24', via: '100.0.0.10' }],
      sysctls: { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.rp_filter': '0' },
    });
    expect(node(lab, 'r2')).toMatchObject({
      interfaces: [
        { mac: '02:00:00:00:00:22', addresses: ['100.0.0.10/30'] },
        { addresses: ['200.1.1.1/24'] },
      ],
      routes: [{ to: '195.11.14.0/24', via: '100.0.0.9' }],
    });
  });

  test('collision domains of two become links, and tc in a script what leaves there', () => {
    expect(linkTexts(take('kathara', FILES).lab)).toEqual([
      'A | pc1:eth0 | r1:eth0 | clear | clear',
      'B | r1:eth1 | r2:eth0 | delay 10ms loss 1% | clear',
      'C | r2:eth1 | pc2:eth0 | clear | clear',
    ]);
  });

  test('domains of more become hubs, whose ports have what tc says', () => {
    const { lab, text, left } = take('kathara', {
      'lab.conf': 'pc1[0]=A\npc2[0]=A\npc3[0]=A\n',
      'pc2.startup': 'tc qdisc add dev eth0 root netem delay 5ms',
    });
    expect(left).toEqual([]);
    expect(lab.switches).toMatchObject([{ name: 'A' }]);
    expect(text).toContain(`hubs:
  A:
    ports:
      - pc1:eth0
      - { interface: pc2:eth0, ingress: delay 5ms }
      - pc3:eth0`);
  });

  test('the rest is listed, each with file and line', () => {
    const { left, text } = take('kathara', FILES);
    expect(left.map((each) => each.split(' | ')[0])).toEqual([
      'lab.conf:6 pc1[image]="kathara/base"',
      'lab.conf:15 pc2[bridged]=true',
      'pc1.startup:4 systemctl start apache2',
      'r1.startup:5 if [ -f /etc/x ]',
      'r1.startup:6 ip route add 9.0.0.0/8 via 100.0.0.10',
      'pc2:1 pc2/',
      'lab.dep:1 lab.dep',
    ]);
    for (const each of left) expect(text).toContain(each.split(' | ')[1]);
  });

  test('a folder stands for the lab.conf in it', () => {
    take('kathara', FILES);
    expect(importLab('kathara', join(folder, `lab${count}`)).lab).toContain('name: static-routing');
  });
});

describe('containerlab', () => {
  const CLOS = `name: clos01
mgmt: { network: custom }
topology:
  defaults:
    kind: linux
    image: alpine:3
  nodes:
    leaf1: { kind: nokia_srlinux, type: ixrd2 }
    leaf2:
      sysctls: { net.ipv4.ip_forward: 1 }
    client1:
      exec:
        - ip addr add 192.168.1.1/24 dev eth1
        - ip route add 10.0.0.0/8 via 192.168.1.254
        - bash -c "ip link set eth1 mtu 1400 && tc qdisc add dev eth1 root tbf rate 10mbit burst 32kbit latency 400ms"
    client2:
  links:
    - endpoints: ["leaf1:e1-1", "client1:eth1"]
      labels: { a: b }
    - type: veth
      endpoints:
        - node: leaf2
          interface: ethernet-1/1
          mac: 02:00:00:00:00:01
          ipv4: 192.168.2.1/24
        - { node: client2, interface: eth1, ipv4: 192.168.2.2/24, ipv6: "2001:db8::2/64" }
      mtu: 1450
    - endpoints: ["leaf1:e1-2", "leaf2:e1-2"]
      ipv4: ["10.0.0.0/31", "10.0.0.1/31"]
    - endpoints: ["client2:eth3", "host:foo"]
    - type: mgmt-net
      endpoint: { node: leaf1, interface: e1-9 }
`;

  test('both forms of links are taken over, with addresses, MTU, and impairments from exec', () => {
    const { lab } = take('containerlab', { 'clos.clab.yml': CLOS });
    expect(lab.name).toBe('clos01');
    expect(linkTexts(lab)).toEqual([
      'leaf1-client1 | leaf1:e1-1 | client1:eth1 | clear | rate 10mbit burst 4kb limit 400ms',
      'leaf2-client2 | leaf2:ethernet-1-1 | client2:eth1 | clear | clear',
      'leaf1-leaf2 | leaf1:e1-2 | leaf2:e1-2 | clear | clear',
    ]);
    expect(node(lab, 'client1')).toMatchObject({
      interfaces: [{ mtu: 1400, addresses: ['192.168.1.1/24'] }],
      routes: [{ to: '10.0.0.0/8', via: '192.168.1.254' }],
    });
    expect(node(lab, 'leaf2')).toMatchObject({
      interfaces: [
        { mac: '02:00:00:00:00:01', mtu: 1450, addresses: ['192.168.2.1/24'] },
        { addresses: ['10.0.0.1/31'] },
      ],
      sysctls: { 'net.ipv4.ip_forward': '1' },
    });
    expect(node(lab, 'client2').interfaces[0]!.addresses).toEqual(['192.168.2.2/24', '2001:db8::2/64']);
  });

  test('bridges become switches', () => {
    const { text, left } = take('containerlab', {
      'lan.clab.yml':
        'name: lan\ntopology:\n  nodes: { a:, b:, br: { kind: bridge } }\n  links:\n    - endpoints: ["a:eth1", "br:p1"]\n    - endpoints: ["br:p2", "b:eth1"]\n',
    });
    expect(left).toEqual([]);
    expect(text).toContain('switches:\n  br:\n    ports:\n      - a:eth1\n      - b:eth1\n');
  });

  test('the rest is listed in the order of the file', () => {
    const { left } = take('containerlab', { 'clos.clab.yml': CLOS });
    expect(left.map((each) => each.split(' | ')[0])).toEqual([
      'clos.clab.yml:2 mgmt',
      'clos.clab.yml:6 image: alpine:3',
      'clos.clab.yml:8 leaf1: kind nokia_srlinux',
      'clos.clab.yml:8 type: ixrd2',
      'clos.clab.yml:19 labels',
      'clos.clab.yml:22 ethernet-1/1',
      'clos.clab.yml:30 client2:eth3 - host:foo',
      'clos.clab.yml:31 type: mgmt-net',
    ]);
  });

  test.each([
    ['a list', '- a', /topo.yml:1: expected a map/],
    ['no nodes', 'name: x\ntopology: { links: [] }', /topology\.nodes: expected a map/],
    [
      'an unknown node',
      'topology:\n  nodes: { a: }\n  links:\n    - endpoints: ["a:eth1", "b:eth1"]',
      /topo.yml:4: no node "b"/,
    ],
    [
      'one endpoint',
      'topology:\n  nodes: { a: }\n  links:\n    - endpoints: ["a:eth1"]',
      /topo.yml:4: endpoints: expected a list of two/,
    ],
    [
      'no interface',
      'topology:\n  nodes: { a:, b: }\n  links:\n    - endpoints: ["a", "b:x"]',
      /topo.yml:4: "a" is not an endpoint/,
    ],
    [
      'an interface used twice',
      'topology:\n  nodes: { a:, b: }\n  links:\n    - endpoints: ["a:e", "b:e"]\n    - endpoints: ["a:e", "b:f"]',
      /topo.yml:5: a:e is used twice, also in line 4/,
    ],
    ['broken YAML', 'topology: [', /topo.yml:1: not valid YAML/],
  ])('%s is an error with its place', (_, text, message) => {
    const attempt = (): unknown => take('containerlab', { 'topo.yml': text });
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(message);
  });
});

describe('netem', () => {
  test.each([
    ['delay 100ms', 'delay 100ms'],
    ['delay 100ms 20ms 25% distribution normal', 'delay 100ms 20ms 25% distribution normal'],
    ['latency 5ms loss random 0.3% 25% ecn', 'delay 5ms loss 0.3% 25% ecn'],
    ['drop 1%', 'loss 1%'],
    ['loss gemodel 1% 10% 70% 0.1% dup 1%', 'loss gemodel 1% 10% 70% 0.1% duplicate 1%'],
    ['gap 5 delay 10ms', 'delay 10ms reorder 100% gap 5'],
    ['delay 10ms reorder 25% 50%', 'delay 10ms reorder 25% 50%'],
    ['corrupt 0.1% rate 5mbit 20 limit 100', 'corrupt 0.1% rate 5mbit 20 limit 100packets'],
    ['slot 800us 1ms packets 2', 'slot 800us 1ms packets 2'],
  ])('tc qdisc add dev eth0 root netem %s', (options, expected) => {
    const { lab, left } = take('netem', { 'a.sh': `tc qdisc add dev eth0 root netem ${options}\n` });
    expect(left).toEqual([]);
    expect(linkTexts(lab)).toEqual([`eth0 | local:eth0 | peer:eth0 | ${expected} | clear`]);
    expect(lab.nodes.map(({ interfaces }) => interfaces[0]!.addresses)).toEqual([
      ['198.18.0.1/24'],
      ['198.18.0.2/24'],
    ]);
  });

  const only = (lines: string): { link: string | undefined; left: string[] } => {
    const { lab, left } = take('netem', { 'a.sh': lines });
    return { link: linkTexts(lab)[0]?.split(' | ').slice(3).join(' | '), left };
  };

  test('netem around tbf is one link with both', () => {
    const { link, left } = only(`tc qdisc add dev eth0 root handle 1: netem delay 100ms
tc qdisc add dev eth0 parent 1: handle 2: tbf rate 1mbit burst 32kbit latency 400ms mpu 64`);
    expect(link).toBe('delay 100ms rate 1mbit burst 4kb limit 400ms | clear');
    expect(left).toEqual(['a.sh:2 mpu 64 | a link has no such setting']);
  });

  test.each([
    ['htb rate 5mbit', 'rate 5mbit'],
    ['htb rate 5mbit ceil 8mbit', 'rate 5mbit'],
  ])('an htb with one class has its rate: %s', (options, expected) => {
    const { link } = only(`tc qdisc add dev eth0 root handle 1: htb default 10
tc class add dev eth0 parent 1: classid 1:10 ${options}
tc qdisc add dev eth0 parent 1:10 handle 10: netem delay 5ms`);
    expect(link).toBe(`delay 5ms ${expected} | clear`);
  });

  test('a class inside another borrows up to its ceiling, and no more than the other has', () => {
    const nested = (outer: string): string | undefined =>
      only(`tc qdisc add dev eth0 root handle 1: htb default 10
tc class add dev eth0 parent 1: classid 1:1 htb rate ${outer}
tc class add dev eth0 parent 1:1 classid 1:10 htb rate 5mbit ceil 8mbit`).link;
    expect(nested('100mbit')).toBe('rate 8mbit | clear');
    expect(nested('6mbit')).toBe('rate 6mbit | clear');
  });

  test('what is for some of the frames only is left out, all of it', () => {
    const { link, left } = only(`tc qdisc add dev eth0 root netem delay 1ms
tc qdisc add dev eth1 root handle 1: prio
tc qdisc add dev eth1 parent 1:3 handle 30: netem delay 200ms
tc filter add dev eth1 protocol ip parent 1:0 prio 3 u32 match ip dst 198.18.9.9/32 flowid 1:3
tc qdisc add dev eth2 root handle 1: htb default 20
tc class add dev eth2 parent 1: classid 1:10 htb rate 1mbit
tc class add dev eth2 parent 1: classid 1:20 htb rate 2mbit`);
    expect(link).toBe('delay 1ms | clear');
    expect(left.map((each) => each.split(' ')[0])).toEqual([
      'a.sh:2',
      'a.sh:3',
      'a.sh:4',
      'a.sh:6',
      'a.sh:7',
    ]);
  });

  test('what arrives is shaped where a filter sends it to an ifb', () => {
    const { lab, left } = take('netem', {
      'a.sh': `ip link set dev ifb0 up
tc qdisc add dev eth0 ingress
tc filter add dev eth0 parent ffff: protocol ip u32 match u32 0 0 flowid 1:1 action mirred egress redirect dev ifb0
tc qdisc add dev ifb0 root netem delay 750ms`,
    });
    expect(left).toEqual([]);
    expect(linkTexts(lab)).toEqual(['eth0 | local:eth0 | peer:eth0 | clear | delay 750ms']);
  });

  test('containerlab tools netem set, and namespaces, say which node', () => {
    const { lab, left } = take('netem', {
      'a.sh': `containerlab tools netem set -n clab-netem-r1 -i eth1 --delay 5ms --jitter 1ms --loss 10 --rate 1000
sudo ip netns exec red tc qdisc add dev veth0 root netem delay 1ms`,
    });
    expect(left).toEqual([]);
    expect(linkTexts(lab)).toEqual([
      'clab-netem-r1-eth1 | clab-netem-r1:eth1 | peer:eth0 | delay 5ms 1ms loss 10% rate 1mbit | clear',
      'red-veth0 | red:veth0 | peer:eth1 | delay 1ms | clear',
    ]);
  });

  test('replace, change and del are carried out in their order', () => {
    const { link } = only(`tc qdisc add dev eth0 root netem delay 1ms
tc qdisc change dev eth0 root netem loss 2%
tc qdisc add dev eth1 root netem loss 5%
tc qdisc del dev eth1 root`);
    expect(link).toBe('loss 2% | clear');
  });

  test('options that make no sense are left out with the reason', () => {
    const { link, left } = only('tc qdisc add dev eth0 root netem delay 1ms loss 120% seed 4 limit 10');
    expect(link).toBe('delay 1ms | clear');
    expect(left.map((each) => each.split(' | ')[0])).toEqual([
      'a.sh:1 seed 4',
      'a.sh:1 limit 10',
      'a.sh:1 loss 120%',
    ]);
  });
});

describe('bad input', () => {
  test.each([
    ['kathara', 'pc1[0]="A"\nnonsense', /lab.conf:2: "nonsense": expected DEVICE\[ARGUMENT\]=VALUE/],
    ['kathara', 'shared[0]=A', /lab.conf:1: "shared"/],
    ['kathara', 'pc1[0]="A b"', /lab.conf:1: "A b" is not a collision domain/],
    ['kathara', 'pc1[0]=A\npc1[0]=B', /lab.conf:2: pc1 has interface 0 already/],
    ['kathara', 'pc1[999]=A', /lab.conf:1: interface 999/],
    ['kathara', '# nothing', /there is no device/],
    ['netem', 'echo hello', /there is no device in it that tc shapes/],
    ['netem', 'a\0b', /is not text/],
    ['containerlab', 'x'.repeat(600_000), /is larger than/],
    ['containerlab', `a: ${'['.repeat(5000)}`, /nested more than|not valid YAML/],
  ] as const)('%s: %#', (format, text, message) => {
    const attempt = (): unknown => take(format, { 'lab.conf': text });
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(message);
  });

  test('a file that is not there, and a folder, are named', () => {
    expect(() => importLab('netem', join(folder, 'none'))).toThrow(/none: does not exist/);
    expect(() => importLab('netem', folder)).toThrow(/is not a file/);
  });

  test('names that a lab does not allow are changed and reported; comments stay comments', () => {
    const { lab, left, text } = take('containerlab', {
      'a.yml':
        'name: "a b"\ntopology:\n  nodes:\n    "x.y":\n      image: "a\\nlinks: []"\n    x-y:\n  links:\n    - endpoints: ["x.y:e", "x-y:e"]\n',
    });
    expect([lab.name, ...lab.nodes.map(({ name }) => name)]).toEqual(['a-b', 'x-y', 'x-y-2']);
    expect(left).toHaveLength(4);
    expect(text).not.toMatch(/^links: \[\]/m);
  });
});
