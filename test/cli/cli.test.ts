import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enhancedPacket, interfaceDescription, sectionHeader } from '../../src/capture/pcapng.ts';
import { runCli } from '../../src/cli/run.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { resolveFilter } from '../../src/control/filter.ts';
import { CONTROL_OWNER, type Histogram } from '../../src/daemon/contract.ts';
import { batchOf } from '../capture/helper.ts';
import { eventually, type Fixture, startFixture } from '../control/fixture.ts';

let fixture: Fixture;
let folder: string;

beforeAll(async () => {
  fixture = await startFixture();
  folder = mkdtempSync(join(tmpdir(), 'taplab-cli-'));
});

afterAll(async () => {
  await fixture.close();
  rmSync(folder, { recursive: true, force: true });
});

type Outcome = { readonly status: number; readonly out: string; readonly err: string };

/** Runs a command line against the server of the fixture. */
async function taplab(...args: string[]): Promise<Outcome> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
  const status = await runCli(['--socket', fixture.socketPath, ...args], new Terminal(out, err));
  return { status, out: text(out), err: text(err) };
}

const ATTACH = {
  filter: '',
  program: resolveFilter('', 1).program,
  direction: 'inout',
  immediate: false,
  readTimeoutMs: 0,
  bufferBytes: 4096,
  owner: CONTROL_OWNER,
} as const;

/** An Ethernet frame of 46 bytes. */
const udp = Buffer.from(
  `0200000000020200000000010800450000200000400040110000c6120001c61200021f900035000c000061626364`,
  'hex',
);

const COMMANDS = [
  ...[
    'up',
    'down',
    'ps',
    'stats',
    'exec',
    'attach',
    'detach',
    'descriptor',
    'dump',
    'set',
    'import',
    'doctor',
  ],
];

describe('help', () => {
  test('names every command, and goes to stdout', async () => {
    const { status, out, err } = await taplab('--help');
    expect([status, err]).toEqual([0, '']);
    for (const command of COMMANDS) expect(out).toMatch(new RegExp(`^  ${command} .*[a-z]$`, 'm'));
    expect(out).toContain('Examples:');
  });

  test.each(COMMANDS)('of %s says what it does and names the socket option', async (command) => {
    const { status, out } = await taplab(command, '--help');
    expect(status).toBe(0);
    expect(out).toMatch(new RegExp(`^Usage: taplab ${command} `));
    expect(out).toContain('--socket <path>');
  });

  test('the version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await taplab('--version')).toEqual({ status: 0, out: `${version}\n`, err: '' });
  });
});

describe('import', () => {
  const script = (): string => {
    const path = join(folder, 'impair.sh');
    writeFileSync(path, 'tc qdisc add dev eth0 root netem delay 20ms\nmodprobe sch_netem\n');
    return path;
  };

  test('prints a lab file, and on stderr what is not in it', async () => {
    const { status, out, err } = await taplab('import', 'netem', script());
    expect(status).toBe(0);
    expect(out).toContain('forward: delay 20ms');
    expect(err).toMatch(/^not taken over: .*impair.sh:2: modprobe sch_netem: .*\n$/);
  });

  test('writes it where it is told, and has both as JSON', async () => {
    const output = join(folder, 'impair.yaml');
    const { status, out, err } = await taplab('import', 'netem', script(), '-o', output, '--json');
    const { lab, leftOut } = JSON.parse(out) as { lab: string; leftOut: { line: number }[] };
    expect([status, err, lab]).toEqual([0, '', readFileSync(output, 'utf8')]);
    expect(leftOut).toMatchObject([{ line: 2, text: 'modprobe sch_netem' }]);
  });

  test('--strict fails when something was left out, and still makes the lab', async () => {
    const { status, out } = await taplab('import', 'netem', script(), '--strict');
    expect(status).toBe(2);
    expect(out).toContain('name: impair');
  });

  test('a file that is not one of the kind is an error with its place', async () => {
    const { status, out, err } = await taplab('import', 'kathara', script());
    expect([status, out]).toEqual([1, '']);
    expect(err).toMatch(/^taplab: .*impair.sh:1: .*expected DEVICE\[ARGUMENT\]=VALUE/);
  });
});

