/** taplab verify: what is compared, and what is said of it. Times are only judged on made-up passages. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CLEAR_LINK } from '../../src/link/settings.ts';
import { type Passage, seen } from '../../src/verify/passage.ts';
import { type Plan, plansOf } from '../../src/verify/plan.ts';
import { probe, probeNumber } from '../../src/verify/probe.ts';
import { type Check, checks, worst } from '../../src/verify/verdict.ts';
import type { DirectionVerdict } from '../../src/verify/verify.ts';
import { taplab } from '../cli/filter-helper.ts';
import { distPath } from '../helpers/dist.ts';

/** A thousand probes far apart, then as many in a flood of 10 Mbit/s. */
function passage(delayNs: (number: number) => number | undefined, copies: readonly number[] = []): Passage {
  const enteredNs = Array.from({ length: 2000 }, (_, i) => (i < 1000 ? i * 5e6 : 5e9 + (i - 1000) * 0.8e6));
  const exits = enteredNs.flatMap((timeNs, number) => {
    const delay = delayNs(number);
    return delay === undefined ? [] : [{ number, timeNs: timeNs + delay }];
  });
  for (const number of copies) exits.push({ number, timeNs: enteredNs[number]! + asked(number) });
  exits.sort((a, b) => a.timeNs - b.timeNs);
  return { enteredNs, exits, bytes: enteredNs.map(() => 1000), flood: 1000 };
}

const asked = (number: number): number => 5e6 + (number % 10) * 1e5;
const RUNS = [seen(passage(asked))!, seen(passage(asked))!, seen(passage(asked))!];
const WHATS = ['delay median', 'delay p99', 'jitter', 'loss', 'duplication', 'reordering', 'rate'];

describe('the verdict', () => {
  test.each<[string, Passage, string[]]>([
    ['the same', passage(asked), []],
    ['100 µs later', passage((number) => asked(number) + 1e5), []],
    ['400 µs later', passage((number) => asked(number) + 4e5), ['delay median']],
    ['one in 50 is 2 ms late', passage((n) => asked(n) + (n % 50 === 0 ? 2e6 : 0)), ['delay p99']],
    ['one in 100 is lost', passage((number) => (number % 100 === 0 ? undefined : asked(number))), ['loss']],
    ['five come twice', passage(asked, [1, 2, 3, 4, 5]), ['duplication']],
    [
      'one in 100 is overtaken',
      passage((n) => asked(n) + (n % 100 === 0 && n < 1000 ? 6e6 : 0)),
      ['delay p99', 'jitter', 'reordering'],
    ],
    ['the flood comes 3 % slower', passage((n) => asked(n) + Math.max(0, n - 1000) * 0.024e6), ['rate']],
    ['nothing of the flood comes', passage((n) => (n < 1000 ? asked(n) : undefined)), ['rate']],
  ])('%s', (_, achieved, failed) => {
    const made = checks(RUNS, seen(achieved)!, 1000);
    expect(made.map(({ what }) => what)).toEqual(WHATS);
    expect(made.filter(({ verdict }) => verdict === 'failed').map(({ what }) => what)).toEqual(failed);
    expect(worst(made)).toBe(failed.length === 0 ? 'ok' : 'failed');
  });

  test('what the runs themselves differ in is tolerated', () => {
    const lossy = (every: number): Passage => passage((n) => (n % every === 0 ? undefined : asked(n)));
    const runs = [90, 100, 110, 120].map((every) => seen(lossy(every))!);
    const verdictOf = (every: number): string | undefined =>
      checks(runs, seen(lossy(every))!, 1000).find(({ what }) => what === 'loss')?.verdict;
    expect([verdictOf(80), verdictOf(20)]).toEqual(['ok', 'failed']);
  });

  test('of nothing that entered there is none; that nothing came out is a loss', () => {
    expect(seen({ ...passage(asked), enteredNs: [] })).toBeUndefined();
    const [loss, ...rest] = checks(RUNS, seen(passage(() => undefined))!, 1000);
    expect(loss).toMatchObject({ what: 'loss', requested: 0, achieved: 1, verdict: 'failed' });
    expect(rest.map(({ what }) => what)).toEqual(['duplication', 'reordering', 'rate']);
  });
});

