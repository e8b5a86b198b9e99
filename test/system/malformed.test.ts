/**
 * A flood of malformed frames from a node, on real devices: the lab lives, each frame is accounted for, captures can be
 * read, other links of the same worker lose nothing, and the link itself works as before.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCapture } from '../../src/capture/reader.ts';
import { balancedBooks } from '../helpers/books.ts';
import {
  noRealDevices,
  type RunningLab,
  removeNamespaces,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { exit, output } from '../helpers/traffic.ts';

const [MALFORMED, FLOWS, TRANSFER] = ['malformed.mjs', 'flows.mjs', 'transfer.mjs'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
) as [string, string, string];
const FRAMES = 3_000;
/** ARP, IPv6 and the like: no more in so short a time. */
const FRAMES_OF_KERNELS = 50;
const OFF = ', offload: false';

type Captured = { readonly accepted: number; readonly dropped: number };

let lab: RunningLab | undefined;
let captures: string;
beforeEach(() => {
  captures = mkdtempSync(join(tmpdir(), 'taplab-malformed-'));
});
afterEach(async () => {
  if (lab !== undefined) {
    if (lab.daemon.exitCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
  rmSync(captures, { recursive: true, force: true });
  lab = undefined;
});

/** a is to flood b. c and d have no part in it, but that one worker carries all. */
async function started(a: string, b: string, impair: string): Promise<RunningLab> {
  const name = uniqueLabName();
  const node = (address: string, options = ''): string =>
    `{ interfaces: { eth0: { ip: ${address}/24${options} } } }`;
  lab = await startLab(
    name,
    `name: ${name}
workers: 1
nodes:
  a: ${node('198.18.0.1', a)}
  b: ${node('198.18.0.2', b)}
  c: ${node('198.18.1.1')}
  d: ${node('198.18.1.2')}
links:
  - { name: ab, endpoints: ["a:eth0", "b:eth0"], impair: ${impair} }
  - { name: cd, endpoints: ["c:eth0", "d:eth0"], impair: delay 3ms }
descriptors:
  - { interface: "a:eth0", write: "${join(captures, 'a.pcapng')}" }
  - { interface: "b:eth0", write: "${join(captures, 'b.pcapng')}" }
`,
  );
  return lab;
}

/** What came of a program in a node that says when it is ready, while `meanwhile` ran. */
async function receiving(
  { spawnIn }: RunningLab,
  node: string,
  args: [string, ...string[]],
  meanwhile: () => Promise<unknown>,
): Promise<Record<string, number | string>> {
  const receiver = spawnIn(node, ...args);
  try {
    await once(receiver.stdout!, 'data');
    const report = output(receiver);
    await meanwhile();
    return JSON.parse((await report).split('\n')[0]!) as Record<string, number | string>;
  } finally {
    receiver.kill('SIGKILL');
  }
}

/** Closes the captures; what each has counted. */
async function closeCaptures({ request }: RunningLab): Promise<Captured[]> {
  const { descriptors } = await request<{ descriptors: { id: number }[] }>('GET', '/v1/descriptors');
  const closed: Captured[] = [];
  for (const { id } of descriptors) closed.push(await request<Captured>('DELETE', `/v1/descriptors/${id}`));
  return closed;
}

/** How many frames are in a capture, as this and, if it is there, tshark read it. */
async function framesIn(file: string): Promise<number[]> {
  let frames = 0;
  for await (const { bytes, wireLength } of readCapture(createReadStream(file))) {
    expect(bytes.length).toBe(wireLength);
    frames++;
  }
  if (isMissing('tshark')) return [frames];
  const read = spawnSync('tshark', ['-r', file, '-T', 'fields', '-e', 'frame.number'], { encoding: 'utf8' });
  expect(read.status, read.stderr).toBe(0);
  return [frames, read.stdout.trim().split('\n').length];
}

describe.skipIf(noRealDevices !== undefined)('a flood of malformed frames', { timeout: 120_000 }, () => {
  test.each([
    ['with offload', '', '', 'delay 2ms 1ms loss 5% duplicate 5% corrupt 5%'],
    ['to a device without', '', OFF, 'delay 1ms rate 200mbit limit 100kb'],
    ['from a device without', OFF, '', '{ rules: [{ match: "tcp[13] & 1 != 0", delay: 1ms }] }'],
    ['without offload', OFF, OFF, '{ delay: 1ms, reorder: 10%, mtu: 1400 }'],
  ])('%s harms nothing', async (_, a, b, impair) => {
    const running = await started(a, b, impair);
    let flood = '';
    const flows = await receiving(running, 'd', [FLOWS, 'receive', '4', '500'], async () => {
      const sender = running.spawnIn('c', FLOWS, 'send', '198.18.1.2', '4', '500', '1000');
      flood = await output(running.spawnIn('a', MALFORMED, 'eth0', `${FRAMES}`, '7'));
      expect(await exit(sender)).toBe(0);
    });
    const { forward } = await balancedBooks(running, 'ab');
    // A node's kernel itself refuses some, and others, which it was to cut, become many.
    expect(JSON.parse(flood).sent).toBeGreaterThan(FRAMES / 4);
    expect(forward.offered.frames).toBeGreaterThan(FRAMES / 4);
    expect(forward.drops.mtu).toBeGreaterThan(0);
    // On a busy machine c's kernel may drop some before they are read. What was read has arrived, in order and once.
    const other = (await balancedBooks(running, 'cd')).forward;
    expect(flows).toMatchObject({ twice: 0, late: 0 });
    expect(other.delivered).toEqual(other.offered);
    expect(flows.received).toBeGreaterThan(other.delivered.frames - FRAMES_OF_KERNELS);
    const counted = await closeCaptures(running);

    // As before.
    await taplab(['set', 'ab', 'clear'], running.socket);
    let sent = '';
    const received = await receiving(running, 'b', [TRANSFER, 'receive', '9001'], async () => {
      sent = await output(running.spawnIn('a', TRANSFER, 'send', '198.18.0.2', '9001', '3000000', '7'));
    });
    expect(received).toEqual(JSON.parse(sent));
    expect(await running.stop()).toBe(0);
    for (const [i, { accepted, dropped }] of counted.entries()) {
      const frames = await framesIn(join(captures, `${'ab'[i]}.pcapng`));
      expect(new Set(frames)).toEqual(new Set([accepted - dropped]));
    }
  });
});