describe('usage errors have status 2, say what was wrong, and go to stderr', () => {
  test.each([
    [['sats'], /unknown command 'sats'.*Did you mean stats\?/s],
    [[], /Usage: taplab/],
    [['detach'], /missing required argument 'id'.*taplab detach --help/s],
    [['detach', 'x'], /whole number/],
    [['attach', 'client:eth0', '--direction', 'sideways'], /Allowed choices are in, out, inout, drop, all/],
    [['attach', 'client:eth0', '--buffer', 'big'], /expected a size such as/],
    [['attach', 'client:eth0', '--promiscuous', 'yes'], /Expected on or off/],
    [['attach', 'client:eth0', '--read-timeout', '100'], /whole milliseconds/],
    [['attach', 'client:eth0', '--link-type', 'TOKENRING'], /Expected a link type such as EN10MB/],
    [['descriptor', 'set', '1'], /nothing to change: give an option/],
    [['descriptor', 'set', '1', '--keep'], /--keep goes with --filter/],
    [['descriptor', 'read', '1', '--wait', '61s'], /Expected at most 60s/],
    [['descriptor', 'write', '1'], /either a file with frames or --hex/],
    [['descriptor', 'write', '1', '--hex', '0'], /pairs of hexadecimal digits/],
    [['dump'], /missing required argument 'node:interface', or --all/],
    [['dump', '--all', '--format', 'bpf'], /format bpf cannot say which interface/],
    [['dump', 'client:eth0', '--drops', '--direction', 'in'], /cannot be used with/],
    [['up', 'x.yaml', '--max-buffer-memory-per-user', 'much'], /expected a size such as/],
    [['dump', 'client:eth0', '-c', '0'], /at least 1/],
    [['dump', 'client:eth0', '--format', 'pcap'], /pcapng, bpf, json/],
    [['set', 'wan'], /^taplab: missing required argument 'impairment'/],
    [
      ['set', 'wan', 'match udp port 53 loss 3%'],
      /^taplab: "port": .*a filter of several words needs quotes/,
    ],
    [['set', 'wan', 'delay', '10', 'ms'], /^taplab: "ms": .*a unit follows its number without a space/],
    [['set', 'wan', '{ dealy: 3ms }'], /^taplab: .*did you mean "delay"/],
    [['set', 'wan', '{ delay: 3ms'], /^taplab: not a map in YAML, such as/],
    [['set', 'wan', '--worker', 'one'], /expected the number of a worker, from 0 on/],
    [['set', 'wan', 'lan', 'delay 1ms', '--worker', '1'], /--worker is for one link at a time/],
    [['set', 'wan', 'dealy', '3ms'], /^taplab: .*did you mean "delay"/],
    [['attach', 'client:eth0', '--buffer', '3zb'], /unknown unit "zb", expected b, kb/],
    [['attach', 'client:eth0', '--buffer', '3b'], /at least 32b and at most 16mb/],
    [['up', 'x.yaml', '--metrics', 'nowhere'], /expected HOST:PORT/],
    [['up', 'x.yaml', '--group', 'no such group'], /\/etc\/group has no group of that name/],
    [['--socket', '', 'ps'], /Expected the path of a socket/],
    [['exec', 'client', 'ls', '-la'], /unknown option '-la'.*taplab exec NODE -- ls -l/s],
    [['up'], /missing required argument 'lab.yaml'/],
    [['up', 'x.yaml', '--workers', '-1'], /whole number/],
    [['ps', 'extra'], /too many arguments/],
    [['ps', '--frob'], /unknown option '--frob'/],
  ])('%j', async (args, message) => {
    const { status, out, err } = await taplab(...args);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(message);
  });
});

