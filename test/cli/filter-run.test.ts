/** `taplab filter run`: captures in, packets out. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openCaptureFile } from '../../src/capture/capture-file.ts';
import { runCli } from '../../src/cli/run.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import {
  EN10MB,
  type Outcome,
  packetsOf,
  pcap,
  pcapng,
  RAW,
  taplab,
  taplabOn,
  udpFrame,
  udpPacket,
} from './filter-helper.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab-filter-run-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

function file(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function run(...args: string[]): Promise<Outcome> {
  return taplab('filter', 'run', ...args);
}

const PORTS = [53, 80, 53, 443];
const frames = PORTS.map((port) => ({ bytes: udpFrame(port) }));
/** What packets of a pcap file say. */
const NO_INTERFACE = { interfaceId: undefined, interfaceName: undefined };
/** Interface 0 is Ethernet, 1 has no link header. */
const mixed = pcapng(
  [EN10MB, RAW],
  PORTS.map((port, i) =>
    i % 2 === 0
      ? { interfaceId: 0, bytes: udpFrame(port), direction: 'in' as const }
      : { interfaceId: 1, bytes: udpPacket(port), direction: 'out' as const },
  ),
);

describe('shows', () => {
  test('a line for each packet that matches on stdout, and the counts on stderr', async () => {
    const path = file('lines.pcap', pcap(EN10MB, frames));
    const { status, out, err } = await run('udp', 'port', '53', path);
    expect(status).toBe(0);
    const line = /^\d\d:\d\d:20\.123456 {8}46 {2}IP 198\.18\.0\.1\.40000 > 198\.18\.0\.2\.53: udp 4$/;
    const lines = out.toString().trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    for (const each of lines) expect(each).toMatch(line);
    expect(err).toBe(`${path}: 2 of 4 packets match, 92 of 184 bytes\n`);
  });

  test('the direction where the capture has it, whatever the link type', async () => {
    const { out } = await run('udp', file('mixed.pcapng', mixed));
    const words = out
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/).slice(1, 4).join(' '));
    expect(words).toEqual(['in 46 IP', 'out 32 IP', 'in 46 IP', 'out 32 IP']);
  });

  test.each<[string, number, number[]]>([
    ['NULL', 0, [2, 0, 0, 0]],
    ['LOOP', 108, [0, 0, 0, 2]],
    ['IPV4', 228, []],
    ['LINUX_SLL', 113, [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0]],
    ['LINUX_SLL2', 276, [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]],
  ])('what %s packets hold', async (_name, linkType, header) => {
    const bytes = Uint8Array.of(...header, ...udpPacket(53));
    const { out } = await run('udp port 53', file('other.pcap', pcap(linkType, [{ bytes }])));
    expect(out.toString()).toContain('IP 198.18.0.1.40000 > 198.18.0.2.53: udp 4\n');
  });

  test('a packet that is no IP by its link type', async () => {
    const bytes = Uint8Array.of(0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x88, 0xcc, 0, 0);
    const { out } = await run('', file('lldp.pcap', pcap(113, [{ bytes }, { bytes: bytes.subarray(0, 3) }])));
    expect(out.toString().match(/link type LINUX_SLL\n/g)).toHaveLength(2);
  });
});

describe('counts', () => {
  test('only the packets that match with --count', async () => {
    const { out, err } = await run('udp port 53', file('count.pcap', pcap(EN10MB, frames)), '--count');
    expect([out.toString(), err]).toEqual(['2\n', '']);
  });

  test.each(['wasm', 'interpreter'])('as JSON, by link type, with engine %s', async (engine) => {
    const path = file('json.pcapng', mixed);
    const { out, err } = await run('udp port 53 or udp port 80', path, '--json', '--engine', engine);
    expect(err).toBe('');
    expect(JSON.parse(out.toString())).toMatchObject({
      capture: path,
      format: 'pcapng',
      engine,
      packets: 4,
      bytes: 2 * 46 + 2 * 32,
      matchedPackets: 3,
      matchedBytes: 2 * 46 + 32,
      linkTypes: [
        { linkType: EN10MB, name: 'EN10MB', packets: 2, matchedPackets: 2 },
        { linkType: RAW, name: 'RAW', packets: 2, matchedPackets: 1 },
      ],
      output: null,
    });
  });

  test('packets by their length on the wire, of which less may have been captured', async () => {
    const path = file('cut-short.pcap', pcap(EN10MB, [{ bytes: udpFrame(53), wireLength: 1500 }]));
    expect((await run('greater 1500', path, '--count')).out.toString()).toBe('1\n');
    expect((await run('udp', path)).err).toContain('1,500 of 1,500 bytes');
  });
});