describe('the probes', () => {
  test.each(['ethernet', 'raw'] as const)('%s: have numbers; hit by a bit error they are none', (kind) => {
    const frame = probe(kind, 3, 70_000, 60);
    expect(probeNumber(kind, 3, frame)).toBe(70_000);
    expect(probeNumber(kind, 2, frame)).toBeUndefined();
    expect(probeNumber(kind, 3, frame.subarray(0, 20))).toBeUndefined();
    frame[25]! ^= 4;
    expect(probeNumber(kind, 3, frame)).toBeUndefined();
  });

  const plan = (rates: readonly number[], mtu = 1500, floods = true): Plan[] =>
    plansOf(
      rates.map((rateBitsPerSecond) => ({ settings: { ...CLEAR_LINK, rateBitsPerSecond }, mtu })),
      { seconds: 2, floods },
    );

  test.each([
    [0, 0],
    [20e6, 25e6],
    [100e6, 125e6],
    [101e6, 0],
  ])('a link of %d bit/s is flooded with %d bit/s', (rateBitsPerSecond, flooded) => {
    const [{ atNs, bytes, flood }] = plan([rateBitsPerSecond]) as [Plan];
    const bits = bytes.slice(flood).reduce((sum, each) => sum + 8 * each, 0);
    expect(flood).toBe(400);
    expect(bits / 0.3).toBeCloseTo(flooded, -5);
    expect(atNs).toEqual([...atNs].sort((a, b) => a - b));
    expect(plan([rateBitsPerSecond], 1500, false)[0]!.bytes.length).toBe(400);
  });

  test('fill no more links at a time than the machine may be asked to', () => {
    const starts = plan([60e6, 30e6, 20e6]).map(({ atNs, flood }) => atNs[flood]!);
    expect(starts[1]).toBe(starts[0]);
    expect(starts[2]! - starts[0]!).toBeCloseTo(0.3e9, -6);
  });

  test('of a slow link do not wait for each other, and fit its MTU', () => {
    const [{ atNs, bytes, flood }] = plan([9600], 576) as [Plan];
    expect(atNs[1]! - atNs[0]!).toBe(200e6);
    expect(new Set(bytes.slice(flood))).toEqual(new Set([576]));
    expect(atNs.at(-1)! - atNs[flood]!).toBeLessThan(5e9);
  });

  test('are fewer each when there are many directions', () => {
    const all = plan(Array.from({ length: 1000 }, () => 0));
    expect(all.reduce((sum, { atNs }) => sum + atNs.length, 0)).toBeLessThanOrEqual(20_000);
  });
});

describe('a lab', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-verify-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('on sockets: what its links lose and delay, and what varies is not judged', () => {
    const file = join(folder, 'lab.yaml');
    writeFileSync(
      file,
      `name: verified
nodes:
  a: { interfaces: { eth0: {}, eth1: {} } }
  b: { interfaces: { eth0: {}, eth1: {} } }
links:
  - { name: wan, endpoints: [a:eth0, b:eth0], forward: delay 5ms loss 10%, reverse: loss 100% }
  - { name: flaps, endpoints: [a:eth1, b:eth1], impair: flap 100ms 100ms }
`,
    );
    // Its threads run what is compiled.
    const args = [distPath('src/cli/main.js'), 'verify', file, '--sockets', '--seconds', '1', '--json'];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
    const { directions } = JSON.parse(stdout) as { directions: DirectionVerdict[] };
    const [forward, reverse, flaps] = directions as [DirectionVerdict, DirectionVerdict, DirectionVerdict];
    const check = (of: DirectionVerdict, what: string): Check | undefined =>
      of.checks.find((each) => each.what === what);
    expect(forward).toMatchObject({ link: 'wan', direction: 'forward', from: 'a:eth0', probes: 200 });
    expect(check(forward, 'loss')).toMatchObject({ verdict: 'ok' });
    expect(check(forward, 'loss')!.requested).toBeGreaterThan(0.05);
    expect(check(forward, 'delay median')!.requested).toBe(5e6);
    expect(check(forward, 'delay median')!.achieved).toBeGreaterThanOrEqual(5e6);
    expect(check(reverse, 'loss')).toMatchObject({ requested: 1, achieved: 1, verdict: 'ok' });
    expect(flaps.note).toContain('varies over time (flap)');
    expect(flaps.verdict).toBe('varies');
    const verdicts = directions.map(({ verdict }) => verdict);
    expect(status).toBe(verdicts.includes('failed') ? 1 : verdicts.includes('not measurable') ? 2 : 0);
  });

  test('that is not there', async () => {
    const { status, err } = await taplab('verify', 'nowhere.yaml');
    expect([status, err]).toEqual([1, 'taplab: lab file nowhere.yaml does not exist\n']);
  });
});