describe('failures have status 1 and say what to do', () => {
  test.each([
    [['attach', 'client:eth9'], /^taplab: There is no interface "client:eth9"; did you mean "client:eth0"/],
    [['attach', 'client:eth0', '@dnss'], /did you mean "@dns"/],
    [['attach', 'client:eth0', './none.bpf'], /^taplab: filter file \.\/none\.bpf does not exist/],
    [
      ['dump', 'client:eth0', '-w', '/nonexistent/x.pcapng'],
      /cannot write \/nonexistent\/x\.pcapng: there is no folder \/nonexistent/,
    ],
    [['exec', 'clint', '--', 'true'], /no node "clint"; did you mean "client"/],
    [['detach', '999'], /There is no descriptor 999/],
    [
      ['play', 'examples/wan.yml'],
      /^taplab: timeline examples\/wan\.yml does not exist; did you mean examples\/wan\.yaml\?$/m,
    ],
    [['verify', 'nosuch'], /^taplab: no lab nosuch is up, and there is no file of that name$/m],
    [['up', '/nosuch.yaml'], /^taplab: lab file \/nosuch\.yaml does not exist$/m],
    [['up', '/tmp', '--detach'], /^taplab: lab file \/tmp is a directory/],
    [['attach', 'client:eth0', 'host www.example.org'], /it is not in \/etc\/hosts; give its address/],
    [['--socket', '/etc/passwd', 'ps'], /^taplab: \/etc\/passwd is not a socket/],
    [['--socket', `/${'x'.repeat(120)}`, 'ps'], /has 121 bytes, and unix\(7\) allows 107/],
    [['--socket', '/nonexistent/socket', 'ps'], /no taplab is listening on \/nonexistent\/socket; start one/],
  ])('%j', async (args, message) => {
    const { status, out, err } = await taplab(...args);
    expect([status, out]).toEqual([1, '']);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
  });

  test('errors of a lab file stand alone in their lines, with line and column', async () => {
    const path = join(folder, 'bad.yaml');
    writeFileSync(path, 'name: bad\nnodse: {}\n');
    const { status, err } = await taplab('up', path);
    expect(status).toBe(1);
    for (const line of err.trimEnd().split('\n')) expect(line).toMatch(/^.*bad\.yaml:\d+:\d+: ./);
  });
});

test('a filter file that cannot be used is named, with line and column', async () => {
  const path = join(folder, 'bad.bpf');
  writeFileSync(path, 'ldh [12]\nfoo\n');
  for (const command of ['attach', 'dump']) {
    expect((await taplab(command, 'client:eth0', path)).err).toContain(
      `${path}:2:1: unknown instruction 'foo'`,
    );
  }
});

test('control characters of a lab file are shown, not obeyed', async () => {
  const path = join(folder, 'escape.yaml');
  writeFileSync(path, 'name: "a\\e[31m\\u202e"\nnodes: {}\n');
  const { err } = await taplab('up', path);
  expect(err).toContain('"a\\u001b[31m\\u202e"');
  expect(err).not.toContain('\u001b');
});

test('a capture that was given up is shown by ps', async () => {
  const descriptor = await fixture.emulator.attach('client:eth0', ATTACH);
  descriptor.read = () => Promise.reject(new Error('capture file /x.pcapng: cannot write it: ENOSPC'));
  fixture.captures.of(descriptor).subscribe('json', new PassThrough());
  const { out } = await taplab('ps');
  await descriptor.close();
  expect(out).toContain(`descriptor ${descriptor.id}: capture file /x.pcapng: cannot write it: ENOSPC`);
});

test('control characters in the filter of somebody else are shown by ps, not obeyed', async () => {
  const descriptor = await fixture.emulator.attach('client:eth0', {
    ...ATTACH,
    filter: 'tcp\u001b[2J\nport 80',
  });
  const { out } = await taplab('ps');
  await descriptor.close();
  expect(out).toContain('tcp\\u001b[2J port 80');
});