describe('knows of a packet beside its bytes', () => {
  const directed = pcapng(
    [EN10MB, EN10MB],
    PORTS.map((port, i) => ({
      interfaceId: i >> 1,
      bytes: udpFrame(port),
      direction: i % 2 === 0 ? ('in' as const) : ('out' as const),
    })),
  );
  const sll = (packetType: number): { bytes: Uint8Array } => ({
    bytes: Uint8Array.of(0, packetType, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0, ...udpPacket(53)),
  });
  const sll2 = (packetType: number, index: number): { bytes: Uint8Array } => ({
    bytes: Uint8Array.of(
      8,
      0,
      0,
      0,
      0,
      0,
      0,
      index,
      0,
      1,
      packetType,
      6,
      2,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      ...udpPacket(53),
    ),
  });

  test.each<[string, Uint8Array, string, number]>([
    ['the direction in pcapng', directed, 'inbound', 2],
    ['the direction in pcapng, with ports', directed, 'outbound and port 80', 1],
    ['the direction whatever the link type', mixed, 'inbound and port 53', 2],
    ['the interface by its place in the file', directed, 'ifindex 2', 2],
    ['no interface 0', directed, 'ifindex 0', 0],
    ['the direction in cooked headers', pcap(113, [sll(0), sll(4), sll(4)]), 'outbound', 2],
    ['the direction in cooked headers, version 2', pcap(276, [sll2(0, 3), sll2(4, 3)]), 'inbound', 1],
    ['the interface in cooked headers, version 2', pcap(276, [sll2(0, 3), sll2(0, 5)]), 'ifindex 5', 1],
  ])('%s', async (_, capture, expression, matched) => {
    const path = file('metadata', capture);
    for (const engine of ['wasm', 'interpreter']) {
      const { status, out, err } = await run(expression, path, '--count', '--engine', engine);
      expect([status, out.toString(), err]).toEqual([0, `${matched}\n`, '']);
    }
  });

  test('how it was received, for programs', async () => {
    // epb_flags of a broadcast and of a frame to another host, both inbound.
    const capture = pcapng(
      [EN10MB],
      [0, 1].map(() => ({ interfaceId: 0, bytes: udpFrame(53), direction: 'in' })),
    );
    const flags = capture.indexOf(Buffer.from([2, 0, 4, 0, 1, 0, 0, 0])) + 4;
    capture[flags] = 0b01101;
    const path = file('reception.pcapng', capture);
    const broadcast = file('broadcast.bpf', 'ld #pkttype\njeq #1, yes, no\nyes: ret #-1\nno: ret #0\n');
    expect((await run(broadcast, path, '--dialect', 'linux', '--count')).out.toString()).toBe('1\n');
  });

  test.each<[string, Uint8Array, string[], RegExp]>([
    [
      'a direction',
      pcap(EN10MB, frames),
      ['inbound'],
      /packet 1: the capture does not say in which direction/,
    ],
    [
      'a direction of a later packet',
      pcapng(
        [EN10MB],
        [
          { interfaceId: 0, bytes: udpFrame(53), direction: 'in' },
          { interfaceId: 0, bytes: udpFrame(53) },
        ],
      ),
      ['outbound'],
      /packet 2: the capture does not say in which direction/,
    ],
    [
      'an interface',
      pcap(EN10MB, frames),
      ['ifindex 1'],
      /packet 1: the capture does not say on which interface/,
    ],
    [
      'an interface of a cooked header that has none',
      pcap(113, [sll(0)]),
      ['ifindex 1'],
      /packet 1: the capture does not say on which interface/,
    ],
    [
      'an expression in a dialect without them',
      directed,
      ['--dialect', 'bsd', 'inbound'],
      /needs the metadata/,
    ],
  ])('but not %s that the capture does not state', async (_, capture, words, message) => {
    const { status, err } = await run(...words, file('unstated', capture));
    expect(status).toBe(1);
    expect(err).toMatch(message);
  });

  test('nor what no capture states', async () => {
    const program = file('mark.bpf', 'ld #mark\nret a\n');
    const { status, err } = await run(program, file('mark.pcap', pcap(EN10MB, frames)), '--dialect', 'linux');
    expect(status).toBe(1);
    expect(err).toMatch(/instruction 0 loads 'mark', which captures do not hold/);
  });
});

