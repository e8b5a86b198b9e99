/** `taplab filter` compile, explain, check, list and bench. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { benchFrames } from '../../src/cli/filter/bench-frames.ts';
import { cSource } from '../../src/cli/filter/c-source.ts';
import { pointAt } from '../../src/cli/filter/caret.ts';
import { summarize } from '../../src/cli/summary.ts';
import { compileFilter } from '../../vm/compiler/index.ts';
import { type Instruction, interpret, Program, packMetadata, parseProgram } from '../../vm/index.ts';
import { EN10MB, taplab, taplabOn, udpFrame } from './filter-helper.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab-filter-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

/** Writes a file and returns its path. */
function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** What a command prints when all goes well. */
async function printed(...args: string[]): Promise<string> {
  const { status, out, err } = await taplab('filter', ...args);
  expect([status, err]).toEqual([0, '']);
  return out.toString();
}

const SUBCOMMANDS = ['compile', 'explain', 'run', 'check', 'bench', 'list'];

describe('help', () => {
  test('of filter names every subcommand', async () => {
    const out = await printed('--help');
    for (const name of SUBCOMMANDS) expect(out).toMatch(new RegExp(`^  ${name} .*[a-z]$`, 'm'));
  });

  test.each(SUBCOMMANDS)('of filter %s goes to stdout and has examples', async (name) => {
    const out = await printed(name, '--help');
    expect(out).toMatch(new RegExp(`^Usage: taplab filter ${name} `));
    expect(out).toMatch(new RegExp(`Examples:\n  \\$ .*taplab filter ${name === 'list' ? '' : name}`));
  });

  test('is shown on stderr, with status 2, when no subcommand is given', async () => {
    const { status, out, err } = await taplab('filter');
    expect([status, out.toString()]).toEqual([2, '']);
    expect(err).toContain('Usage: taplab filter');
  });
});