describe('ps', () => {
  test('shows lab, interfaces, links and descriptors', async () => {
    const { status, out } = await taplab('ps');
    expect(status).toBe(0);
    expect(out).toMatch(/^lab fake: pid \d+, up \d+s, [\d.]+ MB, 1 worker, seed 7, taplab /);
    expect(out).toMatch(/^client:eth0 +taplab-fake-client +tap +1500 .* up$/m);
    expect(out).toMatch(/^wan +client:eth0 +server:eth0 +clear$/m);
  });

  test('prints one JSON document with --json', async () => {
    const { out } = await taplab('ps', '--json');
    expect(Object.keys(JSON.parse(out) as object)).toEqual([
      'lab',
      'interfaces',
      'links',
      'switches',
      'descriptors',
    ]);
  });
});

describe('stats', () => {
  test('shows what has been counted, and the rate at which it grows', async () => {
    const before = fixture.emulator.interfaceState[0]!;
    before.receive = { frames: 1000, bytes: 60_000 };
    const shown = taplab('stats', '--interval', '200');
    await new Promise((resolve) => setTimeout(resolve, 100));
    before.receive = { frames: 2000, bytes: 120_000 };
    const { out } = await shown;
    expect(out).toMatch(/^client:eth0 +2,000 +[\d.]+ kpps +[\d.]+ Mbit\/s /m);
    expect(out).toMatch(/^wan +forward .* -$/m);
  });

  test('prints the counters as JSON', async () => {
    const { out } = await taplab('stats', '--json');
    expect(JSON.parse(out)).toMatchObject({ interfaces: [{ receive: { frames: 2000 } }, {}, {}] });
  });
});

describe('lateness', () => {
  test('is in stats, for links of what came meanwhile and for workers', async () => {
    const { emulator } = fixture;
    const [link] = emulator.linkState;
    emulator.linkState[0] = { ...link!, forward: { ...link!.forward, delayError: lateBy([5, 0, 0]) } };
    emulator.workerState.loopLag = lateBy([0, 0, 0]);
    const shown = taplab('stats', '--interval', '200');
    await new Promise((resolve) => setTimeout(resolve, 100));
    emulator.linkState[0] = { ...link!, forward: { ...link!.forward, delayError: lateBy([5, 98, 2]) } };
    emulator.workerState.loopLag = lateBy([4, 0, 0]);
    const { out } = await shown;
    emulator.linkState[0] = link!;
    expect(out).toMatch(/^wan +forward .* 0 {2,}≤ 250us +> 250us +-$/m);
    expect(out).toMatch(/^ *0 +\d+% +\d+% +≤ 50us +≤ 50us +0 of 16$/m);
    expect(out).not.toContain('overloaded');
  });

  test.each(['stats', 'ps'])(
    'too much of it is explained by %s, once for all links it is about',
    async (command) => {
      const { linkState } = fixture.emulator;
      const [link] = linkState;
      linkState[0] = {
        ...link!,
        forward: { ...link!.forward, overloaded: ['late', 'pool'] },
        reverse: { ...link!.reverse, overloaded: ['pool'] },
      };
      const { out } = await taplab(command, ...(command === 'stats' ? ['--interval', '50'] : []));
      linkState[0] = link!;
      expect(out).toMatch(
        /^overloaded \(late\): wan forward: frames leave over 1 ms after .*; have more workers/m,
      );
      expect(out).toMatch(/^overloaded \(pool\): wan forward, wan reverse: .* no slot/m);
      expect(out).not.toContain('(worker)');
    },
  );
});

