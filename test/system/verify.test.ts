/** `taplab verify` on real devices: of a lab file, which leaves nothing behind, and of a lab that is up. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { DescriptorResource } from '../../src/control/schemas/resources.ts';
import type { DirectionVerdict } from '../../src/verify/verify.ts';
import {
  cli,
  eventually,
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { exit } from '../helpers/traffic.ts';

const folder = mkdtempSync(join(tmpdir(), 'taplab-verify-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const running: RunningLab[] = [];
afterEach(async () => {
  for (const lab of running.splice(0)) {
    if (lab.daemon.exitCode === null && lab.daemon.signalCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
});

/** Ethernet and raw IP, a hub, and settings of all kinds that are judged. */
function yaml(name: string): string {
  return `name: ${name}
nodes:
  a: { interfaces: { eth0: {}, tun0: { device: tun }, lan: {} } }
  b: { interfaces: { eth0: {}, tun0: { device: tun } } }
hubs: { sw: { ports: [{ interface: "a:lan", impair: loss 100% }] } }
links:
  - { name: wan, endpoints: ["a:eth0", "b:eth0"], forward: delay 10ms loss 20% duplicate 10%, reverse: rate 10mbit }
  - { name: raw, endpoints: ["a:tun0", "b:tun0"], impair: delay 5ms }
`;
}

/** What is judged however busy the machine is. */
function expectFrames(each: DirectionVerdict, loss: number, duplication: number): void {
  const found = Object.fromEntries(each.checks.map((check) => [check.what, check]));
  expect(found.loss).toMatchObject({ verdict: 'ok' });
  expect(found.loss!.requested).toBeCloseTo(loss, 1);
  expect(found.duplication).toMatchObject({ verdict: 'ok' });
  expect(found.duplication!.requested).toBeCloseTo(duplication, 1);
}

type Ended = { readonly status: number | null; readonly stdout: string };

