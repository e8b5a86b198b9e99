/** Links between devices of several queues, on real TAPs: flows spread over the workers, and nothing else changes. */
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/reader.ts';
import type { InterfaceStatus, LinkStatus } from '../../src/daemon/contract.ts';
import {
  namespacesOf,
  noRealDevices,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { exit, output } from '../helpers/traffic.ts';

const FLOWS = fileURLToPath(new URL('flows.mjs', import.meta.url));
const TRANSFER = fileURLToPath(new URL('transfer.mjs', import.meta.url));
const UDP_PORT = 9999;

let lab: RunningLab | undefined;
let captures: string | undefined;
afterEach(async () => {
  if (lab !== undefined) {
    if (lab.daemon.exitCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
  if (captures !== undefined) rmSync(captures, { recursive: true, force: true });
  lab = captures = undefined;
});

async function started(impair: string, options = '', descriptors = ''): Promise<RunningLab> {
  const name = uniqueLabName();
  const node = (address: string): string =>
    `{ interfaces: { eth0: { ip: ${address}/24, queues: 2${options} } } }`;
  lab = await startLab(
    name,
    `name: ${name}
workers: 2
nodes:
  a: ${node('198.18.0.1')}
  b: ${node('198.18.0.2')}
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"], impair: ${impair} }
${descriptors}`,
  );
  return lab;
}

/** Sends numbered datagrams from a to b, and says what came. */
async function sendFlows({ spawnIn }: RunningLab, flows: number, count: number): Promise<unknown> {
  const receiver = spawnIn('b', FLOWS, 'receive', `${flows}`, `${count}`);
  try {
    await once(receiver.stdout!, 'data');
    const report = output(receiver);
    expect(await exit(spawnIn('a', FLOWS, 'send', '198.18.0.2', `${flows}`, `${count}`, '4000'))).toBe(0);
    return JSON.parse(await report);
  } finally {
    receiver.kill('SIGKILL');
  }
}

async function transfer({ spawnIn }: RunningLab, port: number): Promise<void> {
  const receiver = spawnIn('b', TRANSFER, 'receive', `${port}`);
  try {
    await once(receiver.stdout!, 'data');
    const received = output(receiver);
    const sent = await output(spawnIn('a', TRANSFER, 'send', '198.18.0.2', `${port}`, '20000000', `${port}`));
    const [report] = (await received).split('\n');
    expect(JSON.parse(report!)).toEqual(JSON.parse(sent));
  } finally {
    receiver.kill('SIGKILL');
  }
}

async function numbersOf(path: string): Promise<string[]> {
  const numbers: string[] = [];
  for await (const { bytes } of readCapture(createReadStream(path))) {
    // Behind the headers of Ethernet, IPv4 and UDP: flow and number.
    numbers.push(Buffer.from(bytes.subarray(42, 50)).toString('hex'));
  }
  return numbers;
}

describe.skipIf(noRealDevices)('a link between devices of two queues', () => {
  it.each([
    ['{}', ''],
    ['{ delay: 3ms }', ', offload: false'],
  ])('spreads flows over its workers, each in order, and counts them all: %s%s', async (impair, options) => {
    captures = mkdtempSync(join(tmpdir(), 'taplab-queues-'));
    const [sent, arrived] = [join(captures, 'sent.pcapng'), join(captures, 'arrived.pcapng')];
    const descriptor = (end: string, direction: string, path: string): string =>
      `  - { interface: "${end}:eth0", filter: udp port ${UDP_PORT}, direction: ${direction}, write: "${path}" }\n`;
    const running = await started(
      impair,
      options,
      `descriptors:\n${descriptor('a', 'in', sent)}${descriptor('b', 'out', arrived)}`,
    );
    const [flows, count] = [16, 500];
    // On a busy machine the node's kernel may drop some before taplab reads them.
    expect(await sendFlows(running, flows, count)).toMatchObject({ twice: 0, late: 0 });
    await Promise.all([5001, 5002, 5003, 5004, 5005, 5006].map((port) => transfer(running, port)));

    const link = await running.request<LinkStatus>('GET', '/v1/links/ab');
    expect(link.forward.workers).toEqual([0, 1]);
    expect(link.reverse.workers).toEqual([0, 1]);
    for (const [end, to] of [
      [link.forward, link.reverse],
      [link.reverse, link.forward],
    ] as const) {
      const path = `/v1/interfaces/${encodeURIComponent(end.from)}`;
      const { readers, receive, transmit } = await running.request<InterfaceStatus>('GET', path);
      expect(readers.map(({ worker }) => worker)).toEqual([0, 1]);
      // Back come the acknowledgements of six connections only, which may all have one queue.
      if (end === link.forward) for (const each of readers) expect(each.receive.frames).toBeGreaterThan(100);
      expect(readers.reduce((sum, each) => sum + each.receive.frames, 0)).toBe(receive.frames);
      expect(receive).toEqual(end.offered);
      expect(transmit).toEqual(to.delivered);
    }
    const { name } = running;
    expect(await running.stop()).toBe(0);
    expect(await namespacesOf(name)).toEqual([]);
    for (const path of [sent, arrived]) {
      const numbers = await numbersOf(path);
      expect(numbers.length).toBeGreaterThan((flows * count) / 4);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });

  it('refuses what needs all frames in one place, and goes on', async () => {
    const running = await started('{ loss: 0% }');
    for (const text of ['rate 10mbit', 'loss 1% 50%', 'match "udp" slot 1ms']) {
      const { status, stderr } = await taplab(['set', 'ab', text], running.socket);
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /needs all frames of a direction in one place, but it starts from several queues/,
      );
    }
    expect((await taplab(['set', 'ab', 'delay 1ms 0.5ms loss 100%'], running.socket)).status).toBe(0);
    expect((await taplab(['set', 'ab', 'clear'], running.socket)).status).toBe(0);
    expect(await sendFlows(running, 4, 100)).toEqual({ received: 400, twice: 0, late: 0 });
  });

  it('is gone when its devices are deleted, and uses no processor while nothing happens', async () => {
    const running = await started('{}');
    const wakeups = async (): Promise<number> => {
      const text = await (await fetch(running.metrics)).text();
      return [...text.matchAll(/^taplab_worker_wakeups_total\{.*\} (\d+)$/gm)].reduce(
        (sum, [, value]) => sum + Number(value),
        0,
      );
    };
    await run('ip', ['-n', running.namespace('a'), 'link', 'set', 'eth0', 'down']);
    await run('ip', ['-n', running.namespace('b'), 'link', 'set', 'eth0', 'down']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = await wakeups();
    expect(before).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await wakeups()) - before).toBeLessThan(5);
    await run('ip', ['-n', running.namespace('a'), 'link', 'del', 'eth0']);
    await expect
      .poll(async () => (await running.request<InterfaceStatus>('GET', '/v1/interfaces/a%3Aeth0')).up)
      .toBe(false);
    expect((await running.request<InterfaceStatus>('GET', '/v1/interfaces/b%3Aeth0')).up).toBe(true);
  });
});