test.each(['stats', 'ps'])(
  '%s shows what settings that change by themselves come to now',
  async (command) => {
    const { linkState } = fixture.emulator;
    const [link] = linkState;
    const settings = {
      ...link!.forward.settings,
      schedule: { name: 's.csv', entries: 2, stepNs: 0, loop: true },
    };
    const now = { ...link!.forward.settings, delayNs: 8e7 };
    linkState[0] = { ...link!, forward: { ...link!.forward, settings, now } };
    const { out } = await taplab(command, ...(command === 'stats' ? ['--interval', '50'] : []));
    const { out: json } = await taplab(command, '--json');
    linkState[0] = link!;
    expect(out).toMatch(/^wan\b.* schedule s\.csv loop \(now: delay 80ms\)$/m);
    expect(JSON.parse(json)).toMatchObject({
      links: [{ forward: { settings: { delayNs: 0 }, now: { delayNs: 8e7 } }, reverse: { now: null } }],
    });
  },
);

describe('attach and detach', () => {
  test('print the id, and the counters at the end', async () => {
    const attached = await taplab(
      'attach',
      'client:eth0',
      'tcp',
      'port',
      '80',
      '--direction',
      'in',
      '--buffer',
      '64kb',
    );
    const id = attached.out.trim();
    expect(id).toMatch(/^\d+$/);
    expect(fixture.emulator.descriptor(Number(id))?.status()).toMatchObject({
      filter: 'tcp port 80',
      direction: 'in',
      bufferBytes: 65_536,
      immediate: false,
    });
    const { status, out, err } = await taplab('detach', id);
    expect([status, out]).toEqual([0, '']);
    expect(err).toContain(`detached ${id} from client:eth0: 0 received, 0 accepted, 0 dropped`);
  });

  test('take the program in a file', async () => {
    const path = join(folder, 'my filter.bpf');
    writeFileSync(path, 'ldh [12]\nret #96\n');
    const { out } = await taplab('attach', 'client:eth0', path, '--immediate', '--json');
    expect(JSON.parse(out)).toMatchObject({ filter: 'program of 2 instructions', immediate: true });
  });

  test('a network with a slash is not taken for a file', async () => {
    const { out } = await taplab('attach', 'client:eth0', 'net', '198.18.0.0/15', '--json');
    expect(JSON.parse(out)).toMatchObject({ filter: 'net 198.18.0.0/15' });
  });
});

