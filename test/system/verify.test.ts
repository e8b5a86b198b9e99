/** `taplab verify` on real devices: of a lab file, which leaves nothing behind, and of a lab that is up. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** Namespaces of labs that were made for a verification: their names begin with the lab's. */
async function namespacesBeginning(name: string): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list']);
  return stdout.split('\n').filter((each) => each.startsWith(`taplab-${name}-v`));
}

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