describe('writes', () => {
  test.each<[string, Uint8Array]>([
    ['from-pcap.pcap', pcap(EN10MB, frames)],
    ['from-pcap.pcapng', pcap(EN10MB, frames)],
    ['from-pcap.cap', pcap(EN10MB, frames)],
    ['from-pcap', pcap(EN10MB, frames)],
    [
      'from-pcapng.pcapng',
      pcapng(
        [EN10MB],
        frames.map((frame) => ({ ...frame, interfaceId: 0 })),
      ),
    ],
    [
      'from-pcapng.pcap',
      pcapng(
        [EN10MB],
        frames.map((frame) => ({ ...frame, interfaceId: 0 })),
      ),
    ],
  ])('%s with the packets that match, unchanged', async (name, input) => {
    const target = join(folder, name);
    const { status, out, err } = await run('udp port 53', file('input', input), '-w', target);
    expect([status, out.length]).toEqual([0, 0]);
    expect(err).toMatch(/2 of 4 packets match.*; written to /);
    const written = readFileSync(target);
    const isPcapng = written.readUInt32LE(0) === 0x0a0d0d0a;
    expect(isPcapng).toBe(name.endsWith('.pcapng'));
    const wanted = packetsOf(input).filter((_, i) => PORTS[i] === 53);
    const isFromPcap = name.startsWith('from-pcap.') || name === 'from-pcap';
    const from = isPcapng ? (isFromPcap ? { interfaceId: 0 } : {}) : NO_INTERFACE;
    expect(packetsOf(written)).toEqual(wanted.map((packet) => ({ ...packet, ...from })));
  });

  test('interfaces, directions and flags of a pcapng file as they were', async () => {
    const target = join(folder, 'interfaces.pcapng');
    await run('udp port 53 or udp port 80', file('mixed.pcapng', mixed), '-w', target);
    expect(packetsOf(readFileSync(target))).toEqual(packetsOf(mixed).slice(0, 3));
  });

  test('to stdout in the format of the input', async () => {
    for (const input of [pcap(EN10MB, frames), mixed]) {
      const { status, out } = await run('', file('stdout', input), '-w', '-');
      expect(status).toBe(0);
      expect(packetsOf(out)).toEqual(packetsOf(input));
      expect(out.readUInt32LE(0)).toBe(input.readUInt32LE(0));
    }
  });

  test.each([
    ['none.pcap', RAW],
    ['none.pcapng', RAW],
  ])('%s even when no packet matches, with the link type of the input', async (name, linkType) => {
    const target = join(folder, name);
    for (const packets of [[], [{ bytes: udpPacket(53) }]]) {
      const { status } = await run('udp port 1', file('raw.pcap', pcap(linkType, packets)), '-w', target);
      expect(status).toBe(0);
      const written = readFileSync(target);
      expect(packetsOf(written)).toEqual([]);
      const at = name.endsWith('.pcap') ? 20 : written.readUInt32LE(4) + 8;
      expect(written.readUInt16LE(at)).toBe(linkType);
    }
  });

  test('as much of a packet as the program keeps', async () => {
    const target = join(folder, 'kept.pcap');
    const program = file('keep.ddd', '1\n6 0 0 20\n');
    await run(program, file('keep.pcap', pcap(EN10MB, frames)), '-w', target);
    const kept = packetsOf(readFileSync(target));
    expect(kept.map(({ bytes, wireLength }) => [bytes.length, wireLength])).toEqual(
      PORTS.map(() => [20, 46]),
    );
  });

  test('packets with the time stamp to the nanosecond, up to the last second that fits', async () => {
    const packets = [0, 0xffffffff].map((seconds) => ({
      bytes: udpFrame(53),
      seconds,
      nanoseconds: 999_999_999,
    }));
    const input = pcap(EN10MB, packets);
    for (const name of ['late.pcap', 'late.pcapng']) {
      await run('', file('late', input), '-w', join(folder, name));
      const written = packetsOf(readFileSync(join(folder, name)));
      expect(written.map((packet) => ({ ...packet, ...NO_INTERFACE }))).toEqual(packetsOf(input));
    }
  });
});

