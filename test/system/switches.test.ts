/** Switches and hubs between real devices: nodes reach each other, and nobody gets what is not for him. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import type { AddressStatus, InterfaceStatus, LinkStatus, SwitchStatus } from '../../src/daemon/contract.ts';
import {
  noRealDevices,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';

const TRANSFER = join(import.meta.dirname, 'transfer.mjs');
const BYTES = 20_000_000;
const cleanUps: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A lab of four nodes, a (198.18.0.1) to d (198.18.0.4), without IPv6, whose noise nobody can foretell. */
async function lab(switches: string, extra = ''): Promise<RunningLab> {
  const name = uniqueLabName();
  cleanUps.push(() => removeNamespaces(name));
  const nodes = ['a', 'b', 'c', 'd'].map(
    (node, i) =>
      `  ${node}: { interfaces: { eth0: { ip: 198.18.0.${i + 1}/24 } }, sysctls: { net.ipv6.conf.all.disable_ipv6: 1 } }`,
  );
  const running = await startLab(name, `name: ${name}\n${extra}nodes:\n${nodes.join('\n')}\n${switches}\n`);
  cleanUps.push(() => running.stop());
  return running;
}

/** Whether so many pings from one node to another are answered. */
async function pings(running: RunningLab, from: string, address: string, count = 3): Promise<boolean> {
  const ping = ['ping', '-n', '-q', '-i', '0.05', '-W', '1', '-c', String(count), address];
  return run('ip', ['netns', 'exec', running.namespace(from), ...ping]).then(
    () => true,
    () => false,
  );
}

/** How many frames a node was given. */
async function given(running: RunningLab, node: string): Promise<number> {
  return (await running.request<InterfaceStatus>('GET', `/v1/interfaces/${node}:eth0`)).transmit.frames;
}

/** Attaches a descriptor for frames to and from a node; returns its id. */
async function attach(running: RunningLab, interfaceName: string, filter: string): Promise<number> {
  const path = `/v1/interfaces/${interfaceName}/descriptors`;
  return (await running.request<{ id: number }>('POST', path, { filter })).id;
}

/** How many frames its filter has accepted. */
async function accepted(running: RunningLab, id: number): Promise<number> {
  return (await running.request<{ accepted: number }>('GET', `/v1/descriptors/${id}`)).accepted;
}

/** What the receiver and the sender on a say of a transfer. */
async function transfer(
  running: RunningLab,
  to: string,
  address: string,
): Promise<[received: string, sent: string]> {
  const next = (child: ChildProcess): (() => Promise<string>) => {
    cleanUps.push(() => child.kill('SIGKILL'));
    const iterator = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    return async () => String((await iterator.next()).value);
  };
  const received = next(running.spawnIn(to, TRANSFER, 'receive', '9001'));
  await received();
  const sent = next(running.spawnIn('a', TRANSFER, 'send', address, '9001', String(BYTES), '7'));
  return [await received(), await sent()];
}

