/** What comes out of a replay: the right frames at the right times, and always the same bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packetsOf, pcap, pcapng, RAW, taplab, udpPacket } from '../cli/filter-helper.ts';
import { distPath } from '../helpers/dist.ts';
import { frameNumber, numberedFrame } from '../helpers/lab.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab-replay-'));
  writeFileSync(join(folder, 'clear.yaml'), lab('delay 20ms'));
  writeFileSync(join(folder, 'rough.yaml'), lab(ROUGH));
  writeFileSync(join(folder, 'a.pcap'), pcap(1, frames(500, 0)));
  writeFileSync(
    join(folder, 'b.pcapng'),
    pcapng(
      [1],
      frames(300, 1000).map((each) => ({ ...each, interfaceId: 0 })),
    ),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every impairment that draws random numbers or keeps frames. */
const ROUGH =
  'delay 10ms 3ms 20% distribution normal loss 5% 10% duplicate 4% corrupt 3% reorder 5% rate 20mbit limit 20kb';

function lab(impair: string): string {
  return `name: replayed
seed: 7
nodes:
  a: { interfaces: { eth0: {} } }
  b: { interfaces: { eth0: { mtu: 1400 } } }
links:
  - { name: ab, endpoints: [a:eth0, b:eth0], impair: ${impair} }
`;
}

/** Frames a millisecond apart, numbered from `start`. */
function frames(count: number, start: number): { bytes: Uint8Array; seconds: number; nanoseconds: number }[] {
  return Array.from({ length: count }, (_, i) => ({
    bytes: numberedFrame(start + i, 60 + ((i * 37) % 1300)),
    seconds: 1_700_000_000 + Math.floor((999_000_000 + i * 1e6) / 1e9),
    nanoseconds: (999_000_000 + i * 1e6) % 1e9,
  }));
}

const path = (name: string): string => join(folder, name);

function replayArguments(labFile: string, out: string, ...more: string[]): string[] {
  const inputs = ['--in', `a:eth0=${path('a.pcap')}`, '--in', `b:eth0=${path('b.pcapng')}`];
  return ['replay', path(labFile), ...inputs, '--out', out, ...more];
}

/** SHA-256 of every file of a folder. */
function hashes(directory: string): Record<string, string> {
  const hash = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex');
  return Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [name, hash(name)]),
  );
}

describe('what leaves the lab', () => {
  test('is what entered at the other end, later by the delay, in the time of the inputs', async () => {
    const { status, err } = await taplab(...replayArguments('clear.yaml', path('clear')));
    expect([status, err]).toEqual([
      0,
      `a:eth0: 500 frames entered\nb:eth0: 300 frames entered\n${path('clear')}/a.eth0.pcap: 300 frames left\n${path('clear')}/b.eth0.pcap: 500 frames left\n`,
    ]);
    const left = packetsOf(readFileSync(path('clear/b.eth0.pcap')));
    const stampsNs = left.map(({ seconds, nanoseconds }) => (seconds - 1_700_000_000) * 1e9 + nanoseconds);
    expect(left.map(({ bytes }) => frameNumber(bytes))).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(stampsNs).toEqual(Array.from({ length: 500 }, (_, i) => 1_019_000_000 + i * 1e6));
  });

  test('is the same in the other order of inputs', async () => {
    const inputs = ['--in', `b:eth0=${path('b.pcapng')}`, '--in', `a:eth0=${path('a.pcap')}`];
    const { status } = await taplab('replay', path('rough.yaml'), ...inputs, '--out', path('turned'));
    expect(status).toBe(0);
    await taplab(...replayArguments('rough.yaml', path('straight')));
    expect(hashes(path('turned'))).toEqual(hashes(path('straight')));
  });

  test('another seed changes it', async () => {
    writeFileSync(path('seed8.yaml'), lab(ROUGH).replace('seed: 7', 'seed: 8'));
    await taplab(...replayArguments('seed8.yaml', path('seed8')));
    await taplab(...replayArguments('rough.yaml', path('seed7')));
    expect(hashes(path('seed8'))).not.toEqual(hashes(path('seed7')));
  });

  /** Changes of what links do, or of their random numbers, change these: then say so in CHANGELOG.md. */
  test('has these hashes', async () => {
    const { status } = await taplab(
      ...replayArguments('rough.yaml', path('golden'), '--record', path('golden/decisions.jsonl')),
    );
    expect(status).toBe(0);
    expect(hashes(path('golden'))).toMatchInlineSnapshot(`
      {
        "a.eth0.pcap": "80c31398a9ea4997702b2860f645f568a137afc8d37b29fb65634b0b5b6918fa",
        "b.eth0.pcap": "d9994424b289bca93136367cebc0f121e9b1349dd954ac898d317764e4ec2d01",
        "decisions.jsonl": "a4bcd9b5573afba67db9fefb2612ab64a1bf961339bba05b16e4420ffd93e88b",
      }
    `);
  });

  test('is the same for another locale, time zone and folder, several at a time', async () => {
    await taplab(...replayArguments('rough.yaml', path('here'), '--record', path('here/decisions.jsonl')));
    const surroundings = [
      { LC_ALL: 'de_DE.UTF-8', TZ: 'Asia/Kathmandu' },
      { LC_ALL: 'C', TZ: 'America/St_Johns' },
      { LANG: 'tr_TR.UTF-8', TZ: 'UTC' },
    ];
    const runs = surroundings.map((env, i) => {
      const out = path(`there${i}`);
      const args = replayArguments('rough.yaml', out, '--record', join(out, 'decisions.jsonl'));
      // One of them without the optimising compiler: it computes the same.
      const engine = i === 1 ? ['--no-opt'] : [];
      return spawn(process.execPath, [...engine, distPath('src/cli/main.js'), ...args], {
        cwd: i === 0 ? '/' : folder,
        env: { ...process.env, ...env },
        stdio: 'ignore',
      });
    });
    expect(await Promise.all(runs.map(exitStatus))).toEqual([0, 0, 0]);
    for (const [i] of runs.entries()) expect(hashes(path(`there${i}`))).toEqual(hashes(path('here')));
  });
});

