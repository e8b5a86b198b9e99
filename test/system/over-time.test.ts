/**
 * What changes by itself, from files beside a lab file on disk, on worker threads and real devices: what a link decided
 * is read from the decision log, and no moment is expected more exactly than a busy machine keeps it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { InterfaceStatus } from '../../src/daemon/contract.ts';
import {
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  uniqueLabName,
} from '../helpers/real.ts';
import { output } from '../helpers/traffic.ts';

type Decision = {
  readonly timeNs: number;
  readonly direction: string;
  readonly frame: number;
  readonly event: string;
  readonly reason?: string;
  readonly delayNs?: number;
};

const folder = mkdtempSync(join(tmpdir(), 'taplab-over-time-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const running: RunningLab[] = [];
afterEach(async () => {
  for (const lab of running.splice(0)) {
    if (lab.daemon.exitCode === null && lab.daemon.signalCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
});

/** What the link decided for frames from a to b, sent every 5 ms for so long, from about its start on. */
async function decided(impair: string, milliseconds: number): Promise<Decision[]> {
  const file = join(folder, 'decisions.jsonl');
  const name = uniqueLabName();
  // In quotes of YAML, whose own are two.
  const lab = await startLab(name, pairYaml(name, '', `'${impair}'`), ['--record', file]);
  running.push(lab);
  const { mac } = await lab.request<InterfaceStatus>('GET', '/v1/interfaces/b:eth0');
  const neighbour = ['neigh', 'replace', '198.18.0.2', 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent'];
  await run('ip', ['-n', lab.namespace('a'), ...neighbour]);
  const script = fileURLToPath(new URL('send-paced.mjs', import.meta.url));
  await output(lab.spawnIn('a', script, '198.18.0.2', String(milliseconds)));
  expect(await lab.stop()).toBe(0);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines
    .map((line): Decision => JSON.parse(line))
    .filter(({ direction, event }) => direction === 'forward' && event !== 'offered');
}

const isLost = ({ reason }: Decision): boolean => reason === 'loss';

describe.skipIf(noRealDevices)('on worker threads', () => {
  it('a schedule: lines of a CSV file beside the lab file come into force at their times', async () => {
    writeFileSync(join(folder, 'drive.csv'), 'time,loss\n0s,100%\n3s,0%\n');
    const all = await decided(`schedule ${join(folder, 'drive.csv')}`, 4_000);
    const before = all.filter(({ timeNs }) => timeNs < 2.5e9);
    const after = all.filter(({ timeNs }) => timeNs > 3.5e9);
    expect(before.length).toBeGreaterThan(0);
    expect(after.length).toBeGreaterThan(0);
    expect(before.every(isLost)).toBe(true);
    expect(after.some(isLost)).toBe(false);
  });

  it('Markov states follow each other', async () => {
    const states = 'markov 100ms state good "loss 0%" to bad 100% state bad "loss 100%" to good 100%';
    const all = await decided(states, 2_000);
    const changes = all.filter((each, i) => i > 0 && isLost(each) !== isLost(all[i - 1]!)).length;
    expect(changes).toBeGreaterThanOrEqual(5);
    // Never more often than every 100 ms: late timers do not make more of them.
    expect(changes).toBeLessThanOrEqual((all.at(-1)!.timeNs - all[0]!.timeNs) / 1e8 + 1);
  });

  it('a trace: frames leave at its opportunities only', async () => {
    writeFileSync(join(folder, 'every40ms.trace'), '40\n');
    const all = await decided(`trace ${join(folder, 'every40ms.trace')}`, 2_000);
    const left = all.filter(({ event }) => event === 'delivered').map(({ timeNs }) => timeNs);
    const bursts = left.filter((timeNs, i) => i === 0 || timeNs - left[i - 1]! > 2e6).length;
    expect(left.length).toBeGreaterThan(100);
    expect(bursts).toBeGreaterThan(5);
    expect(bursts).toBeLessThanOrEqual((left.at(-1)! - left[0]!) / 40e6 + 3);
    expect(Math.max(...all.map(({ delayNs }) => delayNs ?? 0))).toBeGreaterThan(20e6);
  });
});