describe.skipIf(noRealDevices !== undefined || isMissing('ping'))(
  'on real devices',
  { timeout: 60_000 },
  () => {
    test.each([
      ['one worker', ''],
      ['two workers', 'workers: 2\n'],
    ])('a switch brings what it has learned to one node only, with %s', async (_, extra) => {
      const running = await lab('switches: { sw0: { ports: [a:eth0, b:eth0, c:eth0, d:eth0] } }', extra);
      for (const [from, to] of [
        ['a', 2],
        ['b', 3],
        ['c', 1],
      ] as const) {
        expect(await pings(running, from, `198.18.0.${to}`)).toBe(true);
      }
      const before = [await given(running, 'c'), await given(running, 'd')];
      const [received, sent] = await transfer(running, 'b', '198.18.0.2');
      expect(received).toBe(sent);
      const after = [await given(running, 'c'), await given(running, 'd')];
      // A neighbour may be asked for once more meanwhile, but of thousands of segments none comes.
      for (const [i, count] of after.entries()) expect(count - before[i]!).toBeLessThan(20);
      expect(await given(running, 'b')).toBeGreaterThan(1000);
      const { addresses } = await running.request<{ addresses: AddressStatus[] }>(
        'GET',
        '/v1/switches/sw0/addresses',
      );
      const { mac } = await running.request<InterfaceStatus>('GET', '/v1/interfaces/b:eth0');
      expect(addresses.find((each) => each.port === 'sw0:2')).toMatchObject({ mac, vlan: 0 });
      const shown = await taplab(['switch', 'show', 'sw0'], running.socket);
      expect(shown.status).toBe(0);
      expect(shown.stdout).toContain(mac);
    });

    test('VLANs are apart, on a trunk between two switches and to a node that tags', async () => {
      const running = await lab(`switches:
  sw0: { ports: [{ interface: a:eth0, vlan: 10 }, { interface: b:eth0, vlan: 20 }, { name: up, trunk: [10, 20] }] }
  sw1: { ports: [{ interface: c:eth0, vlan: 10 }, { interface: d:eth0, trunk: [20] }, { name: up, trunk: [10, 20] }] }
links: [{ name: trunk, endpoints: [sw0:up, sw1:up] }]`);
      expect(await pings(running, 'a', '198.18.0.3')).toBe(true);
      expect(await pings(running, 'a', '198.18.0.2', 1)).toBe(false);
      expect(await pings(running, 'b', '198.18.0.3', 1)).toBe(false);
      // The segments of super-frames get their tags, and lose them, one by one.
      const [received, sent] = await transfer(running, 'c', '198.18.0.3');
      expect(received).toBe(sent);
      // What b asks of everybody comes to d with the tag of its VLAN; what a asks does not come.
      const tagged = await attach(running, 'd:eth0', 'vlan 20 and arp');
      // Of either VLAN; other protocols have things to say of their own.
      const any = await attach(running, 'd:eth0', 'arp or (vlan and arp)');
      // Asked again when one more has come between the two.
      const untagged = async (): Promise<number> =>
        (await accepted(running, any)) - (await accepted(running, tagged));
      expect(await pings(running, 'b', '198.18.0.99', 1)).toBe(false);
      expect(await accepted(running, tagged)).toBeGreaterThan(0);
      await expect.poll(() => untagged()).toBe(0);
      expect(await pings(running, 'a', '198.18.0.99', 1)).toBe(false);
      await expect.poll(() => untagged()).toBe(0);
    });

    test('a hub gives everything to everybody, and a port is impaired like a link', async () => {
      const running = await lab('hubs: { h0: { ports: [a:eth0, b:eth0, c:eth0, d:eth0] } }');
      expect(await pings(running, 'a', '198.18.0.2', 20)).toBe(true);
      // Twenty requests and twenty answers.
      expect(await given(running, 'd')).toBeGreaterThanOrEqual(40);
      const set = await taplab(['set', 'h0/b:eth0', 'loss 100%'], running.socket);
      expect(set).toMatchObject({ status: 0 });
      expect(await pings(running, 'a', '198.18.0.2', 1)).toBe(false);
      const link = await running.request<LinkStatus>('GET', `/v1/links/${encodeURIComponent('h0/b:eth0')}`);
      expect(link.reverse.drops.loss).toBeGreaterThan(0);
      const { switches } = await running.request<{ switches: SwitchStatus[] }>('GET', '/v1/switches');
      expect(switches).toMatchObject([{ name: 'h0', kind: 'hub', addresses: 0 }]);
    });

    test('the mirror shows a descriptor what passes', async () => {
      const running = await lab('switches: { sw0: { ports: [a:eth0, b:eth0, c:eth0] } }');
      const mirror = await attach(running, 'sw0:mirror', 'icmp');
      const port = await attach(running, 'sw0:3', 'icmp');
      expect(await pings(running, 'a', '198.18.0.2', 1)).toBe(true);
      // Request and answer, each once in and once out: both were sent to one port, which is not the third.
      expect(await accepted(running, mirror)).toBe(4);
      expect(await accepted(running, port)).toBe(0);
    });
  },
);