async function exitStatus(child: ChildProcess): Promise<number | null> {
  const [status] = (await once(child, 'exit')) as [number | null];
  return status;
}

describe('of a tun interface', () => {
  const tunLab = `name: raw
device: tun
nodes:
  a: { interfaces: { tun0: {} } }
  b: { interfaces: { tun0: { mtu: 1400 } } }
links:
  - { name: ab, endpoints: [a:tun0, b:tun0], impair: { delay: 5ms, rules: [{ match: udp port 53, verdict: drop }] } }
`;

  test('packets without a link header enter and leave, and filters see them so', async () => {
    writeFileSync(path('tun.yaml'), tunLab);
    const packets = [53, 80, 53, 443].map((port, i) => ({ bytes: udpPacket(port), nanoseconds: i * 1e6 }));
    writeFileSync(path('raw-in.pcap'), pcap(RAW, packets));
    const inputs = ['--in', `a:tun0=${path('raw-in.pcap')}`];
    const { status, out } = await taplab(
      ...['replay', path('tun.yaml'), ...inputs, '--out', path('tun'), '--json'],
    );
    expect(status).toBe(0);
    const left = readFileSync(path('tun/b.tun0.pcap'));
    expect(left.readUInt32LE(20)).toBe(RAW);
    expect(packetsOf(left).map(({ bytes }) => Buffer.from(bytes))).toEqual(
      [80, 443].map((port) => Buffer.from(udpPacket(port))),
    );
    expect(JSON.parse(out.toString()).links[0].forward.drops.filter).toBe(2);
  });

  test('a capture of Ethernet frames does not fit', async () => {
    writeFileSync(path('tun.yaml'), tunLab);
    const { status, err } = await taplab(
      ...['replay', path('tun.yaml'), '--in', `a:tun0=${path('a.pcap')}`, '--out', path('refused')],
    );
    expect(status).toBe(1);
    expect(err).toMatch(/its link type is 1, and the frames of a:tun0 are raw IP \(101, 228, 229\)/);
  });
});