describe('decides in batches', () => {
  test('packets larger than the memory for them, and many small ones, each by its own bytes', async () => {
    const large = (port: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(length);
      bytes.set(udpFrame(port));
      return bytes;
    };
    const packets = [
      { bytes: large(53, 3_000_000) },
      ...Array.from({ length: 9000 }, (_, i) => ({ bytes: udpFrame(i % 3 === 0 ? 53 : 80) })),
      { bytes: large(80, 2_000_000) },
      { bytes: large(53, 5_000_000) },
      { bytes: new Uint8Array(0) },
    ].map((packet) => ({ ...packet, interfaceId: 0 }));
    const target = join(folder, 'batches.pcapng');
    const input = pcapng([EN10MB], packets);
    expect((await run('udp port 53', file('batches', input), '-w', target)).status).toBe(0);
    const lengths = packetsOf(readFileSync(target)).map(({ bytes }) => bytes.length);
    // An expression keeps 262,144 bytes.
    expect(lengths).toEqual([262_144, ...new Array<number>(3000).fill(46), 262_144]);
  });
});

describe('a large capture', () => {
  const COUNT = 60_000;
  const large = (): Buffer => {
    const one = pcap(EN10MB, [{ bytes: udpFrame(53) }, { bytes: udpFrame(80) }]);
    return Buffer.concat([one.subarray(0, 24), ...Array.from({ length: COUNT / 2 }, () => one.subarray(24))]);
  };

  test('goes through in chunks, no packet lost or doubled', async () => {
    const path = file('large.pcap', large());
    expect(statSync(path).size).toBeGreaterThan(3 << 20);
    const target = join(folder, 'large.pcapng');
    expect((await run('udp port 53', path, '-w', target)).err).toContain('30,000 of 60,000 packets match');
    const { out } = await run('', target, '--count');
    expect(out.toString()).toBe('30000\n');
  });

  test('waits for a slow reader of stdout, and keeps no more than a chunk for it', async () => {
    let written = 0;
    let mostWaiting = 0;
    const out = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written += chunk.length;
        mostWaiting = Math.max(mostWaiting, out.writableLength);
        setTimeout(done, 20);
      },
    });
    const args = ['filter', 'run', '', file('large.pcap', large()), '-w', '-'];
    expect(await runCli(args, new Terminal(out, new PassThrough()))).toBe(0);
    expect(written).toBe(large().length);
    expect(mostWaiting).toBeLessThan(1.1 * (1 << 20));
  });

  test('shows progress where stderr is a terminal, and clears it', async () => {
    let nowMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      nowMs += 1000;
      return nowMs;
    });
    const path = file('large.pcap', large());
    const args = ['filter', 'run', 'udp port 53', path, '--count'];
    const { err } = await taplabOn({ err: true }, ...args);
    expect(stripVTControlCharacters(err)).toMatch(/large\.pcap: \d+ %, [\d,]+ of [\d,]+ packets match/);
    expect(err.endsWith('\r\u001b[K')).toBe(true);
    expect((await taplab(...args)).err).toBe('');
  });
});

describe('standard input', () => {
  test.each([1, 7, 4096])('is read as -, in chunks of %d bytes', async (size) => {
    const stdin = new PassThrough();
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
    const finished = run('udp port 53', '-', '-w', '-');
    for (let at = 0; at < mixed.length; at += size) stdin.write(mixed.subarray(at, at + size));
    stdin.end();
    const { status, out, err } = await finished;
    expect([status, err]).toEqual([0, 'standard input: 2 of 4 packets match, 92 of 156 bytes\n']);
    expect(packetsOf(out)).toHaveLength(2);
  });

  test('is refused when it is a terminal', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
    const { status, err } = await run('udp', '-');
    expect(status).toBe(1);
    expect(err).toMatch(/standard input is a terminal; pipe a capture into it/);
  });
});

