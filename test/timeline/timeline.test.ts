/** Timelines: what a file may say, and that links change at just these times. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { LabRun, type RunLog } from '../../src/daemon/lab-run.ts';
import type { Lab } from '../../src/lab/model.ts';
import { LabFileError, parseLab } from '../../src/lab/parse.ts';
import { parseTimeline } from '../../src/timeline/file.ts';
import { momentsOf } from '../../src/timeline/moments.ts';
import { play } from '../../src/timeline/play.ts';
import { type Fixture, startFixture } from '../control/fixture.ts';
import { frameNumber, numberedFrame } from '../helpers/lab.ts';
import { cli } from '../helpers/real.ts';

const LAB = `name: x
device: memory
nodes: { a: { interfaces: { e: } }, b: { interfaces: { e: } } }
links: [{ endpoints: [a:e, b:e], impair: delay 1ms }]
`;

function errorsOf(parse: () => unknown): string[] {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof LabFileError)) throw error;
    return error.errors.map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
  return [];
}

describe('a timeline that cannot be used is refused with the place', () => {
  test.each<[step: string, expected: string]>([
    ['{ at: 1s, link: a-c, clear }', '2:21: there is no link "a-c"; did you mean "a-b"?'],
    ['{ at: 1s, link: [a-b, zz], clear }', '2:27: there is no link "zz"; there are a-b'],
    ['{ at: 10, link: a-b, clear }', '2:11: 10: needs a unit, as 10s'],
    ['{ at: soon, link: a-b, clear }', '2:11: "soon": expected a time such as 20ms'],
    ['{ at: -1s, link: a-b, clear }', '2:11: "-1s": must not be negative'],
    ['{ link: a-b, clear }', '2:5: missing key "at"'],
    ['{ at: 1s, link: a-b }', '2:5: nothing changes here: give set, forward, reverse or clear'],
    ['{ at: 1s, link: a-b, set: loss 1%, clear }', '2:5: give either clear or set'],
    ['{ at: 1s, link: a-b, sett: loss 1% }', '2:26: unknown key "sett"; did you mean "set"?'],
    ['{ at: 1s, link: a-b, set: dealy 2ms }', '2:31: "dealy": expected one of'],
    ['{ at: 1s, link: a-b, forward: { loss: 200% } }', '2:43: loss "200%": '],
    [
      '{ at: 1s, link: a-b, clear }\n  - { at: 1000ms, link: a-b, clear }',
      '3:25: link "a-b" is changed twice at 1s',
    ],
  ])('%s', (step, expected) => {
    const text = `timeline:\n  - ${step}\n`;
    const own = errorsOf(() => parseTimeline(text, 'f', ['a-b']));
    expect(own).toContainEqual(expect.stringContaining(expected));
    const within = errorsOf(() => parseLab(LAB + text, { file: 'f', baseDirectory: '/' }));
    const moved = expected.replace(/^\d+/, (line) => String(Number(line) + 4));
    expect(within).toContainEqual(expect.stringContaining(moved));
  });

  test.each([
    ['timeline: []', '1:1: timeline: expected at least 1 entry'],
    ['{}', '1:1: missing key "timeline"'],
    ['timeline: [{ at: 2s, link: a-b, clear }]\nlength: 1s', '2:9: length: the last step is later than this'],
    ['timeline: [', '1:12: not valid YAML'],
  ])('%j', (text, expected) => {
    const [first] = errorsOf(() => parseTimeline(text, 'f', ['a-b']));
    expect(first!.startsWith(expected)).toBe(true);
  });
});

test('a lab changes its links at the moments of its timeline, exactly, on the virtual clock', async () => {
  const lab = parseLab(
    `${LAB}timeline:
  - { at: 30ms, link: a-b, clear }
  - { at: 10ms, link: a-b, set: delay 4ms, reverse: delay 2ms }
  - { at: 20ms, link: [a-b], forward: { loss: 100% } }
`,
    { file: 'f', baseDirectory: '/' },
  );
  const told: string[] = [];
  const say = (details: object, message: string): void =>
    void told.push(`${JSON.stringify(details)} ${message}`);
  const log: RunLog = { info: say, warn: say, error: say };
  const run = await LabRun.up(lab, { log, onFailure: () => {} });
  try {
    const { emulator } = run;
    const arrived: string[] = [];
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      emulator.memoryDevice(`${to}:e`).onFrame = (frame) => {
        const sentMs = frameNumber(frame);
        arrived.push(`${from}${sentMs} ${emulator.clock.nowNs() / 1e6 - sentMs}`);
      };
      for (const ms of [9, 10, 11, 19, 21, 31]) {
        emulator.clock.at(ms * 1e6, () => emulator.memoryDevice(`${from}:e`).send(numberedFrame(ms)));
      }
    }
    await emulator.run();
    const of = (node: string): string[] => arrived.filter((each) => each.startsWith(node));
    // What comes at the moment of a change meets the new settings: it was registered before.
    expect(of('a')).toEqual(['a9 1', 'a10 4', 'a11 4', 'a19 4', 'a31 0']);
    expect(of('b')).toEqual(['b9 1', 'b10 2', 'b11 2', 'b19 2', 'b21 2', 'b31 0']);
    expect(told).toEqual(
      [10, 20, 30].map((atMs) => `{"atMs":${atMs},"links":["a-b"]} timeline: links changed`),
    );
  } finally {
    await run.down();
  }
});

test('a timeline that is read again: what is over is not done again, what was to come is what it says now', async () => {
  const withSteps = (steps: string): Lab =>
    parseLab(`${LAB}timeline:\n${steps}`, { file: 'f', baseDirectory: '/' });
  const told: string[] = [];
  const say = (details: object, message: string): void =>
    void told.push(`${JSON.stringify(details)} ${message}`);
  const before = withSteps(`  - { at: 0s, link: a-b, set: delay 1ms }
  - { at: 10ms, link: a-b, set: delay 2ms }
  - { at: 30ms, link: a-b, set: delay 3ms }
`);
  const after = withSteps(`  - { at: 5ms, link: a-b, set: delay 9ms }
  - { at: 10ms, link: a-b, set: delay 2ms }
  - { at: 25ms, link: a-b, set: delay 4ms }
  - { at: 40ms, link: a-b, clear }
`);
  const run = await LabRun.up(before, { log: { info: say, warn: say, error: say }, onFailure: () => {} });
  try {
    await run.emulator.run(20e6);
    expect(await run.apply(after, () => {})).toEqual(['replaced the timeline, of which 2 steps are to come']);
    expect(await run.apply(after, () => {})).toEqual([]);
    await run.emulator.run();
    expect(told).toEqual(
      [0, 10, 25, 40].map((atMs) => `{"atMs":${atMs},"links":["a-b"]} timeline: links changed`),
    );
  } finally {
    await run.down();
  }
});

describe('playing in real time', () => {
  const moments = momentsOf([{ atNs: 40e6 }, { atNs: 0 }, { atNs: 20e6 }, { atNs: 40e6 }]);

  test('is in the order of time, never early, and ends between two moments', async () => {
    const over = new AbortController();
    const played: [number, number, boolean][] = [];
    await play(moments, {
      speed: 2,
      turnNs: 50e6,
      signal: over.signal,
      onMoment: ({ atNs, steps }, lateMs) => {
        played.push([atNs / 1e6, steps.length, lateMs > -1]);
        if (played.length === 5) over.abort();
      },
    });
    expect(played).toEqual([
      [0, 1, true],
      [20, 1, true],
      [40, 2, true],
      [0, 1, true],
      [20, 1, true],
    ]);
  });
});

describe('taplab play', () => {
  let fixture: Fixture;
  const folder = mkdtempSync(join(tmpdir(), 'taplab-timeline-'));
  const file = join(folder, 'evening.yaml');

  beforeAll(async () => {
    fixture = await startFixture();
  });

  afterAll(async () => {
    await fixture.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function taplab(...args: string[]): Promise<{ status: number; out: string; err: string }> {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
    const status = await runCli(['--socket', fixture.socketPath, ...args], new Terminal(out, err));
    return { status, out: text(out), err: text(err) };
  }

  const TIMELINE = `timeline:
  - { at: 0s, link: wan, set: delay 20ms }
  - { at: 100ms, link: wan, forward: { loss: 5% } }
  - { at: 200ms, link: wan, clear }
`;

  test('prints what each moment changes, as lines or as JSON', async () => {
    writeFileSync(file, TIMELINE);
    const { status, out } = await taplab('play', file, '--speed', '10');
    const [there, back] = ['wan client:eth0 > server:eth0:', 'wan server:eth0 > client:eth0:'];
    expect([status, out.trimEnd().split('\n')]).toEqual([
      0,
      [
        `0ms ${there} clear → delay 20ms`,
        `0ms ${back} clear → delay 20ms`,
        `100ms ${there} delay 20ms → delay 20ms loss 5%`,
        `100ms ${back} delay 20ms → delay 20ms`,
        `200ms ${there} delay 20ms loss 5% → clear`,
        `200ms ${back} delay 20ms → clear`,
      ],
    ]);
    const json = await taplab('play', file, '--speed', '10', '--json');
    const objects = json.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { atMs: number });
    expect(objects.map(({ atMs }) => atMs)).toEqual([0, 100, 200]);
    expect(objects[1]).toMatchObject({ links: [{ after: { forward: { settings: { loss: 0.05 } } } }] });
  });

  test('says where a timeline is wrong, and changes nothing', async () => {
    writeFileSync(file, `${TIMELINE}  - { at: 1s, link: van, clear }\n`);
    const { status, err } = await taplab('play', file);
    expect([status, err]).toEqual([1, `${file}:5:21: there is no link "van"; did you mean "wan"?\n`]);
    writeFileSync(file, 'timeline: [{ at: 0s, link: wan, set: delay 20ms }]');
    expect(await taplab('play', file, '--loop')).toMatchObject({
      status: 2,
      err: expect.stringContaining('length'),
    });
    expect(await taplab('play', file, '--speed', '0')).toMatchObject({ status: 2 });
    expect(fixture.emulator.link('wan')!.forward.settings.delayNs).toBe(0);
  });

  test('goes round until it is interrupted', async () => {
    writeFileSync(file, `${TIMELINE}length: 300ms\n`);
    const args = [cli, '--socket', fixture.socketPath, 'play', file, '--loop', '--json'];
    const player = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    player.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.split('\n').length > 5) player.kill('SIGINT');
    });
    const [status] = await once(player, 'exit');
    expect(status).toBe(130);
    const times = text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { atMs: number }).atMs);
    expect(times.slice(0, 5)).toEqual([0, 100, 200, 0, 100]);
  });
});