describe('the decision log', () => {
  type Decision = {
    readonly timeNs: number;
    readonly link: string;
    readonly direction: string;
    readonly frame: number;
    readonly event: string;
    readonly reason?: string;
    readonly delayNs?: number;
    readonly changed?: true;
  };

  test('has an end for every frame, and adds up to the counters of the links', async () => {
    const { out } = await taplab(
      ...replayArguments('rough.yaml', path('log'), '--record', path('log.jsonl'), '--json'),
    );
    const { links } = JSON.parse(out.toString());
    const lines = readFileSync(path('log.jsonl'), 'utf8').trimEnd().split('\n');
    const decisions = lines.map((line): Decision => JSON.parse(line));
    for (const direction of ['forward', 'reverse']) {
      const own = decisions.filter((each) => each.link === 'ab' && each.direction === direction);
      const of = (event: string): Decision[] => own.filter((each) => each.event === event);
      const counted = links[0][direction];
      expect(of('offered').length).toBe(counted.offered.frames);
      expect(of('duplicated').length).toBe(counted.duplicated);
      expect(of('delivered').length).toBe(counted.delivered.frames);
      for (const [reason, drops] of Object.entries(counted.drops)) {
        expect(of('dropped').filter((each) => each.reason === reason).length, reason).toBe(drops);
      }
      const begun = [...of('offered'), ...of('duplicated')].map(({ frame }) => frame);
      const ended = [...of('delivered'), ...of('dropped')].map(({ frame }) => frame);
      expect(ended.sort((a, b) => a - b)).toEqual(begun.sort((a, b) => a - b));
    }
    expect(decisions.some(({ reason }) => reason === 'loss')).toBe(true);
    expect(decisions.some(({ changed }) => changed)).toBe(true);
    expect(decisions.map(({ timeNs }) => timeNs)).toEqual(
      decisions.map((each) => each.timeNs).sort((a, b) => a - b),
    );
  });

  test('says the delay that each frame was given', async () => {
    await taplab(...replayArguments('clear.yaml', path('delays'), '--record', path('delays.jsonl')));
    const lines = readFileSync(path('delays.jsonl'), 'utf8').trimEnd().split('\n');
    const delivered = lines
      .map((line): Decision => JSON.parse(line))
      .filter(({ event }) => event === 'delivered');
    expect(new Set(delivered.map(({ delayNs }) => delayNs))).toEqual(new Set([20_000_000]));
    expect(delivered.length).toBe(800);
  });
});

describe('inputs', () => {
  test('frames captured in part and stamped backwards enter all the same, and are counted', async () => {
    const [one, two] = frames(2, 0);
    writeFileSync(path('odd.pcap'), pcap(1, [two!, { ...one!, wireLength: 1000 }]));
    const { status, out } = await taplab(
      ...['replay', path('clear.yaml'), '--in', `a:eth0=${path('odd.pcap')}`, '--out', path('odd'), '--json'],
    );
    expect(status).toBe(0);
    const { inputs, outputs, durationNs } = JSON.parse(out.toString());
    expect(inputs).toMatchObject([{ frames: 2, cutShort: 1, backwards: 1 }]);
    expect(outputs[1]).toMatchObject({ interface: 'b:eth0', frames: 2 });
    expect(durationNs).toBe(20_000_000);
  });

  test.each<[string, (name: string) => void, RegExp]>([
    ['missing.pcap', () => {}, /capture .*missing\.pcap for a:eth0: it does not exist/],
    ['.', () => {}, /it is a folder/],
    [
      'text.pcap',
      (name) => writeFileSync(path(name), 'no capture'),
      /at byte 0: the file is neither pcap nor pcapng/,
    ],
    [
      'raw.pcap',
      (name) => writeFileSync(path(name), pcap(RAW, [{ bytes: udpPacket(53) }])),
      /its link type is 101, and the frames of a:eth0 are Ethernet/,
    ],
    ['cut.pcap', (name) => writeFileSync(path(name), pcap(1, frames(3, 0)).subarray(0, 200)), /cut short/],
  ])('%s is refused: what is wrong, and where', async (name, make, expected) => {
    make(name);
    const { status, err } = await taplab(
      ...['replay', path('clear.yaml'), '--in', `a:eth0=${path(name)}`, '--out', path('refused')],
    );
    expect(status).toBe(1);
    expect(err).toMatch(expected);
  });

  test('an interface that the lab does not have', async () => {
    const { status, err } = await taplab(
      ...['replay', path('clear.yaml'), '--in', `a:eth1=${path('a.pcap')}`, '--out', path('nobody')],
    );
    expect([status, err]).toEqual([
      1,
      'taplab: lab replayed has no interface a:eth1; did you mean "a:eth0"?\n',
    ]);
    expect(existsSync(path('nobody'))).toBe(false);
  });

  test('are never written over', async () => {
    copyFileSync(path('a.pcap'), path('b.eth0.pcap'));
    const before = readFileSync(path('b.eth0.pcap'));
    const { status, err } = await taplab(
      ...['replay', path('clear.yaml'), '--in', `a:eth0=${path('b.eth0.pcap')}`, '--out', folder],
    );
    expect(status).toBe(1);
    expect(err).toMatch(/b\.eth0\.pcap is the input of a:eth0; write elsewhere/);
    expect(readFileSync(path('b.eth0.pcap'))).toEqual(before);
  });

  test.each([
    [['--in', 'a:eth0', '--out', 'x'], /Expected NODE:INTERFACE=FILE/],
    [['--in', 'a:eth0=x', '--in', 'a:eth0=y', '--out', 'x'], /There is an input for a:eth0 already/],
    [['--out', 'x'], /required option '--in/],
  ])('%j is a usage error', async (args, expected) => {
    const { status, err } = await taplab('replay', path('clear.yaml'), ...args);
    expect(status).toBe(2);
    expect(err).toMatch(expected);
  });
});