describe('a capture that is damaged', () => {
  const whole = pcap(EN10MB, frames);
  const RECORD = 16 + 46;

  test('is filtered up to the damage, which is named with file and offset, and status 1', async () => {
    const path = file('damaged.pcap', whole.subarray(0, whole.length - 5));
    const target = join(folder, 'undamaged.pcap');
    const { status, out, err } = await run('udp port 53', path, '-w', target);
    expect([status, out.length]).toEqual([1, 0]);
    const offset = 24 + 3 * RECORD;
    expect(err).toBe(
      `taplab: ${path}: at byte ${offset}: the file is cut short: it ends after ${RECORD - 5} bytes of a packet record; of the 3 packets before it 2 match\n`,
    );
    expect(packetsOf(readFileSync(target))).toEqual(packetsOf(whole).filter((_, i) => PORTS[i] === 53));
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['empty', new Uint8Array(0), /at byte 0: the file is empty/],
    ['text', Buffer.from('hello, world'), /neither pcap nor pcapng: it begins with 68 65 6c 6c/],
    ['short', whole.subarray(0, 3), /no capture: it has only 3 bytes/],
    ['header', whole.subarray(0, 10), /cut short: it ends after 10 bytes of a file header/],
    ['block', mixed.subarray(0, mixed.length - 4), /cut short.* of the 3 packets before it 3 match/],
  ])('%s leaves an existing output alone unless packets were read', async (name, bytes, message) => {
    const target = file('precious.pcapng', 'precious');
    const { status, err } = await run('udp', file(name, bytes), '-w', target);
    expect(status).toBe(1);
    expect(err).toMatch(message);
    expect(readFileSync(target).subarray(0, 8).toString() === 'precious').toBe(name !== 'block');
  });
});

describe('mistakes', () => {
  test('the capture itself is refused as output, under any name', async () => {
    const path = file('self.pcap', pcap(EN10MB, frames));
    symlinkSync(path, join(folder, 'symlink.pcap'));
    linkSync(path, join(folder, 'link.pcap'));
    const before = readFileSync(path);
    for (const name of ['self.pcap', 'symlink.pcap', 'link.pcap', './sub/../self.pcap']) {
      const { status, err } = await run('udp', path, '-w', join(folder, name));
      expect(status).toBe(1);
      expect(err).toMatch(/is the capture that is read; write to another file/);
    }
    expect(readFileSync(path)).toEqual(before);
  });

  test('a terminal is refused for captures', async () => {
    const path = file('terminal.pcap', pcap(EN10MB, frames));
    const { status, out, err } = await taplabOn({ out: true }, 'filter', 'run', 'udp', path, '-w', '-');
    expect([status, out.length]).toEqual([1, 0]);
    expect(err).toMatch(/not for terminals; write it to a file with -w/);
  });

  test('a pcap file cannot hold several link types, which is said when the second one comes', async () => {
    const target = join(folder, 'several.pcap');
    const { status, err } = await run('udp', file('mixed.pcapng', mixed), '-w', target);
    expect(status).toBe(1);
    expect(err).toMatch(
      /several\.pcap: a pcap file holds one link type.*1 and 101; write to a \.pcapng file/,
    );
    expect(packetsOf(readFileSync(target))).toHaveLength(1);
    // Those that match have one.
    expect((await run('udp port 53', file('mixed.pcapng', mixed), '-w', target)).status).toBe(0);
  });

  test('an expression is compiled for the link types met, and says for which one it cannot be', async () => {
    const path = file('mixed.pcapng', mixed);
    const { status, err } = await run('ether host 02:00:00:00:00:01', path);
    expect(status).toBe(1);
    expect(err).toMatch(/mixed\.pcapng: packet 2: link type RAW: .*\n {2}ether host/);
    const usb = file('usb.pcap', pcap(189, [{ bytes: udpPacket(53) }]));
    expect((await run('udp', usb)).err).toMatch(
      /usb\.pcap: packet 1: .*link type 189, only for EN10MB, .*give a program/,
    );
    expect((await run(file('all.ddd', '1\n6 0 0 96\n'), usb, '--count')).out.toString()).toBe('1\n');
  });

  test('an expression that only other link types have is taken', async () => {
    const bytes = Uint8Array.of(0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0, ...udpPacket(53));
    const { status, out } = await run('outbound', file('sll.pcap', pcap(113, [{ bytes }])), '--count');
    expect([status, out.toString()]).toEqual([0, '1\n']);
  });

  test('a filter is checked before the capture is opened', async () => {
    const { err } = await run('udp prot 53', '/nonexistent.pcap');
    expect(err).toMatch(/\n {2}udp prot 53\n {6}\^/);
  });

  test('a time stamp that cannot be written is refused', async () => {
    const input = pcapng([EN10MB], [{ interfaceId: 0, bytes: udpFrame(53) }]);
    // Whole seconds instead of nanoseconds: if_tsresol 0.
    const at = input.indexOf(Buffer.from([9, 0, 1, 0, 9]));
    input[at + 4] = 0;
    const { status, err } = await run('udp', file('far.pcapng', input), '-w', join(folder, 'far.pcap'));
    expect(status).toBe(1);
    expect(err).toMatch(/far\.pcap: a packet was captured \d+ seconds after 1970/);
    expect((await run('udp', join(folder, 'far.pcapng'))).out.toString()).toMatch(/^--:--:--/);
  });

  test.each<[string[], number, RegExp]>([
    [['udp', '/nonexistent.pcap'], 1, /^taplab: capture file \/nonexistent\.pcap does not exist\n$/],
    [['udp', '.'], 1, /capture file \. is a folder/],
    [['capture.pcap'], 2, /a filter and a capture are needed.*taplab filter run '' capture\.pcap/],
    [['udp', 'x.pcap', '-w', '-', '--json'], 2, /both want stdout/],
    [['udp', 'x.pcap', '-w', '-', '--count'], 2, /both want stdout/],
    [['udp', 'x.pcap', '--json', '--count'], 2, /leave --count out/],
    [['udp', 'x.pcap', '--engine', 'jit'], 2, /Allowed choices are wasm, interpreter/],
    [[], 2, /missing required argument/],
  ])('%j', async (args, expected, message) => {
    const { status, out, err } = await run(...args);
    expect([status, out.length]).toEqual([expected, 0]);
    expect(err).toMatch(message);
  });

  test('the capture before the filter is noticed', async () => {
    const path = file('first.pcap', pcap(EN10MB, frames));
    const { status, err } = await run(path, 'udp');
    expect(status).toBe(2);
    expect(err).toContain(`the capture comes last: taplab filter run 'udp' ${path}`);
  });

  test.runIf(process.platform === 'linux')(
    'a file that another capture writes is left as it is',
    async () => {
      const input = file('busy-in.pcap', pcap(EN10MB, frames));
      const target = join(folder, 'busy.pcap');
      const other = await openCaptureFile(target);
      await new Promise((resolve) => other.write('theirs', resolve));
      const { status, err } = await run('udp', input, '-w', target);
      expect(status).toBe(1);
      expect(err).toMatch(
        /busy\.pcap: cannot create it: EBUSY \(another capture is writing it\); name another/,
      );
      expect(readFileSync(target, 'utf8')).toBe('theirs');
      await new Promise((resolve) => other.end(resolve));
      expect((await run('udp', input, '-w', target)).status).toBe(0);
      expect(packetsOf(readFileSync(target))).toHaveLength(frames.length);
    },
  );

  test('an output that cannot be made is named', async () => {
    const path = file('out.pcap', pcap(EN10MB, frames));
    const { status, err } = await run('udp', path, '-w', '/nonexistent/x.pcap');
    expect(status).toBe(1);
    expect(err).toMatch(
      /capture file \/nonexistent\/x\.pcap: cannot create it: ENOENT.*create the folder first/,
    );
  });
});

