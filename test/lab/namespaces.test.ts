/**
 * Namespaces of their own, named after this process, in 198.18.0.0/15:
 *
 *   taplab-test-PID-a  eth0 198.18.0.1/24, fd00::1/64, default via 198.18.0.254
 *   taplab-test-PID-b  tun0
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { type OpenedDevice, openDevice } from '../../src/device/open.ts';
import { claimLab } from '../../src/lab/claim.ts';
import { NodeError } from '../../src/lab/configure.ts';
import type { Lab } from '../../src/lab/model.ts';
import { entrance, Nodes, namespaceExists } from '../../src/lab/namespaces.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { listLabs } from '../../src/lab/state.ts';
import { isMissing } from '../helpers/requirements.ts';

const NAME = `test-${process.pid}`;
const OWN = [`taplab-${NAME}-a`, `taplab-${NAME}-b`];

function parse(nodes: string): Lab {
  return parseLab(`name: ${NAME}\nnodes:\n${nodes}`, { file: 'f', baseDirectory: '/' });
}

const TWO_NODES = parse(`
  a:
    interfaces: { eth0: { ip: [198.18.0.1/24, 'fd00::1/64'], mtu: 1400 } }
    routes: [default via 198.18.0.254, 'default via fd00::2']
    sysctls: { net.ipv4.ip_forward: 1, net/ipv4/conf/eth0/rp_filter: 2 }
  b: { interfaces: { tun0: { device: tun, mtu: 1300 } } }
`);

/** Starts a command in a node, as `taplab exec` does. */
function inNode(node: string, ...command: string[]): ChildProcess {
  const [program, ...way] = entrance(NAME, node, process.pid);
  return spawn(program, [...way, ...command]);
}

async function run(node: string, ...command: string[]): Promise<string> {
  const child = inNode(node, ...command);
  const [output] = await Promise.all([text(child.stdout!), once(child, 'close')]);
  return output;
}

async function openAll(lab: Lab, nodes: Nodes): Promise<OpenedDevice[]> {
  const interfaces = lab.nodes.flatMap((node) => node.interfaces);
  return Promise.all(interfaces.map((each) => openDevice(each, nodes.namespace(each.node))));
}