/** With real-time priority, so that it is not the machine that is found too busy. */
async function verifyWithPriority(args: readonly string[], socket?: string): Promise<Ended> {
  const env = { ...process.env, ...(socket && { TAPLAB_SOCKET: socket }) };
  const verifying = spawn('chrt', ['--rr', '10', process.execPath, cli, 'verify', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  const [stdout, status] = await Promise.all([text(verifying.stdout), exit(verifying)]);
  return { status, stdout };
}

/** Again, a few times, as long as what is found is that the machine is too busy for anything to be found. */
async function undisturbed(measure: () => Promise<Ended>): Promise<Ended> {
  for (let tries = 1; ; tries++) {
    const ended = await measure();
    if (tries === 5 || !ended.stdout.includes('the machine is too busy')) return ended;
  }
}

/** Frames that a node has sent by its eth0. */
async function framesSent(namespace: string): Promise<number> {
  const { stdout } = await run('ip', ['-n', namespace, '-j', '-s', 'link', 'show', 'eth0']);
  return (JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[])[0]!.stats64.tx.packets;
}

/** Namespaces of labs that were made for a verification: their names begin with the lab's. */
async function namespacesBeginning(name: string): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list']);
  return stdout.split('\n').filter((each) => each.startsWith(`taplab-${name}-v`));
}

const noPriority = isMissing('priority');

describe.skipIf(noRealDevices)('verify', () => {
  it('measures a lab file on TAP and TUN devices of its own, and leaves nothing', async () => {
    const name = uniqueLabName().slice(0, 12);
    const file = join(folder, 'lab.yaml');
    writeFileSync(file, yaml(name));
    const { status, stdout } = await taplab(['verify', file, '--seconds', '2', '--json']);
    const { directions, schedulerLagP99Ns } = JSON.parse(stdout) as {
      directions: DirectionVerdict[];
      schedulerLagP99Ns: number;
    };
    const [forward, reverse, raw, , port] = directions as DirectionVerdict[];
    expectFrames(forward!, 0.2, 0.1);
    const delay = forward!.checks.find(({ what }) => what === 'delay median')!;
    expect(delay.requested).toBe(10e6);
    expect(delay.achieved).toBeGreaterThanOrEqual(10e6);
    const rate = reverse!.checks.find(({ what }) => what === 'rate')!;
    expect(rate.requested / 10e6).toBeCloseTo(1, 2);
    expect(rate.achieved).toBeLessThan(10.3e6);
    expectFrames(raw!, 0, 0);
    expectFrames(port!, 1, 0);
    expect(schedulerLagP99Ns).toBeGreaterThan(0);
    const verdicts = directions.map(({ verdict }) => verdict);
    expect(status).toBe(verdicts.includes('failed') ? 1 : verdicts.includes('not measurable') ? 2 : 0);
    expect(await namespacesBeginning(name)).toEqual([]);
  });

  it('leaves nothing when it is interrupted', async () => {
    const name = uniqueLabName().slice(0, 12);
    const file = join(folder, 'long.yaml');
    writeFileSync(file, yaml(name));
    const verifying = spawn(process.execPath, [cli, 'verify', file, '--seconds', '60'], { stdio: 'ignore' });
    await eventually(async () => (await namespacesBeginning(name)).length > 0, 20_000);
    verifying.kill('SIGINT');
    await exit(verifying);
    expect(await namespacesBeginning(name)).toEqual([]);
  });

  it('measures a lab that is up, by its socket: what is changed by hand counts, and nothing else changes', async () => {
    const name = uniqueLabName();
    const lab = await startLab(name, pairYaml(name));
    running.push(lab);
    await lab.request('PATCH', '/v1/links/ab', { forward: 'loss 30%', reverse: 'duplicate 20%' });
    const { stdout } = await taplab(['verify', '--seconds', '2', '--no-flood', '--json'], lab.socket);
    const { directions } = JSON.parse(stdout) as { directions: DirectionVerdict[] };
    expectFrames(directions[0]!, 0.3, 0);
    expectFrames(directions[1]!, 0, 0.2);
    const { descriptors } = await lab.request<{ descriptors: DescriptorResource[] }>(
      'GET',
      '/v1/descriptors',
    );
    expect(descriptors).toEqual([]);
  });

  it.skipIf(noPriority)(
    'finds that frames of a lab that is up come late, while its emulator is stopped time and again',
    async () => {
      const name = uniqueLabName();
      const lab = await startLab(name, pairYaml(name, '', 'delay 5ms'));
      running.push(lab);
      const { status, stdout } = await undisturbed(async () => {
        const before = await framesSent(lab.namespace('a'));
        const verifying = verifyWithPriority(['--seconds', '1', '--no-flood', '--json'], lab.socket);
        await eventually(async () => (await framesSent(lab.namespace('a'))) > before + 20, 20_000);
        for (let stops = 0; stops < 4; stops++) {
          lab.daemon.kill('SIGSTOP');
          await sleep(50);
          lab.daemon.kill('SIGCONT');
          await sleep(50);
        }
        return verifying;
      });
      const { ok, directions } = JSON.parse(stdout) as { ok: boolean; directions: DirectionVerdict[] };
      expect(directions.map(({ verdict }) => verdict)).toEqual(['failed', 'failed']);
      for (const { checks, note } of directions) {
        const verdicts = Object.fromEntries(checks.map(({ what, verdict }) => [what, verdict]));
        expect(verdicts).toMatchObject({
          'delay p99': 'failed',
          jitter: 'failed',
          loss: 'ok',
          duplication: 'ok',
        });
        const late = checks.find(({ what }) => what === 'delay p99')!;
        expect(late.requested).toBe(5e6);
        expect(late.achieved).toBeGreaterThan(20e6);
        expect(note).toBeUndefined();
      }
      expect([ok, status]).toEqual([false, 1]);
    },
  );

  it('expects of a link what came to it, behind a queue of the node that is slower than the link', async () => {
    const name = uniqueLabName();
    const lab = await startLab(name, pairYaml(name, '', 'rate 10mbit'));
    running.push(lab);
    const bucket = ['qdisc', 'add', 'dev', 'eth0', 'root', 'tbf'];
    const limits = ['rate', '1mbit', 'burst', '2kb', 'latency', '5s'];
    await run('tc', ['-n', lab.namespace('a'), ...bucket, ...limits]);
    const { stdout } = await taplab(['verify', '--seconds', '1', '--json'], lab.socket);
    const { directions } = JSON.parse(stdout) as { directions: DirectionVerdict[] };
    const rates = directions.map(({ checks }) => checks.find(({ what }) => what === 'rate')!);
    expect(rates.map(({ requested }) => Math.round(requested / 1e6))).toEqual([1, 10]);
    expect(rates[0]!.achieved).toBeLessThan(1.1e6);
    expect(rates[0]!.verdict).toBe('ok');
  });

  it.skipIf(noPriority)(
    'finds that a link of a lab file loses frames, while the far device is down, and the other link does not',
    async () => {
      const name = uniqueLabName().slice(0, 12);
      const file = join(folder, 'down.yaml');
      writeFileSync(
        file,
        `name: ${name}
nodes:
  a: { interfaces: { eth0: {}, eth1: {} } }
  b: { interfaces: { eth0: {}, eth1: {} } }
links:
  - { name: hurt, endpoints: ["a:eth0", "b:eth0"], impair: delay 5ms }
  - { name: well, endpoints: ["a:eth1", "b:eth1"], impair: delay 5ms }
`,
      );
      const { status, stdout } = await undisturbed(async () => {
        const verifying = verifyWithPriority(['--seconds', '2', file]);
        await eventually(async () => (await namespacesBeginning(name)).length === 2, 20_000);
        const [a, b] = (await namespacesBeginning(name)).sort() as [string, string];
        await eventually(async () => (await framesSent(a)) > 20, 20_000);
        await run('ip', ['-n', b, 'link', 'set', 'eth0', 'down']);
        await sleep(300);
        await run('ip', ['-n', b, 'link', 'set', 'eth0', 'up']);
        return verifying;
      });
      // LINK DIRECTION WHAT REQUESTED ACHIEVED TOLERANCE VERDICT
      expect(stdout).toMatch(/^hurt +forward +loss +0\.00 % +[1-9]\d*\.\d+ % +± 0\.\d+ % +FAILED$/m);
      expect(stdout).toMatch(/^hurt +reverse +loss .* ok$/m);
      expect(stdout).toMatch(/^well +forward +loss +0\.00 % +0\.00 % .* ok$/m);
      expect(stdout).toMatch(/^well +reverse +loss +0\.00 % +0\.00 % .* ok$/m);
      expect(status).toBe(1);
    },
  );

  it('does not judge a direction that is changed meanwhile', async () => {
    const name = uniqueLabName();
    const lab = await startLab(name, pairYaml(name));
    running.push(lab);
    const verifying = taplab(['verify', '--seconds', '3', '--json'], lab.socket);
    await eventually(
      async () =>
        (await lab.request<{ forward: { offered: { frames: number } } }>('GET', '/v1/links/ab')).forward
          .offered.frames > 50,
      20_000,
    );
    await lab.request('PATCH', '/v1/links/ab', { forward: 'loss 50%' });
    const { status, stdout } = await verifying;
    const { directions } = JSON.parse(stdout) as { directions: DirectionVerdict[] };
    expect(directions[0]).toMatchObject({
      verdict: 'not measurable',
      note: 'it was changed while it was measured',
    });
    expect(status).not.toBe(0);
  });
});