describe('descriptor', () => {
  test('shows, changes, flushes and locks one', async () => {
    const id = (
      await taplab('attach', 'client:eth0', '--feedback', 'on', '--write-filter', '@arp')
    ).out.trim();
    const { out } = await taplab('descriptor', 'show', id);
    expect(out).toMatch(/^link type +EN10MB$/m);
    expect(out).toMatch(/^write filter +@arp$/m);
    expect(out).toMatch(/^feedback +on$/m);
    const changes = [
      '--filter',
      'tcp',
      '--keep',
      '--immediate',
      'on',
      '--write-filter',
      'none',
      '--read-timeout',
      '5ms',
    ];
    const changed = await taplab('descriptor', 'set', id, ...changes, '--json');
    expect(JSON.parse(changed.out)).toMatchObject({
      filter: 'tcp',
      immediate: true,
      writeFilter: null,
      readTimeoutMs: 5,
      feedback: true,
    });
    expect(fixture.emulator.descriptor(Number(id))?.calls).toContain('setFilter tcp true');
    expect((await taplab('descriptor', 'flush', id)).status).toBe(0);
    expect((await taplab('descriptor', 'lock', id)).out).toMatch(/^locked +yes$/m);
    const refused = await taplab('descriptor', 'set', id, '--direction', 'in');
    expect([refused.status, refused.err]).toEqual([1, expect.stringContaining('is locked')]);
    await taplab('detach', id);
  });

  test('writes the frames of a capture, and one in hexadecimal', async () => {
    const id = (await taplab('attach', 'client:eth0')).out.trim();
    const path = join(folder, 'frames.pcapng');
    const frames = Array.from({ length: 2500 }, (_, i) => Buffer.alloc(60, i));
    writeFileSync(
      path,
      Buffer.concat([
        sectionHeader({}),
        interfaceDescription({ linkType: 1, snapLength: 0 }),
        ...frames.map((bytes) => enhancedPacket({ seconds: 1, nanoseconds: 0, wireLength: 60, bytes })),
      ]),
    );
    expect(await taplab('descriptor', 'write', id, path)).toMatchObject({
      status: 0,
      err: '2,500 frames sent\n',
    });
    const { sent } = fixture.emulator.descriptor(Number(id))!;
    expect(sent.map((frame) => frame[0])).toEqual(frames.map((frame) => frame[0]));
    await taplab('descriptor', 'write', id, '--hex', 'ff:ff:ff:ff:ff:ff 02 00 00 00 00 01 0800');
    expect(Buffer.from(sent.at(-1)!).toString('hex')).toBe('ffffffffffff0200000000010800');
    await taplab('detach', id);
  });

  test('reads what it has captured, once, and waits for it when told to', async () => {
    const id = (await taplab('attach', 'client:eth0')).out.trim();
    const descriptor = fixture.emulator.descriptor(Number(id))!;
    expect(await taplab('descriptor', 'read', id)).toEqual({ status: 0, out: '', err: '0 frames read\n' });
    const waiting = taplab('descriptor', 'read', id, '--wait', '10s');
    await new Promise((resolve) => setTimeout(resolve, 50));
    descriptor.capture(udp, 'out');
    expect(await waiting).toMatchObject({
      status: 0,
      out: expect.stringMatching(/ out +46 {2}IP .*udp 4\n$/),
    });
    descriptor.capture(udp);
    descriptor.capture(udp);
    expect(await taplab('descriptor', 'read', id)).toMatchObject({ err: '2 frames read\n' });
    expect((await taplab('descriptor', 'read', id)).out).toBe('');
    await taplab('detach', id);
  });

  test('reads into a file, to the last frame of an interface that is gone', async () => {
    const id = (await taplab('attach', 'client:eth0')).out.trim();
    const descriptor = fixture.emulator.descriptor(Number(id))!;
    descriptor.capture(udp);
    const lost = await taplab('descriptor', 'read', id, '-w', '/nonexistent/x.pcapng');
    expect([lost.status, lost.err]).toEqual([1, expect.stringContaining('there is no folder /nonexistent')]);
    descriptor.state.attached = false;
    const path = join(folder, 'read.pcapng');
    expect(await taplab('descriptor', 'read', id, '-w', path)).toEqual({
      status: 0,
      out: '',
      err: '1 frame read\n',
    });
    const bytes = readFileSync(path);
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) types.push(bytes.readUInt32LE(at));
    expect(types).toEqual([0x0a0d0d0a, 1, 6]);
    const { status, err } = await taplab('descriptor', 'read', id);
    expect([status, err]).toEqual([1, expect.stringMatching(/client:eth0 is gone, and everything captured/)]);
    await taplab('detach', id);
  });
});

test.each([
  [['delay', '20'], 'taplab: delay 20 is taken as 20us, as tc(8) does; write 20ms for milliseconds\n'],
  [['delay 5ms 2'], 'taplab: delay 2 is taken as 2us, as tc(8) does; write 2ms for milliseconds\n'],
  [
    ['{ delay: 20, loss: 1% }'],
    'taplab: delay 20 is taken as 20us, as tc(8) does; write 20ms for milliseconds\n',
  ],
  [['delay', '20ms', 'loss', '1', 'rate', '1000'], ''],
  [['delay', '0'], ''],
])('set %j says what a time without a unit means: %j', async (words, note) => {
  const { status, err } = await taplab('set', 'wan', ...words);
  expect([status, err]).toEqual([0, note]);
  await taplab('set', 'wan', 'clear');
});

test('set has another worker carry a link, alone or with a change', async () => {
  const moved = await taplab('set', 'wan', '--worker', '1');
  expect([moved.status, moved.out]).toEqual([0, 'link wan: carried by worker 1\n']);
  const both = JSON.parse((await taplab('set', 'wan', 'delay 1ms', '--worker', '0', '--json')).out);
  expect(both.before.forward).toMatchObject({ workers: [1], settings: { delayNs: 0 } });
  expect(both.after.forward).toMatchObject({ workers: [0], settings: { delayNs: 1e6 } });
  await taplab('set', 'wan', 'clear');
});