describe.skipIf(isMissing('namespaces', 'tun'))('Nodes', () => {
  afterEach(() => {
    for (const name of OWN) spawnSync('ip', ['netns', 'del', name]);
  });

  test('each node gets its namespace with addresses, hardware address, MTU, routes and sysctls', async () => {
    const nodes = await Nodes.create(TWO_NODES);
    const devices = await openAll(TWO_NODES, nodes);
    await nodes.configure();

    const [eth0] = JSON.parse(await run('a', 'ip', '-json', 'address', 'show', 'dev', 'eth0'));
    expect(eth0).toMatchObject({ mtu: 1400, address: TWO_NODES.nodes[0]!.interfaces[0]!.mac });
    expect(eth0.flags).toEqual(expect.arrayContaining(['UP', 'LOWER_UP']));
    expect(eth0.addr_info.map(({ local }: { local: string }) => local)).toEqual(
      expect.arrayContaining(['198.18.0.1', 'fd00::1']),
    );
    const [lo] = JSON.parse(await run('a', 'ip', '-json', 'link', 'show', 'dev', 'lo'));
    expect(lo.flags).toContain('UP');
    const [route] = JSON.parse(await run('a', 'ip', '-json', 'route', 'show', 'default'));
    expect(route).toMatchObject({ gateway: '198.18.0.254', dev: 'eth0' });
    const [route6] = JSON.parse(await run('a', 'ip', '-json', '-6', 'route', 'show', 'default'));
    expect(route6).toMatchObject({ gateway: 'fd00::2' });
    expect(await run('a', 'cat', '/proc/sys/net/ipv4/ip_forward')).toBe('1\n');
    expect(await run('a', 'cat', '/proc/sys/net/ipv4/conf/eth0/rp_filter')).toBe('2\n');
    expect(await run('b', 'cat', '/proc/sys/net/ipv4/ip_forward')).toBe('0\n');
    const [tun0] = JSON.parse(await run('b', 'ip', '-json', 'link', 'show', 'dev', 'tun0'));
    expect(tun0).toMatchObject({ mtu: 1300, link_type: 'none' });

    for (const device of devices) await device.close();
    expect(JSON.parse(await run('b', 'ip', '-json', 'link'))).toHaveLength(1);
    expect(await nodes.remove()).toEqual({ processes: [], errors: [] });
    expect(OWN.filter(namespaceExists)).toEqual([]);
    expect(await nodes.remove()).toEqual({ processes: [], errors: [] });
  });

  test('opening a device leaves this process in its own namespace', async () => {
    const before = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' });
    const nodes = await Nodes.create(TWO_NODES);
    const devices = await openAll(TWO_NODES, nodes);
    expect(execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' })).toBe(before);
    expect(await run('a', 'readlink', '/proc/self/ns/net')).not.toBe(before);
    for (const device of devices) await device.close();
    await nodes.remove();
  });

  test('a namespace that exists already is refused and kept, and nothing else is made', async () => {
    execFileSync('ip', ['netns', 'add', OWN[1]!]);
    const attempt = Nodes.create(TWO_NODES);
    await expect(attempt).rejects.toThrow(NodeError);
    await expect(attempt).rejects.toThrow(new RegExp(`EEXIST: ${OWN[1]} exists.*\`ip netns del ${OWN[1]}\``));
    expect(OWN.map(namespaceExists)).toEqual([false, true]);
  });

  test('a step of configure that fails is told with the command', async () => {
    // No device was opened, so there is none to configure.
    const nodes = await Nodes.create(TWO_NODES);
    const message = /configure node b: `ip link set dev tun0 mtu 1300`: .*tun0/;
    const lab = { ...TWO_NODES, nodes: TWO_NODES.nodes.map((node) => ({ ...node, sysctls: {} })) };
    await expect(nodes.configure()).rejects.toThrow(NodeError);
    await nodes.remove();
    const again = await Nodes.create({ ...lab, nodes: lab.nodes.slice(1) });
    await expect(again.configure()).rejects.toThrow(message);
    await again.remove();
  });

  test('a sysctl that does not exist is told with its name', async () => {
    const lab = parse('  a: { sysctls: { net.ipv4.no_such_thing: 1 } }');
    const nodes = await Nodes.create(lab);
    await expect(nodes.configure()).rejects.toThrow(
      /set sysctl net\.ipv4\.no_such_thing = 1 in node a: ENOENT/,
    );
    await nodes.remove();
  });

  test('remove reports processes that still run inside', async () => {
    const nodes = await Nodes.create(parse('  a:'));
    const child = inNode('a', 'sleep', '30');
    await expect.poll(async () => run('a', 'ip', 'netns', 'identify', String(child.pid))).toContain(OWN[0]);
    const { processes, errors } = await nodes.remove();
    expect(errors).toEqual([]);
    expect(processes).toEqual([{ namespace: OWN[0], pid: child.pid, command: 'sleep 30' }]);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  test('the way into a node is by its name, and one that was removed is missed', async () => {
    const nodes = await Nodes.create(parse('  a:'));
    expect(entrance(NAME, 'a', process.pid)).toEqual(['ip', 'netns', 'exec', OWN[0]]);
    execFileSync('ip', ['netns', 'del', OWN[0]!]);
    expect(() => entrance(NAME, 'a', process.pid)).toThrow(
      /namespace of node a is gone: somebody has removed/,
    );
    expect((await nodes.remove()).errors).toEqual([]);
  });

  test('what a killed process left is removed by the next claim of the lab', async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'taplab-test-')), 'state');
    const claim = await claimLab(TWO_NODES, { socket: '/nonexistent.sock', directory });
    // As if a process with this pid had made the first namespace and died.
    execFileSync('ip', ['netns', 'add', OWN[0]!]);
    const dead = { ...claim.state, pidStartTime: 1 };
    claim.release();
    rmSync(join(directory, `${NAME}.json`), { force: true });
    execFileSync('tee', [join(directory, `${NAME}.json`)], { input: JSON.stringify(dead) });
    expect(listLabs(directory)).toMatchObject([{ running: false, namespaces: OWN }]);

    const next = await claimLab(TWO_NODES, { socket: '/nonexistent.sock', directory });
    expect(next.cleaned).toMatchObject({ namespaces: [OWN[0]] });
    expect(OWN.filter(namespaceExists)).toEqual([]);
    next.release();
    rmSync(join(directory, '..'), { recursive: true });
  });

  test('a hundred nodes are made and removed in seconds', async () => {
    const lab = parse(Array.from({ length: 100 }, (_, i) => `  n${i}:`).join('\n'));
    const before = performance.now();
    const nodes = await Nodes.create(lab);
    expect(lab.nodes.filter(({ name }) => namespaceExists(`taplab-${NAME}-${name}`))).toHaveLength(100);
    await nodes.configure();
    const { errors } = await nodes.remove();
    expect(errors).toEqual([]);
    expect(lab.nodes.filter(({ name }) => namespaceExists(`taplab-${NAME}-${name}`))).toEqual([]);
    expect(performance.now() - before).toBeLessThan(20_000);
  });
});
