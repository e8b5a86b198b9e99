/** A running lab whose nodes the emulator makes itself, and whose file changes: on real devices. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { LinkStatus } from '../../src/daemon/contract.ts';
import {
  eventually,
  namespacesOf,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';

const skip = isMissing('namespaces', 'tun', 'ping');

describe.skipIf(skip)('reload, with nodes that are made', { timeout: 60_000 }, () => {
  let name: string;
  let running: RunningLab;

  /** a ── ab ── b, and in three() b ── bc ── c. */
  const PAIR = `
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1/24 } } }
  b: { interfaces: { eth0: { ip: 198.18.0.2/24 } } }
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"] }
`;
  const three = (ip = '198.18.1.2/24', rest = ''): string => `
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1/24 } } }
  b: { interfaces: { eth0: { ip: 198.18.0.2/24 }, eth1: { ip: 198.18.1.1/24 } } }
  c: { interfaces: { eth0: { ip: ${ip} } }, routes: [default via 198.18.1.1]${rest} }
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"] }
  - { name: bc, endpoints: ["b:eth1", "c:eth0"], impair: delay 1ms }
`;

  const start = async (): Promise<void> => {
    name = uniqueLabName();
    running = await startLab(name, `name: ${name}${PAIR}`);
  };
  const inside = async (node: string, ...command: string[]): Promise<string> =>
    (await run('ip', ['netns', 'exec', running.namespace(node), ...command])).stdout;
  const reload = async (yaml: string): Promise<string[]> => {
    writeFileSync(join(running.directory, 'lab.yaml'), `name: ${name}${yaml}`);
    const { status, stdout, stderr } = await taplab(['reload', '--json', '--socket', running.socket]);
    if (status !== 0) throw new Error(stderr);
    return (JSON.parse(stdout) as { changes: string[] }).changes;
  };

  afterEach(async () => {
    await running?.stop();
    await removeNamespaces(name);
  });

  test('nodes, interfaces and links come, change and go; an untouched link loses no frame', async () => {
    await start();
    const index = await inside('a', 'cat', '/sys/class/net/eth0/ifindex');
    const forward = async (): Promise<LinkStatus['forward']> =>
      (await running.request<LinkStatus>('GET', '/v1/links/ab')).forward;
    // What a node sends while the other comes up has nowhere to go.
    const before = await forward();
    const traffic = inside('a', 'ping', '-i', '0.005', '-c', '1000', '-W', '2', '198.18.0.2');
    expect(await reload(three())).toEqual([
      'added node c',
      'added interface b:eth1',
      'added interface c:eth0',
      'added link bc',
      'configured node c',
      'configured node b',
    ]);
    expect(await inside('c', 'ping', '-c', '1', '-W', '2', '198.18.0.2')).toContain('1 received');
    expect(await reload(three('198.18.1.3/24'))).toContain('removed interface c:eth0');
    // The route, which has gone with the interface, is there again.
    expect(await inside('c', 'ping', '-c', '1', '-W', '2', '198.18.0.2')).toContain('1 received');
    expect(await inside('c', 'ip', '-br', 'address', 'show', 'eth0')).not.toContain('198.18.1.2');
    expect((await namespacesOf(name)).length).toBe(3);
    expect(await reload(PAIR)).toEqual([
      'removed link bc',
      'removed interface b:eth1',
      'removed interface c:eth0',
      'removed node c',
      'configured node b',
    ]);
    expect((await namespacesOf(name)).length).toBe(2);
    expect(await inside('b', 'ip', 'link')).not.toContain('eth1');
    expect(await traffic).toContain('1000 packets transmitted, 1000 received');
    expect(await inside('a', 'cat', '/sys/class/net/eth0/ifindex')).toBe(index);
    const { offered, drops } = await forward();
    expect(offered.frames).toBeGreaterThanOrEqual(before.offered.frames + 1000);
    expect(drops).toEqual(before.drops);
  });

  test('what cannot be carried out is said, the rest is so, and reloading again goes on', async () => {
    await start();
    // Somebody else has the name of the namespace.
    await run('ip', ['netns', 'add', running.namespace('c')]);
    await expect(reload(three())).rejects.toThrow(/could not add node c: .*EEXIST.*; done: nothing;/);
    await run('ip', ['netns', 'del', running.namespace('c')]);
    await expect(reload(three('198.18.1.2/24', ', sysctls: { net.ipv4.no_such: 1 }'))).rejects.toThrow(
      /could not configure node c: set sysctl net.ipv4.no_such.*done: added node c, .*not done: configure node b/,
    );
    expect(await inside('a', 'ping', '-c', '1', '-W', '2', '198.18.0.2')).toContain('1 received');
    await reload(three());
    expect(await inside('c', 'ping', '-c', '1', '-W', '2', '198.18.0.2')).toContain('1 received');
    expect(await reload(three())).toEqual([]);
    // The claim has followed: who cleans up after SIGKILL finds what came later.
    running.daemon.kill('SIGKILL');
    await eventually(() => running.daemon.signalCode !== null);
    expect((await namespacesOf(name)).length).toBe(3);
    expect((await taplab(['down', '--socket', running.socket])).status).toBe(0);
    expect(await namespacesOf(name)).toEqual([]);
  });
});