describe('compile', () => {
  const EXPRESSION = 'tcp port 80 or vlan 3';
  const expected = compileFilter(EXPRESSION);

  test.each(['asm', 'd', 'dd', 'ddd'])('prints %s that reads back as the same program', async (format) => {
    const text = await printed('compile', EXPRESSION, '--format', format);
    expect(parseProgram(text).instructions).toEqual(expected.instructions);
  });

  test('takes the words of an expression one by one', async () => {
    expect(await printed('compile', ...EXPRESSION.split(' '))).toBe(await printed('compile', EXPRESSION));
  });

  test('prints JSON with link type, dialect and instructions', async () => {
    const out = await printed('compile', 'inbound and udp', '--link-type', 'linux_sll', '--format', 'json');
    const { instructions } = compileFilter('inbound and udp', { linkType: 'LINUX_SLL' });
    expect(JSON.parse(out)).toEqual({ linkType: 'LINUX_SLL', dialect: 'bsd', instructions });
  });

  test('gives out a WebAssembly module that decides as the program does', async () => {
    const { status, out } = await taplab('filter', 'compile', 'udp port 53', '--format', 'wasm');
    expect(status).toBe(0);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(new Uint8Array(out));
    const { match } = new WebAssembly.Instance(module, { e: { m: memory } }).exports;
    const verdicts = [53, 54].map((port) => {
      const frame = udpFrame(port);
      new Uint8Array(memory.buffer).set(frame, 64);
      return (match as (...args: number[]) => number)(64, frame.length, frame.length);
    });
    expect(verdicts).toEqual([262_144, 0]);
  });

  test('gives out a module that reads metadata at the start of the memory', async () => {
    const args = ['filter', 'compile', 'outbound', '--dialect', 'linux', '--format', 'wasm'];
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(new Uint8Array((await taplab(...args)).out));
    const { match } = new WebAssembly.Instance(module, { e: { m: memory } }).exports;
    const verdicts = [0, 4].map((packetType) => {
      packMetadata({ packetType }, new Int32Array(memory.buffer));
      return (match as (...args: number[]) => number)(64, 60, 60);
    });
    expect(verdicts).toEqual([0, 262_144]);
  });

  test('refuses to print a module on a terminal, and writes it to a file', async () => {
    const args = ['filter', 'compile', 'udp', '--format', 'wasm'];
    const refused = await taplabOn({ out: true }, ...args);
    expect([refused.status, refused.out.length]).toEqual([1, 0]);
    expect(refused.err).toMatch(/wasm is not for terminals; write it to a file with -o/);
    const path = join(folder, 'udp.wasm');
    const written = await taplabOn({ out: true }, ...args, '-o', path);
    expect([written.status, written.out.length, written.err]).toEqual([0, 0, '']);
    expect(() => new WebAssembly.Module(new Uint8Array(readFileSync(path)))).not.toThrow();
  });

  test.each<[string[], string, number]>([
    [['udp port 53', '--link-type', '101'], 'udp port 53', 101],
    [['ip broadcast', '--netmask', '255.255.255.0'], 'ip broadcast', 1],
    [['ip broadcast', '--netmask', '0xffffff00'], 'ip broadcast', 1],
  ])('%j has the options of the compiler', async (args, expression, number) => {
    const linkType = number === 101 ? 'RAW' : 'EN10MB';
    const program = compileFilter(expression, { linkType, netmask: '255.255.255.0' });
    const text = await printed('compile', ...args, '-f', 'ddd');
    expect(parseProgram(text).instructions).toEqual(program.instructions);
  });

  test('keeps as much of a packet as --snap-length says', async () => {
    const program = parseProgram(await printed('compile', 'udp', '--snap-length', '96', '-f', 'ddd'));
    expect(interpret(program, udpFrame(53))).toBe(96);
  });

  test('does more with --no-optimize', async () => {
    const lengths = [await printed('compile', 'tcp port 80', '-f', 'ddd', '--no-optimize')]
      .concat(await printed('compile', 'tcp port 80', '-f', 'ddd'))
      .map((text) => parseProgram(text).length);
    expect(lengths[0]).toBeGreaterThan(lengths[1]!);
  });

  test('converts a program file and a ready-made filter', async () => {
    const path = file('port.ddd', '2\n40 0 0 12\n6 0 0 96\n');
    expect(await printed('compile', path, '-f', 'dd')).toBe(
      '{ 0x28, 0, 0, 0x0000000c },\n{ 0x6, 0, 0, 0x00000060 },\n',
    );
    expect(JSON.parse(await printed('compile', path, '-f', 'json'))).toMatchObject({ linkType: null });
    const arp = parseProgram(readFileSync('filters/arp.bpf', 'utf8')).instructions;
    expect(parseProgram(await printed('compile', '@arp')).instructions).toEqual(arp);
  });

  test('holds the text of the filter in a comment that it cannot leave', async () => {
    const expression = 'udp\nport 53';
    for (const format of ['asm', 'c']) {
      const text = await printed('compile', expression, '--format', format);
      expect(text).toContain('udp port 53\n');
    }
  });
});

describe('C source', () => {
  const hasGcc = spawnSync('gcc', ['--version']).status === 0;
  if (!hasGcc) console.warn('skipped: gcc is not installed, so C source is not compiled');
  const hasPcapHeader = existsSync('/usr/include/pcap/bpf.h');

  test.skipIf(!hasGcc).each([
    ['linux', 'sock_fprog', 'filter.len'],
    ['bsd', 'bpf_program', 'filter.bf_len'],
  ])(
    'of the %s dialect compiles without a warning into a program of that length',
    async (dialect, struct, member) => {
      if (dialect === 'bsd' && process.platform === 'linux' && !hasPcapHeader) {
        return console.warn('skipped: pcap/bpf.h is not installed');
      }
      const expression = 'tcp port 80 and ip[8] > 1';
      const source = await printed('compile', expression, '--dialect', dialect, '--format', 'c');
      expect(source).toContain(`struct ${struct} filter = {`);
      const main = `#include <stdio.h>\nint main(void) { printf("%u", (unsigned)${member}); return 0; }\n`;
      const path = file(`${dialect}.c`, source + main);
      const binary = join(folder, `${dialect}.out`);
      const gcc = spawnSync('gcc', ['-Wall', '-Wextra', '-Werror', '-o', binary, path], {
        encoding: 'utf8',
      });
      expect(gcc.stderr).toBe('');
      const { length } = compileFilter(expression, { dialect: dialect as 'bsd' | 'linux' });
      expect(spawnSync(binary, { encoding: 'utf8' }).stdout).toBe(String(length));
    },
  );
});

