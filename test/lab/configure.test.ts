/**
 * Two namespaces named after this process, each with a device eth0 and tun0: `ours` is configured by taplab, `theirs` by
 * ip(8), which says what is right.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inNamespace, type NamespaceRef } from '../../src/device/in-namespace.ts';
import { createTap } from '../../src/device/tap.ts';
import { configureNode } from '../../src/lab/configure.ts';
import type { LabNode } from '../../src/lab/model.ts';
import { NETNS_DIRECTORY } from '../../src/lab/netns-directory.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { isMissing } from '../helpers/requirements.ts';

const OURS = `taplabtest-${process.pid}-ours`;
const THEIRS = `taplabtest-${process.pid}-theirs`;
const MAC = '02:00:00:00:00:01';

function nodeOf(...[addresses, ...routes]: readonly [string, ...string[]]): LabNode {
  const eth0 = `{ ip: [${addresses}], mac: '${MAC}', mtu: 1400 }`;
  const text = `name: l\nnodes:\n  n: { interfaces: { eth0: ${eth0}, tun0: { device: tun, mtu: 1300 } }, routes: [${routes}] }`;
  return parseLab(text, { file: 'f', baseDirectory: '/' }).nodes[0]!;
}

const open: number[] = [];
let ours: NamespaceRef;

function makeNamespace(name: string): NamespaceRef {
  execFileSync('ip', ['netns', 'add', name]);
  const namespace = { name, fd: openSync(`${NETNS_DIRECTORY}/${name}`, 'r') };
  open.push(namespace.fd);
  for (const [device, kind] of [
    ['eth0', 'tap'],
    ['tun0', 'tun'],
  ] as const) {
    open.push(inNamespace(namespace, () => createTap(device, kind)));
  }
  return namespace;
}

/** What ip(8) shows, without what differs from run to run. */
function shown(name: string, ...what: string[]): unknown {
  const text = execFileSync('ip', ['-json', '-n', name, ...what], { encoding: 'utf8' });
  return JSON.parse(text, (key, value) => {
    if (['link_netnsid', 'ifindex'].includes(key)) return undefined;
    // The addresses that the kernel makes itself are random on a tun device, and come in their own time.
    return Array.isArray(value) ? value.filter((each) => each?.scope !== 'link' || !each.local) : value;
  });
}

const SHOWN = [
  ['address', 'show'],
  ['route', 'show', 'table', 'main'],
  ['-6', 'route', 'show', 'table', 'main', 'dev', 'eth0'],
];

describe.skipIf(isMissing('namespaces', 'tun'))('configureNode', () => {
  beforeEach(() => {
    ours = makeNamespace(OURS);
    makeNamespace(THEIRS);
  });
  afterEach(() => {
    for (const fd of open.splice(0)) closeSync(fd);
    for (const name of [OURS, THEIRS]) spawnSync('ip', ['netns', 'del', name]);
  });

  test('leaves a node as the same commands of ip(8) do', () => {
    configureNode(
      nodeOf(
        '198.18.0.1/24, 198.18.2.1/30, 127.1.0.1/16, "fd00::1/64", "2001:db8::198.18.0.9/128"',
        'default via 198.18.0.254',
        '198.18.1.0/24 via 198.18.0.2',
        '198.18.9.9 via 198.18.2.2',
        '"default via fd00::2"',
        '"fd01::/48 via fd00::3"',
      ),
      ours,
    );
    const commands = `link set dev lo up
link set dev eth0 address ${MAC} mtu 1400
address add 198.18.0.1/24 dev eth0
address add 198.18.2.1/30 dev eth0
address add 127.1.0.1/16 dev eth0
address add fd00::1/64 dev eth0 nodad
address add 2001:db8::198.18.0.9/128 dev eth0 nodad
link set dev eth0 up
link set dev tun0 mtu 1300
link set dev tun0 up
route add default via 198.18.0.254
route add 198.18.1.0/24 via 198.18.0.2
route add 198.18.9.9 via 198.18.2.2
route add default via fd00::2
route add fd01::/48 via fd00::3
`;
    execFileSync('ip', ['-n', THEIRS, '-batch', '-'], { input: commands });
    for (const what of SHOWN) expect(shown(OURS, ...what), what.join(' ')).toEqual(shown(THEIRS, ...what));
    expect(shown(OURS, 'route', 'show', 'table', 'main')).toHaveLength(6);
  });

  test('what was configured before stays; routes are replaced, and removed when they are no more', () => {
    const addresses = '198.18.0.1/24, "fd00::1/64"';
    const before = nodeOf(
      addresses,
      'default via 198.18.0.2',
      '198.18.1.0/24 via 198.18.0.3',
      '"fd01::/48 via fd00::3"',
    );
    configureNode(before, ours);
    execFileSync('ip', ['-n', OURS, 'route', 'del', '198.18.1.0/24']);
    configureNode(nodeOf(addresses, 'default via 198.18.0.9'), ours, before);
    expect(shown(OURS, 'route', 'show', 'default')).toMatchObject([{ gateway: '198.18.0.9' }]);
    expect(shown(OURS, 'route', 'show', '198.18.1.0/24')).toEqual([]);
    expect(shown(OURS, '-6', 'route', 'show', 'fd01::/48')).toEqual([]);
  });

  test.each([
    [
      'an address twice',
      (node: LabNode) => repeat(node, 2),
      /^configure node n: `ip address add 198\.18\.0\.1\/24 dev eth0`: EEXIST/,
    ],
    [
      'a gateway that is nowhere',
      (node: LabNode) => ({ ...node, routes: [{ to: 'default', via: '203.0.113.1' }] }),
      /`ip route add default via 203\.0\.113\.1`: ENETUNREACH: \w.*gateway/,
    ],
    [
      'a destination that is no network',
      (node: LabNode) => ({ ...node, routes: [{ to: '198.18.1.7/24', via: '198.18.0.2' }] }),
      /`ip route add 198\.18\.1\.7\/24 via 198\.18\.0\.2`: EINVAL: \w.*prefix/,
    ],
    [
      'an MTU that the device cannot have',
      (node: LabNode) => ({ ...node, interfaces: [{ ...node.interfaces[0]!, mtu: 65_530 }] }),
      /`ip link set dev eth0 address 02:00:00:00:00:01 mtu 65530`: EINVAL: mtu greater than device maximum/,
    ],
    [
      'a device that is not there',
      (node: LabNode) => ({ ...node, interfaces: [{ ...node.interfaces[0]!, device: 'eth7' }] }),
      /`ip link set dev eth7 .*`: ENODEV: there is no device eth7/,
    ],
  ])('%s is told with the command of ip(8) and the words of the kernel', (_what, change, message) => {
    expect(() => configureNode(change(nodeOf('198.18.0.1/24')), ours)).toThrow(message);
  });
});

function repeat(node: LabNode, times: number): LabNode {
  const [eth0] = node.interfaces;
  const addresses = Array.from({ length: times }, () => eth0!.addresses[0]!);
  return { ...node, interfaces: [{ ...eth0!, addresses }] };
}