test('set shows before and after', async () => {
  const both = await taplab('set', 'wan', 'delay 20ms loss 1%');
  expect(both.out).toBe(
    'wan client:eth0 > server:eth0: clear → delay 20ms loss 1%\nwan server:eth0 > client:eth0: clear → delay 20ms loss 1%\n',
  );
  const one = await taplab('set', 'wan', 'rate', '10mbit', '--direction', 'reverse');
  expect(one.out).toBe(
    'wan server:eth0 > client:eth0: delay 20ms loss 1% → delay 20ms loss 1% rate 10mbit\n',
  );
  const cleared = await taplab('set', 'wan', 'clear', '--json');
  expect(JSON.parse(cleared.out)).toMatchObject({ after: { forward: { settings: { delayNs: 0 } } } });
});

test('set takes a map in YAML, as a lab file has it', async () => {
  const { out } = await taplab('set', 'wan', '{ delay: 20ms 2ms, rules: [{ match: arp, loss: 1% }] }');
  expect(out).toContain('wan client:eth0 > server:eth0: clear → delay 20ms 2ms match arp loss 1%\n');
  await taplab('set', 'wan', 'clear');
});

test('set says what does nothing for want of something else', async () => {
  const { status, err } = await taplab('set', 'wan', 'reorder 25% queue codel');
  expect([status, err]).toEqual([
    0,
    'taplab: wan: reorder does nothing without delay\ntaplab: wan: queue does nothing without rate\n',
  ]);
  await taplab('set', 'wan', 'clear');
});

test('set takes several links, and changes none when one is not there', async () => {
  const { linkState } = fixture.emulator;
  linkState.push({ ...linkState[0]!, name: 'lan' });
  const both = await taplab('set', 'wan', 'lan', 'loss', '2%', '--direction', 'forward');
  expect(both.out).toBe(
    'wan client:eth0 > server:eth0: clear → loss 2%\nlan client:eth0 > server:eth0: clear → loss 2%\n',
  );
  const refused = await taplab('set', 'wan', 'lam', 'loss 3%');
  expect(refused).toMatchObject({ status: 1, out: '', err: expect.stringMatching(/link "lam".*"lan"/) });
  const cleared = await taplab('set', 'wan', 'lan', 'clear', '--json');
  expect(JSON.parse(cleared.out)).toMatchObject({
    links: ['wan', 'lan'].map((name) => ({
      before: { name, forward: { settings: { loss: 0.02 } } },
      after: { name, forward: { settings: { loss: 0 } } },
    })),
  });
  linkState.pop();
});