test('a title cannot end the comment that it stands in', () => {
  const program = compileFilter('udp');
  const source = cSource({ program, title: './a*/b/*.bpf\n#error', linkType: undefined });
  const comment = source.slice(0, source.indexOf('#define'));
  expect(comment.match(/\/\*|\*\//g)).toEqual(['/*', '*/']);
  expect(comment).not.toMatch(/^#/m);
});

describe('a filter that is wrong', () => {
  test.each<[string[], RegExp]>([
    [['compile', 'tcp prot 80'], /^taplab: .*did you mean 'port'\?\n {2}tcp prot 80\n {6}\^\n$/],
    [['explain', 'host'], /^taplab: .*\n {2}host\n {6}\^\n$/],
    [['bench', 'tcp', 'and', '('], /\n {2}tcp and \(\n/],
    [['compile', '@dnss'], /did you mean "@dns"/],
    [['compile', '@dns', '--link-type', 'RAW'], /written for Ethernet/],
    [['compile', './none.bpf'], /filter file \.\/none\.bpf does not exist/],
    [['compile', 'inbound'], /dialect 'linux'/],
    [['compile', 'package.json'], /there is a file of that name: write \.\/package\.json/],
    [['compile', './package.json'], /^taplab: \.\/package\.json:\d+:\d+: /],
    [['explain', './filters/arp.bpf'], /is a program.*taplab filter compile --format d/],
    [
      ['compile', 'udp', '-o', '/nonexistent/x'],
      /cannot write \/nonexistent\/x: there is no folder \/nonexistent$/m,
    ],
  ])('%j has status 1 and says where', async (args, message) => {
    const { status, out, err } = await taplab('filter', ...args);
    expect([status, out.toString()]).toEqual([1, '']);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
  });

  test.each<[string[], RegExp]>([
    [
      ['compile', 'udp', '--link-type', 'ethernet'],
      /Unknown link type; did you mean "EN10MB"\?\nThere are EN10MB/,
    ],
    [['compile', 'udp', '--link-type', 'LINUX_SLL3'], /did you mean "LINUX_SLL"/],
    [['compile', 'udp', '--link-type', '999'], /Unknown link type/],
    [['compile', 'udp', '--dialect', 'freebsd'], /Allowed choices are bsd, linux/],
    [['compile', 'udp', '--format', 'hex'], /Allowed choices are asm, d, ddd, dd, json, wasm, c/],
    [['compile', 'udp', '--snap-length', '0'], /Expected 1 to 4294967295/],
    [['compile', 'udp', '--snap-length', '96b'], /Expected 1 to 4294967295/],
    [['compile', 'udp', '--netmask', '255.255'], /Expected a mask such as/],
    [['compile', '@dns', '--netmask', '255.0.0.0'], /--netmask says how to compile.*@dns is a program/],
    [['compile', './filters/arp.bpf', '--link-type', 'RAW'], /--link-type says how to compile/],
    [['explain', '@dns', '--no-optimize'], /--no-optimize says how/],
    [['check'], /nothing to check/],
    [['compile'], /missing required argument 'filter'.*taplab filter compile --help/s],
    [['compil', 'udp'], /unknown command 'compil'.*Did you mean compile\?/s],
  ])('%j is a usage error with status 2', async (args, message) => {
    const { status, out, err } = await taplab('filter', ...args);
    expect([status, out.toString()]).toEqual([2, '']);
    expect(err).toMatch(message);
  });
});

describe('the caret', () => {
  test.each([
    ['tcp prot 80', 4, '  tcp prot 80\n      ^'],
    ['', 0, '  \n  ^'],
    ['a\tb\nc', 4, '  a b c\n      ^'],
    ['host ✓ x', 7, '  host ✓ x\n         ^'],
    ['host 😀 x', 8, '  host 😀 x\n         ^'],
  ])('of %j at %d is under its place', (expression, position, expected) => {
    expect(pointAt(expression, position)).toBe(expected);
  });

  test('shows a piece of a long expression, with the place in it', () => {
    const expression = `${'a'.repeat(100_000)}!${'b'.repeat(100_000)}`;
    const [line, caret] = pointAt(expression, 100_000).split('\n');
    expect(line!.length).toBeLessThan(90);
    expect(line![caret!.indexOf('^')]).toBe('!');
  });
});

describe('explain', () => {
  test('says of each instruction what it is for', async () => {
    const out = await printed('explain', 'udp port 53 or arp');
    expect(out).toMatch(/^\(000\) ldh .*; EtherType/);
    expect(out).toContain('| arp');
    expect(out.trimEnd().split('\n')).toHaveLength(compileFilter('udp port 53 or arp').length);
  });

  test('names the protocols of IPv4 and IPv6 alike', async () => {
    const out = await printed('explain', 'tcp port 80 or ip6 protochain 103');
    expect(out.match(/is it TCP\?/g)).toHaveLength(2);
    expect(out).toContain('is it PIM?');
    expect(out).not.toContain('IP protocol');
  });

  test('prints the commented source of a ready-made filter', async () => {
    expect(await printed('explain', '@arp')).toBe(readFileSync('filters/arp.bpf', 'utf8'));
  });
});

describe('list', () => {
  test('names the ready-made filters and what they are for', async () => {
    const out = await printed('list');
    expect(out).toMatch(/^NAME +PURPOSE\n@arp +ARP requests and replies\n/);
  });

  test('prints JSON', async () => {
    const filters = JSON.parse(await printed('list', '--json')) as { name: string; purpose: string }[];
    expect(filters).toContainEqual({ name: '@arp', purpose: 'ARP requests and replies' });
    for (const { purpose } of filters) expect(purpose).not.toBe('');
  });
});

describe('check', () => {
  test('says OK with the number of instructions, and has status 0', async () => {
    const path = file('good.ddd', '1\n6 0 0 96\n');
    const out = await printed('check', path, '@arp', '--expression', 'udp', 'tcp port 80');
    const [udp, http] = ['udp', 'tcp port 80'].map((text) => compileFilter(text).length);
    const arp = parseProgram(readFileSync('filters/arp.bpf', 'utf8')).length;
    expect(out).toBe(
      `${path}: OK, 1 instruction\n@arp: OK, ${arp} instructions\n` +
        `'udp': OK, ${udp} instructions\n'tcp port 80': OK, ${http} instructions\n`,
    );
  });

  test.each<[string, string, RegExp]>([
    ['syntax.bpf', 'ldh [12]\nfoo #1\nret #0\n', /syntax\.bpf:2:1: .*foo/],
    ['count.ddd', '3\n6 0 0 96\n', /count\.ddd:1:1: the count says 3/],
    ['end.ddd', '1\n40 0 0 12\n', /end\.ddd: instruction 0: the last instruction is not a RET/],
    ['range.dd', '{ 0x15, 7, 0, 0 },\n{ 0x6, 0, 0, 0 },\n', /range\.dd: instruction 0: /],
    ['empty.bpf', '', /empty\.bpf:1:1: expected a program/],
    ['filter.txt', 'tcp port 80\n', /filter\.txt:1:\d+: .*this is an expression, not a program/],
    ['binary.bpf', '\u0000\u0001\u0002', /binary\.bpf:1:1: /],
  ])('says where %s is bad, and has status 1', async (name, content, expected) => {
    const { status, out, err } = await taplab('filter', 'check', file(name, content));
    expect([status, err]).toEqual([1, '']);
    expect(out.toString()).toMatch(expected);
  });

  test('goes on after a bad one', async () => {
    mkdirSync(join(folder, 'sub'));
    const good = file('last.ddd', '1\n6 0 0 96\n');
    const { status, out } = await taplab('filter', 'check', `${folder}/none`, `${folder}/sub`, good);
    expect(status).toBe(1);
    expect(out.toString()).toBe(
      `${folder}/none: does not exist\n${folder}/sub: is a folder\n${good}: OK, 1 instruction\n`,
    );
  });

  test('shows the place in a bad expression', async () => {
    const { status, out } = await taplab('filter', 'check', '--expression', 'tcp prot 80', 'udp');
    expect(status).toBe(1);
    expect(out.toString()).toMatch(/^'tcp prot 80':5: .*\n {2}tcp prot 80\n {6}\^\n'udp': OK, /);
  });

  test('keeps the rules of the dialect and link type that are asked for', async () => {
    const shift = file('shift.ddd', '2\n100 0 0 40\n6 0 0 0\n');
    expect((await taplab('filter', 'check', shift)).status).toBe(0);
    expect((await taplab('filter', 'check', shift, '--dialect', 'linux')).status).toBe(1);
    expect((await taplab('filter', 'check', '-e', 'ether host 02:00:00:00:00:01')).status).toBe(0);
    expect(
      (await taplab('filter', 'check', '-e', 'ether host 02:00:00:00:00:01', '--link-type', 'RAW')).status,
    ).toBe(1);
  });

  test('takes a loop, as libpcap makes of protochain, and says who does not', async () => {
    const path = file('loop.ddd', '4\n5 0 0 1\n6 0 0 7\n5 0 0 4294967294\n6 0 0 0\n');
    expect(await printed('check', path)).toBe(
      `${path}: OK, 4 instructions; it jumps backwards: taplab runs it, but no kernel takes it\n`,
    );
    expect(JSON.parse(await printed('check', path, '--json'))).toMatchObject([
      { ok: true, note: expect.stringContaining('backwards') },
    ]);
    const { status, out } = await taplab('filter', 'check', path, '--dialect', 'linux');
    expect([status, out.toString()]).toEqual([1, expect.stringContaining('instruction 2: ')]);
  });

  test('prints its findings as JSON', async () => {
    const path = file('json.bpf', 'ret #0\nnop\n');
    const { status, out } = await taplab('filter', 'check', path, '-e', 'prot', '--json');
    expect(status).toBe(1);
    expect(JSON.parse(out.toString())).toMatchObject([
      { subject: path, kind: 'file', ok: false, line: 2, column: 1 },
      { subject: 'prot', kind: 'expression', ok: false, line: 1, column: 1 },
    ]);
  });

  test('reads a program from standard input', async () => {
    const stdin = new PassThrough();
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
    stdin.end('1\n6 0 0 96\n');
    expect(await printed('check', '-')).toBe('-: OK, 1 instruction\n');
  });
});

describe('bench', () => {
  test('measures both engines within seconds', async () => {
    const startMs = performance.now();
    const result = JSON.parse(await printed('bench', 'udp', '--json')) as Record<string, number>;
    expect(performance.now() - startMs).toBeLessThan(15_000);
    const accepted = benchFrames().filter((frame) => interpret(compileFilter('udp'), frame) !== 0);
    expect(result).toMatchObject({
      filter: 'udp',
      instructions: compileFilter('udp').length,
      frames: benchFrames().length,
      matchedFrames: accepted.length,
    });
    for (const name of ['interpreterNsPerPacket', 'wasmNsPerPacket', 'compileMs', 'wasmCompileMs']) {
      expect(result[name], name).toBeGreaterThan(0);
    }
  }, 30_000);

  test('prints a table', async () => {
    const out = await printed('bench', '@arp');
    expect(out).toMatch(/^@arp: \d+ instructions, \d+ of 256 frames match\n\nENGINE +NS\/PACKET +MPPS\n/);
    expect(out).toMatch(/^wasm +[\d.]+ +[\d.]+$/m);
  }, 30_000);

  test('measures with frames that are what they claim to be', () => {
    const lines = benchFrames().map((frame) => summarize(frame, EN10MB));
    for (const line of lines) expect(line).not.toMatch(/truncated|header of|ethertype/);
    for (const part of ['tcp [', 'udp ', 'icmp echo', 'ARP who-has', 'IP6 ', 'fragment at']) {
      expect(
        lines.some((line) => line.includes(part)),
        part,
      ).toBe(true);
    }
  });
});

test('nothing that taplab filter loads is native code', () => {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const imports = readFileSync(path, 'utf8').matchAll(
      /^(?:import|export)\s(?!type\s)[^;]*?from '([^']+)'/gms,
    );
    for (const [, specifier] of imports) {
      expect(specifier, path).not.toBe('koffi');
      if (specifier!.startsWith('.')) visit(resolve(path, '..', specifier!));
    }
  };
  visit(resolve('src/cli/commands/filter.ts'));
  expect(seen.size).toBeGreaterThan(30);
});

test('instructions of JSON output make a program again', async () => {
  const { instructions, dialect } = JSON.parse(
    await printed('compile', 'inbound', '--dialect', 'linux', '-f', 'json'),
  ) as {
    instructions: Instruction[];
    dialect: 'linux';
  };
  expect(Program.from(instructions, { dialect }).instructions).toEqual(
    compileFilter('inbound', { dialect }).instructions,
  );
});
