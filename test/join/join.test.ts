import { chownSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import type { DirectionVerdict } from '../../src/verify/verify.ts';
import { cli, eventually, taplab } from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { ended, JoinedLab, PAIR } from './helper.ts';

describe.skipIf(isMissing('namespaces', 'tun', 'ping'))('nodes that join', { timeout: 60_000 }, () => {
  let lab: JoinedLab;
  afterEach(() => lab.close());

  /** A ping from a that b answers. */
  const ping = (): string => lab.run('a', 'ping', '-c', '1', '-W', '2', '198.18.0.2');

  test('reach each other through an emulator that has no capability, configured as the lab file says', async () => {
    lab = new JoinedLab(PAIR);
    const emulator = await lab.up();
    expect(await lab.isUp('a:eth0')).toBe(false);
    const { stdout } = await taplab(['ps', '--socket', lab.socket]);
    expect(stdout).toMatch(/a:eth0 .*waiting for join/);
    const stats = await taplab(['stats', '--interval', '50', '--socket', lab.socket]);
    expect(stats.stdout).toMatch(/a:eth0 .*waiting for join/);
    expect(await lab.upMetric('a:eth0')).toBe(0);
    const nodes = [lab.join('a'), lab.join('b')];
    await eventually(async () => (await lab.isUp('a:eth0')) && (await lab.isUp('b:eth0')));
    expect(await lab.upMetric('a:eth0')).toBe(1);
    expect(ping()).toContain('1 received');
    const address = lab.run('a', 'ip', 'address', 'show', 'eth0');
    expect(address).toContain('mtu 1400');
    expect(address).toContain('198.18.0.1/24');
    expect(address).toContain('fd00::1/64');
    expect(address).toContain((await lab.client.interface('a:eth0')).mac);
    expect(lab.run('a', 'ip', 'route')).toContain('default via 198.18.0.2 dev eth0');
    expect(await lab.client.node('a')).toMatchObject({ up: true, node: { join: true } });
    // The processes are what runs behind setpriv(1), which executes them in its place.
    const status = readFileSync(`/proc/${emulator.child.pid}/status`, 'utf8');
    expect(status).toMatch(/^CapEff:\s+0{16}$/m);
    for (const { child } of nodes) {
      child.kill('SIGTERM');
      expect(await ended(child)).toBe(0);
    }
    expect(lab.run('a', 'ip', 'link')).not.toContain('eth0');
    expect(await lab.isUp('a:eth0')).toBe(false);
    expect(await lab.upMetric('a:eth0')).toBe(0);
    emulator.child.kill('SIGTERM');
    expect(await ended(emulator.child)).toBe(0);
    expect(emulator.text).not.toContain('"level":50');
  });

  test('are measured by verify, where they are; without one of them it says why not', async () => {
    lab = new JoinedLab(PAIR);
    await lab.up();
    lab.join('a');
    await eventually(() => lab.isUp('a:eth0'));
    const verify = ['verify', '--socket', lab.socket, '--seconds', '1', '--no-flood'];
    const alone = await taplab(verify);
    expect(alone.stdout).toMatch(/forward: .*\(b:eth0 is down\)$/m);
    expect(alone.stdout).toMatch(/ forward +- +- +- +- +not measurable$/m);
    expect(alone.status).toBe(2);
    const b = lab.join('b');
    await eventually(() => lab.isUp('b:eth0'));
    expect(await lab.client.interface('b:eth0')).toMatchObject({ process: b.child.pid });
    const { stdout } = await taplab([...verify, '--json']);
    const { directions } = JSON.parse(stdout) as { directions: DirectionVerdict[] };
    for (const { probes, checks } of directions) {
      expect(probes).toBeGreaterThan(150);
      expect(checks.find(({ what }) => what === 'loss')).toMatchObject({ achieved: 0, verdict: 'ok' });
    }
    expect(directions).toHaveLength(2);
  });

  test('a node that is killed is seen as link down, and is back at once when it is started again', async () => {
    lab = new JoinedLab(PAIR);
    await lab.up();
    lab.join('b');
    for (let i = 0; i < 3; i++) {
      const node = lab.join('a');
      await eventually(() => node.text.includes('has joined'));
      // Not waited for: the next one comes while the emulator may not have noticed.
      node.child.kill('SIGKILL');
      if (i === 0) await eventually(async () => !(await lab.isUp('a:eth0')), 1000);
    }
    const last = lab.join('a');
    await eventually(async () => last.text.includes('has joined') && (await lab.isUp('b:eth0')));
    expect(ping()).toContain('1 received');
  });

  test('a node that joins while its link is down has no carrier, and one again when it joins a link that is up', async () => {
    lab = new JoinedLab(PAIR);
    const carrier = (): string => lab.run('b', 'cat', '/sys/class/net/eth0/carrier').trim();
    const down = async (): Promise<void> => {
      const [link] = await lab.client.links();
      await lab.client.changeLink(link!.name, { forward: 'carrier down' });
    };
    const emulator = await lab.up();
    await down();
    const node = lab.join('b');
    await eventually(() => node.text.includes('has joined'));
    expect(carrier()).toBe('0');
    emulator.child.kill('SIGKILL');
    await ended(emulator.child);
    await lab.up();
    await eventually(() => lab.isUp('b:eth0'));
    await eventually(() => carrier() === '1');
    await down();
    expect(carrier()).toBe('0');
    const [link] = await lab.client.links();
    await lab.client.changeLink(link!.name, { forward: 'carrier up' });
    expect(carrier()).toBe('1');
  });

  test('an emulator that is killed loses no node: they keep their devices and are back within five seconds', async () => {
    lab = new JoinedLab(PAIR);
    const first = await lab.up();
    const a = lab.join('a', '--json');
    lab.join('b');
    await eventually(async () => (await lab.isUp('a:eth0')) && (await lab.isUp('b:eth0')));
    const index = lab.run('a', 'cat', '/sys/class/net/eth0/ifindex');
    first.child.kill('SIGKILL');
    await eventually(() => a.text.includes('"state":"waiting"'), 2000);
    expect(lab.run('a', 'ip', 'link', 'show', 'eth0')).toContain('NO-CARRIER');
    await lab.up();
    await eventually(async () => (await lab.isUp('a:eth0')) && (await lab.isUp('b:eth0')), 5000);
    expect(ping()).toContain('1 received');
    expect(lab.run('a', 'cat', '/sys/class/net/eth0/ifindex')).toBe(index);
  });

  test('a node is configured anew when the emulator comes back with another lab file', async () => {
    lab = new JoinedLab(PAIR);
    const first = await lab.up();
    lab.join('a');
    await eventually(() => lab.isUp('a:eth0'));
    first.child.kill('SIGKILL');
    lab.write(PAIR.replaceAll('198.18.0.1/24', '198.18.0.9/24'));
    await lab.up();
    await eventually(() => lab.isUp('a:eth0'));
    const address = lab.run('a', 'ip', 'address', 'show', 'eth0');
    expect(address).toContain('198.18.0.9/24');
    expect(address).not.toContain('198.18.0.1/24');
  });

  test('a device that is deleted in its node is made again', async () => {
    lab = new JoinedLab(PAIR);
    await lab.up();
    lab.join('a');
    await eventually(() => lab.isUp('a:eth0'));
    const index = lab.run('a', 'cat', '/sys/class/net/eth0/ifindex');
    lab.run('a', 'ip', 'link', 'del', 'eth0');
    await eventually(async () => {
      const links = lab.run('a', 'ip', '-o', 'link');
      return (
        links.includes('eth0') && !links.includes(`\n${index.trim()}: eth0`) && (await lab.isUp('a:eth0'))
      );
    });
    expect(lab.run('a', 'ip', 'address', 'show', 'eth0')).toContain('198.18.0.1/24');
  });

  test('a second node of the same name is told that there is one, which goes on', async () => {
    lab = new JoinedLab(PAIR);
    await lab.up();
    lab.join('a');
    await eventually(() => lab.isUp('a:eth0'));
    const second = lab.spawn([...lab.within('b'), process.execPath, cli, 'join', 'a']);
    expect(await ended(second.child)).toBe(1);
    expect(second.text).toMatch(/node a has joined already, from process \d+; stop that one first/);
    expect(await lab.isUp('a:eth0')).toBe(true);
  });

  test('with a command, runs it once joined, passes its exit status on, and leaves', async () => {
    lab = new JoinedLab(PAIR);
    await lab.up();
    const node = lab.join('a', '--', 'sh', '-c', 'cat /sys/class/net/eth0/mtu; exit 7');
    expect(await ended(node.child)).toBe(7);
    expect(node.text).toContain('1400');
    expect(await lab.isUp('a:eth0')).toBe(false);
    const missing = lab.join('a', '--', 'no-such-command');
    expect(await ended(missing.child)).toBe(127);
  });

  test.each<[what: string, args: string[], says: RegExp]>([
    ['no such node', ['nobody'], /no node "nobody"/i],
    ['a node that the emulator makes', ['made'], /made by the emulator; give it `join: true`/],
  ])('%s: an error that says so', async (_, args, says) => {
    lab = new JoinedLab(`${PAIR.replace('  b: { join: true,', '  made: { ')}`.replace('b:eth0', 'made:eth0'));
    // A lab that makes namespaces of its own needs its rights: this one runs as root.
    chownSync(lab.directory, 0, 0);
    const emulator = lab.spawn([
      process.execPath,
      cli,
      'up',
      `${lab.directory}/lab.yaml`,
      '--metrics',
      'off',
    ]);
    await eventually(() => emulator.text.includes('lab is up') || emulator.child.exitCode !== null, 20_000);
    const node = lab.spawn([...lab.within('b'), process.execPath, cli, 'join', ...args]);
    expect(await ended(node.child)).toBe(1);
    expect(node.text).toMatch(says);
    emulator.child.kill('SIGTERM');
    await ended(emulator.child);
  });

  test('without an emulator fails at once, or after waiting for it, and says where it looked', async () => {
    lab = new JoinedLab(PAIR);
    const node = lab.spawn([...lab.within('a'), process.execPath, cli, 'join', 'a']);
    expect(await ended(node.child)).toBe(1);
    expect(node.text).toContain(`no taplab is listening on ${lab.socket}`);
    expect(lab.run('a', 'ip', 'link')).not.toContain('eth0');
  });
});