describe('dump', () => {
  /** Runs dump, and lets frames arrive as soon as it listens. */
  async function dump(frames: number, ...args: string[]): Promise<Outcome> {
    const known = new Set(fixture.emulator.handles.keys());
    const running = taplab('dump', 'client:eth0', ...args);
    const found = () => fixture.emulator.descriptors().find(({ id }) => !known.has(id));
    await eventually(() => found() !== undefined, 'dump attaches');
    const descriptor = found()!;
    await eventually(() => fixture.captures.of(descriptor).status().subscribers.length === 1, 'dump listens');
    for (let i = 0; i < frames; i++) descriptor.capture(udp, i % 2 === 0 ? 'in' : 'out');
    const outcome = await running;
    await eventually(() => fixture.emulator.descriptor(descriptor.id) === undefined, 'dump detaches');
    return outcome;
  }

  test('prints a line per frame, and ends after as many as wanted', async () => {
    const { status, out, err } = await dump(5, '-c', '3');
    expect(status).toBe(0);
    const line = (direction: string): RegExp =>
      new RegExp(
        `^\\d\\d:\\d\\d:\\d\\d\\.000005 ${direction}    46  IP 198.18.0.1.8080 > 198.18.0.2.53: udp 4$`,
      );
    const lines = out.trimEnd().split('\n');
    expect(lines).toEqual([
      expect.stringMatching(line('in ')),
      expect.stringMatching(line('out')),
      expect.stringMatching(line('in ')),
    ]);
    expect(err).toContain('3 frames captured, 0 dropped');
  });

  test('writes a complete pcapng file', async () => {
    const path = join(folder, 'out.pcapng');
    const { status, out } = await dump(4, '@dns', '-w', path, '-c', '2');
    expect([status, out]).toEqual([0, '']);
    const bytes = readFileSync(path);
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) types.push(bytes.readUInt32LE(at));
    expect(types).toEqual([0x0a0d0d0a, 1, 6, 6, 5]);
  });

  /** Runs dump of several interfaces, and lets a frame arrive on each, the later one first. */
  async function dumpBoth(...args: string[]): Promise<Outcome> {
    const running = taplab('dump', ...args);
    const listening = () =>
      fixture.emulator.descriptors().filter((each) =>
        fixture.captures
          .of(each)
          .status()
          .subscribers.some(({ format }) => format !== 'bpf'),
      );
    await eventually(() => listening().length >= 2, 'dump listens');
    const [first, second] = listening();
    second!.captureBatch(batchOf({ seconds: 1000, nanoseconds: 7000, bytes: udp }));
    first!.captureBatch(batchOf({ seconds: 1000, nanoseconds: 5000, bytes: udp, dropReason: 1 }));
    const outcome = await running;
    await eventually(() => listening().length === 0, 'dump detaches');
    return outcome;
  }

  test('merges several interfaces, says which a frame is from, and why it was dropped', async () => {
    const { status, out, err } = await dumpBoth('client:eth0', 'server:eth0', 'udp', '--drops', '-c', '2');
    expect(status).toBe(0);
    expect(out.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/\.000005 client:eth0 drop +46 {2}IP .*udp 4 \(dropped by link wan: queue\)$/),
      expect.stringMatching(/\.000007 server:eth0 in +46 {2}IP .*udp 4$/),
    ]);
    expect(err).toContain('capturing on client:eth0, server:eth0, filter: udp;');
    expect(err).toContain('2 frames captured, 0 dropped');
  });

  test('writes all interfaces into one complete pcapng', async () => {
    const path = join(folder, 'all.pcapng');
    const { status, err } = await dumpBoth('--all', '-w', path, '-c', '2');
    expect([status, err]).toEqual([0, expect.stringContaining('server:tun0')]);
    const bytes = readFileSync(path);
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) types.push(bytes.readUInt32LE(at));
    expect(types).toEqual([0x0a0d0d0a, 1, 1, 1, 6, 6, 5, 5, 5]);
    expect(bytes.includes('dropped by link wan: queue')).toBe(true);
  });

  test('attaches to all or to none', async () => {
    const before = fixture.emulator.descriptors().length;
    const { status, err } = await taplab('dump', '--all', '@arp');
    expect([status, err]).toEqual([1, expect.stringMatching(/server:tun0: .*Ethernet/)]);
    expect(fixture.emulator.descriptors()).toHaveLength(before);
  });

  test('writes JSON lines to stdout', async () => {
    const { out } = await dump(1, '--format', 'json', '-c', '1');
    expect(JSON.parse(out)).toMatchObject({ interface: 'client:eth0', data: udp.toString('base64') });
  });
});

test('down asks for the end, and says so when it does not come', async () => {
  const { status, err } = await taplab('down', '--timeout', '1');
  expect(fixture.shutdowns()).toBe(1);
  expect(status).toBe(1);
  expect(err).toMatch(/still going down after 1 second;/);
});

/** A histogram of what was late by at most 50 µs, at most 250 µs, and more. */
function lateBy(counts: readonly number[]): Histogram {
  return { upperBoundsNs: [50e3, 250e3], counts, sumNs: 0 };
}
