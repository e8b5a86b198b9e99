/** taplab verify: what is compared, and what is said of it. Times are only judged on made-up passages. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CLEAR_LINK } from '../../src/link/settings.ts';
import { type Passage, seen } from '../../src/verify/passage.ts';
import { planOf } from '../../src/verify/plan.ts';
import { probe, probeNumber } from '../../src/verify/probe.ts';
import { checks } from '../../src/verify/verdict.ts';
import { taplab } from '../cli/filter-helper.ts';
import { distPath } from '../helpers/dist.ts';

/** A thousand probes far apart, then as many in a flood of 10 Mbit/s. */
function passage(delayNs: (number: number) => number | undefined): Passage {
  const enteredNs = Array.from({ length: 2000 }, (_, i) => (i < 1000 ? i * 5e6 : 5e9 + (i - 1000) * 0.8e6));
  const leftNs = new Map<number, number>();
  for (const [number, timeNs] of enteredNs.entries()) {
    const delay = delayNs(number);
    if (delay !== undefined) leftNs.set(number, timeNs + delay);
  }
  return { enteredNs, leftNs, bytes: enteredNs.map(() => 1000), flood: 1000 };
}

const asked = (number: number): number => 5e6 + (number % 10) * 1e5;

describe('the verdict', () => {
  test.each<[string, (number: number) => number | undefined, string[]]>([
    ['the same', asked, []],
    ['50 µs later', (number) => asked(number) + 5e4, []],
    ['200 µs later', (number) => asked(number) + 2e5, ['delay median']],
    ['one in 50 is 2 ms late', (n) => asked(n) + (n % 50 === 0 ? 2e6 : 0), ['delay p99']],
    ['one in 100 is lost', (number) => (number % 100 === 0 ? undefined : asked(number)), ['loss']],
    ['the flood comes 3 % slower', (n) => asked(n) + Math.max(0, n - 1000) * 0.024e6, ['rate']],
    ['nothing of the flood comes', (n) => (n < 1000 ? asked(n) : undefined), ['rate']],
  ])('%s', (_, achieved, failed) => {
    const made = checks(seen(passage(asked))!, seen(passage(achieved))!);
    expect(made.map(({ what }) => what)).toEqual(['delay median', 'delay p99', 'jitter', 'loss', 'rate']);
    expect(made.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual(failed);
  });

  test('of nothing that came out there is none', () => {
    expect(seen(passage(() => undefined))).toBeUndefined();
  });
});

describe('the probes', () => {
  test('have numbers; one that was hit by a bit error is none', () => {
    const frame = probe(70_000, 60);
    expect(probeNumber(frame)).toBe(70_000);
    frame[16]! ^= 4;
    expect(probeNumber(frame)).toBeUndefined();
    expect(probeNumber(frame.subarray(0, 20))).toBeUndefined();
  });

  test.each([
    [0, 0],
    [20e6, 25e6],
    [100e6, 125e6],
    [101e6, 0],
  ])('a link of %d bit/s is flooded with %d bit/s', (rateBitsPerSecond, flooded) => {
    const { atNs, bytes, flood } = planOf({ ...CLEAR_LINK, rateBitsPerSecond }, 1500, 2);
    const bits = bytes.slice(flood).reduce((sum, each) => sum + 8 * each, 0);
    expect(flood).toBe(400);
    expect(bits).toBeCloseTo(flooded, -5);
    expect(atNs).toEqual([...atNs].sort((a, b) => a - b));
  });

  test('of a slow link do not wait for each other, and fit its MTU', () => {
    const { atNs, bytes, flood } = planOf({ ...CLEAR_LINK, rateBitsPerSecond: 9600 }, 576, 2);
    expect(atNs[1]! - atNs[0]!).toBe(200e6);
    expect(new Set(bytes.slice(flood))).toEqual(new Set([576]));
  });
});

describe('a lab', () => {
  test('is measured on links of its own: what it loses is what it was to lose, to the probe', () => {
    const folder = mkdtempSync(join(tmpdir(), 'taplab-verify-'));
    try {
      const file = join(folder, 'lab.yaml');
      writeFileSync(
        file,
        `name: verified
nodes:
  a: { interfaces: { eth0: {} } }
  b: { interfaces: { eth0: {} } }
links:
  - { name: wan, endpoints: [a:eth0, b:eth0], forward: delay 5ms loss 10%, reverse: loss 100% }
`,
      );
      // Its threads run what is compiled.
      const args = [distPath('src/cli/main.js'), 'verify', file, '--seconds', '1', '--json'];
      const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
      const { ok, directions } = JSON.parse(stdout);
      const [forward, reverse] = directions;
      const loss = forward.checks.find(({ what }: { what: string }) => what === 'loss');
      const median = forward.checks.find(({ what }: { what: string }) => what === 'delay median');
      expect(forward).toMatchObject({ link: 'wan', direction: 'forward', from: 'a:eth0', probes: 200 });
      expect(loss.requested).toBeGreaterThan(0);
      expect(loss.achieved).toBe(loss.requested);
      expect(median.requested).toBe(5e6);
      expect(median.achieved).toBeGreaterThanOrEqual(5e6);
      expect(reverse).toMatchObject({ ok: true, note: 'nothing came out, and nothing was to' });
      expect(status).toBe(ok ? 0 : 1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('that is not there', async () => {
    const { status, err } = await taplab('verify', 'nowhere.yaml');
    expect([status, err]).toEqual([1, 'taplab: lab file nowhere.yaml does not exist\n']);
  });
});