const CORPUS = resolve('../shared/vectors/corpus-en10mb.pcap');
const missing = !existsSync(CORPUS)
  ? `${CORPUS} is not there`
  : spawnSync('tcpdump', ['--version']).status !== 0
    ? 'tcpdump is not installed'
    : undefined;
if (missing !== undefined) console.warn(`SKIPPED: comparison with tcpdump: ${missing}`);

describe.skipIf(missing !== undefined)('over the corpus of captures, as tcpdump does:', () => {
  test.each([
    'tcp',
    'udp port 53',
    'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0',
    'ip6 and not icmp6',
    'net 10.0.0.0/8 or net 192.168.0.0/16',
    'arp or rarp',
    'vlan and ip',
    'ip[6:2] & 0x1fff != 0',
    'greater 1000',
    'portrange 1-1023',
    'ether multicast',
    'mpls',
    'pppoes',
    'ip proto 50 or ip protochain 51',
    'host 127.0.0.1 and not tcp',
    'len % 7 == 3',
  ])('%s', async (expression) => {
    const target = join(folder, 'corpus.pcap');
    const reference = join(folder, 'tcpdump.pcap');
    const { status, err } = await run(expression, CORPUS, '-w', target);
    expect(status, err).toBe(0);
    const tcpdump = spawnSync('tcpdump', ['-r', CORPUS, '-w', reference, expression], { encoding: 'utf8' });
    expect(tcpdump.status, tcpdump.stderr).toBe(0);
    expect(packetsOf(readFileSync(target))).toEqual(packetsOf(readFileSync(reference)));
  });
});
