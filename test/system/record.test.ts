/** `taplab up --record` on real devices: the log adds up, agrees with a replay, and a full disk stops nobody. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { InterfaceStatus, LinkStatus } from '../../src/daemon/contract.ts';
import { DROP_REASONS } from '../../src/link/reasons.ts';
import {
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { output, pingMs } from '../helpers/traffic.ts';

type Decision = {
  readonly timeNs: number;
  readonly link: string;
  readonly direction: 'forward' | 'reverse';
  readonly frame: number;
  readonly event: string;
  readonly reason?: string;
  readonly delayNs?: number;
};

const folder = mkdtempSync(join(tmpdir(), 'taplab-record-'));
const running: RunningLab[] = [];
afterEach(async () => {
  for (const lab of running.splice(0)) {
    if (lab.daemon.exitCode === null && lab.daemon.signalCode === null) await lab.stop();
    await removeNamespaces(lab.name);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = join(folder, 'decisions.jsonl');

async function recorded(impair: string, extra = ''): Promise<{ lab: RunningLab; log: () => string }> {
  const name = uniqueLabName();
  const lab = await startLab(name, pairYaml(name, extra, impair), ['--record', file]);
  running.push(lab);
  let text = '';
  lab.daemon.stderr!.on('data', (chunk) => {
    text += chunk;
  });
  return { lab, log: () => text };
}

async function sendNumbers(lab: RunningLab, count: number): Promise<void> {
  const script = fileURLToPath(new URL('send-numbers.mjs', import.meta.url));
  await output(lab.spawnIn('a', script, '198.18.0.2', String(count)));
}

function decisionsIn(path: string): Decision[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line): Decision => JSON.parse(line));
}

/** Of each frame of a direction, in their order: whether the link lost it. What a device refuses is not the link's. */
function losses(decisions: readonly Decision[], direction: string): boolean[] {
  const own = decisions.filter((each) => each.direction === direction);
  const lost = new Map(own.map(({ frame }) => [frame, false]));
  for (const { frame, reason } of own) if (reason === 'loss') lost.set(frame, true);
  return [...lost].sort(([a], [b]) => a - b).map(([, each]) => each);
}

describe.skipIf(noRealDevices)('a recorded run', () => {
  it('has one end for every frame, and adds up to the counters', async () => {
    const { lab, log } = await recorded('{ delay: 5ms, jitter: 2ms, loss: 10%, duplicate: 5% }');
    await sendNumbers(lab, 1000);
    // What is still under way or comes from the nodes by itself arrives.
    await new Promise((resolve) => setTimeout(resolve, 200));
    const { forward } = await lab.request<LinkStatus>('GET', '/v1/links/ab');
    expect(await lab.stop()).toBe(0);
    expect(log()).toContain('decision log completed');
    const own = decisionsIn(file).filter(({ direction }) => direction === 'forward');
    const of = (event: string): Decision[] => own.filter((each) => each.event === event);
    // A frame more may have come from a node after the counters were read.
    const about = (counted: number): [number, number] => [counted, counted + 10];
    const expectAbout = (got: number, [least, most]: [number, number]): void => {
      expect(got).toBeGreaterThanOrEqual(least);
      expect(got).toBeLessThanOrEqual(most);
    };
    expectAbout(of('offered').length, about(forward.offered.frames));
    expectAbout(of('duplicated').length, about(forward.duplicated));
    expectAbout(of('delivered').length, about(forward.delivered.frames));
    for (const reason of DROP_REASONS) {
      expectAbout(
        of('dropped').filter((each) => each.reason === reason).length,
        about(forward.drops[reason]),
      );
    }
    const begun = [...of('offered'), ...of('duplicated')].map(({ frame }) => frame).sort((a, b) => a - b);
    const ended = [...of('delivered'), ...of('dropped')].map(({ frame }) => frame).sort((a, b) => a - b);
    expect(begun).toEqual(begun.map((_, i) => i + 1));
    // One that a node sent by itself when the lab was about to end has no end.
    const lastNs = Math.max(...own.map(({ timeNs }) => timeNs));
    const isLate = ({ timeNs }: Decision): boolean => timeNs > lastNs - 50e6;
    const late = [...of('offered'), ...of('duplicated')].filter(isLate).map(({ frame }) => frame);
    expect(begun.filter((frame) => !ended.includes(frame) && !late.includes(frame))).toEqual([]);
    expect(new Set(ended).size).toBe(ended.length);
    expect(ended.filter((frame) => !begun.includes(frame))).toEqual([]);
    expect(Math.min(...of('delivered').map(({ delayNs }) => delayNs!))).toBeGreaterThan(2e6);
    const times = own.map(({ timeNs }) => timeNs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('loses the frames that a replay of what its nodes sent loses', async () => {
    const captures = ['a', 'b'].map((node) => ({ node, path: join(folder, `${node}.pcapng`) }));
    const descriptors = captures.map(
      ({ node, path }) => `  - { interface: ${node}:eth0, direction: in, write: ${path} }`,
    );
    const { lab } = await recorded(
      '{ loss: 20%, duplicate: 3% }',
      `descriptors:\n${descriptors.join('\n')}\n`,
    );
    // Else whether anything is sent depends on whether a question of ARP is lost.
    const { mac } = await lab.request<InterfaceStatus>('GET', '/v1/interfaces/b:eth0');
    const neighbour = ['neigh', 'replace', '198.18.0.2', 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent'];
    await run('ip', ['-n', lab.namespace('a'), ...neighbour]);
    await sendNumbers(lab, 500);
    const yaml = join(folder, 'again.yaml');
    writeFileSync(yaml, readFileSync(join(lab.directory, 'lab.yaml')));
    expect(await lab.stop()).toBe(0);
    const again = join(folder, 'again.jsonl');
    const inputs = captures.flatMap(({ node, path }) => ['--in', `${node}:eth0=${path}`]);
    const out = ['--out', join(folder, 'out'), '--record', again];
    expect(await taplab(['replay', yaml, ...inputs, ...out])).toMatchObject({ status: 0 });
    for (const direction of ['forward', 'reverse']) {
      const real = losses(decisionsIn(file), direction);
      expect(real).toEqual(losses(decisionsIn(again), direction));
      if (direction === 'forward') expect(real.filter((each) => each).length).toBeGreaterThan(50);
    }
  });

  it('goes on without its log when the file cannot grow: said, counted, and whole lines in the file', async () => {
    const { lab, log } = await recorded('{}');
    await run('prlimit', ['--pid', String(lab.daemon.pid), '--fsize=20000']);
    await sendNumbers(lab, 500);
    expect(await pingMs(lab)).toBeGreaterThan(0);
    await expect.poll(log).toContain('the decision log has ended; the lab goes on');
    expect(log()).toContain('EFBIG');
    expect(await lab.stop()).toBe(0);
    const lost = Number(/decision log completed: (\d+) decisions are not in it/.exec(log())?.[1]);
    expect(lost).toBeGreaterThan(0);
    expect(decisionsIn(file).length).toBeGreaterThan(0);
  });

  it('does not come up when the file cannot be made', async () => {
    const name = uniqueLabName();
    const lab = startLab(name, pairYaml(name), ['--record', join(folder, 'nowhere', 'log.jsonl')]);
    await expect(lab).rejects.toThrow(/nowhere.*ENOENT.*create the folder first/);
  });
});
