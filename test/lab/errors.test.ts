import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LabFileError, type ParseOptions, parseLab } from '../../src/lab/parse.ts';

const PAIR = `name: x
nodes:
  a: { interfaces: { e0: , e1: } }
  b: { interfaces: { e0: , e1: } }
`;

/** Each line that parseLab reports, as `line:column: message`. */
function errorsOf(text: string, options: Partial<ParseOptions> = {}): string[] {
  try {
    parseLab(text, { file: 'f', baseDirectory: '/', ...options });
  } catch (error) {
    if (!(error instanceof LabFileError)) throw error;
    expect(error.message.split('\n')).toHaveLength(Math.min(error.errors.length, 101));
    return error.errors.map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
  return [];
}

const TUN_LINK =
  'name: x\nnodes: { a: { interfaces: { t: { device: tun } } }, b: { interfaces: { t: { device: tun } } } }\nlinks:\n  - endpoints: [a:t, b:t]';

describe('a lab file with one error', () => {
  test.each<[what: string, text: string, expected: string | RegExp]>([
    ['unknown key', `${PAIR}lniks: []`, '5:1: unknown key "lniks"; did you mean "links"?'],
    [
      'unknown key, nothing near',
      `${PAIR}zzz: []`,
      /^5:1: unknown key "zzz"; known here: name, seed, workers/,
    ],
    [
      'unknown key of a node',
      'name: x\nnodes:\n  a:\n    route: []',
      '4:5: unknown key "route"; did you mean "routes"?',
    ],
    [
      'unknown key of an interface',
      'name: x\nnodes:\n  a: { interfaces: { e0: { mut: 1500 } } }',
      '3:28: unknown key "mut"; did you mean "mtu"?',
    ],
    [
      'unknown key of a link',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impare: {}`,
      '7:5: unknown key "impare"; did you mean "impair"?',
    ],
    [
      'unknown key of an impairment',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    forward:\n      delya: 20ms`,
      '8:7: unknown key "delya"; did you mean "delay"?',
    ],
    [
      'unknown key of a descriptor',
      `${PAIR}descriptors: [{ interface: a:e0, fliter: ip }]`,
      /^5:34: .*"filter"/,
    ],
    ['missing name', 'nodes: { a: }', '1:1: missing key "name"'],
    ['missing nodes', 'name: x', '1:1: missing key "nodes"'],
    ['no node at all', 'name: x\nnodes: {}', /^2:1: a lab needs at least one node/],
    ['missing endpoints', `${PAIR}links:\n  - name: l`, '6:5: missing key "endpoints"'],
    [
      'bad unit',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: { delay: 20xs }`,
      /^7:22: delay "20xs": unknown unit/,
    ],
    [
      'bad unit in text',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: loss 1% delay 20xs`,
      /^7:27: delay "20xs"/,
    ],
    [
      'bad unit in quoted text',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: "delay 20xs"`,
      /^7:20: delay "20xs"/,
    ],
    [
      'loss above 100 %',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: { loss: 101% }`,
      /^7:21: loss "101%": too large/,
    ],
    [
      'impairment of the wrong type',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: 20`,
      '7:13: impair: expected a string or a map, found number 20',
    ],
    [
      'endpoint used twice in a link',
      `${PAIR}links:\n  - endpoints: [a:e0, a:e0]`,
      '6:23: link 1 joins a:e0 with itself: a link needs two interfaces',
    ],
    [
      'endpoint used twice in two links',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n  - { name: l2, endpoints: [b:e1, a:e0] }`,
      '7:35: a:e0 is used twice, in link 1 and in link "l2"',
    ],
    [
      'interface of a node that has none',
      'name: x\nnodes: { a: , b: { interfaces: { e: } } }\nlinks: [{ endpoints: [b:e, a:e] }]',
      '3:28: node "a" has no interface "e"; it has none',
    ],
    ['missing node', `${PAIR}links:\n  - endpoints: [a:e0, c:zz]`, '6:23: no node "c"; did you mean "a"?'],
    [
      'missing interface',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e9]`,
      '6:23: node "b" has no interface "e9"; did you mean "e0"?',
    ],
    [
      'an endpoint that is no name',
      `${PAIR}links:\n  - endpoints: [a:e0, b]`,
      /^6:23: "b" is not an interface: expected NODE:INTERFACE/,
    ],
    ['one endpoint', `${PAIR}links:\n  - endpoints: [a:e0]`, /^6:5: endpoints: expected .*2 entries/],
    [
      'three endpoints',
      `${PAIR}links:\n  - endpoints: [a:e0, b:e0, b:e1]`,
      /^6:5: endpoints: expected .*2 entries/,
    ],
    ['duplicate node', 'name: x\nnodes:\n  a:\n  b:\n  a:', '5:3: duplicate key "a"'],
    [
      'duplicate link name',
      `${PAIR}links:\n  - { name: l, endpoints: [a:e0, b:e0] }\n  - { name: l, endpoints: [a:e1, b:e1] }`,
      '7:13: duplicate link name "l", also link 1',
    ],
    ['bad lab name', 'name: a b\nnodes: { a: }', /^1:7: name: bad name "a b"/],
    ['lab name of 33 letters', `name: ${'x'.repeat(33)}\nnodes: { a: }`, /^1:7: name: bad name/],
    ['lab name that is a number', 'name: 7\nnodes: { a: }', '1:7: name: expected a string, found number 7'],
    ['bad node name', 'name: x\nnodes:\n  -a:', /^3:3: bad name "-a"/],
    [
      'interface name of 16 letters',
      `name: x\nnodes: { a: { interfaces: { ${'e'.repeat(16)}: } } }`,
      /^2:29: bad name "e{16}"/,
    ],
    [
      'interface name with a slash',
      'name: x\nnodes: { a: { interfaces: { e/0: } } }',
      /^2:29: bad name "e\/0"/,
    ],
    ['interface called ..', 'name: x\nnodes: { a: { interfaces: { "..": } } }', /^2:29: bad name "\.\."/],
    ['interface lo', 'name: x\nnodes: { a: { interfaces: { lo: } } }', /^2:29: lo is the loopback device/],
    ['__proto__', 'name: x\nnodes:\n  a:\n  __proto__: { interfaces: {} }', '4:3: bad name "__proto__"'],
    [
      'address without length',
      iface('ip: 198.18.0.1'),
      '2:38: "198.18.0.1" needs a prefix length, as 198.18.0.1/24',
    ],
    [
      'no address',
      iface('ip: [198.18.0.1/24, 198.18.0.256/24]'),
      /^2:54: "198.18.0.256\/24" is not an address/,
    ],
    ['prefix too long', iface('ip: 198.18.0.1/33'), /^2:38: "198.18.0.1\/33" is not an address/],
    ['address twice', iface('ip: [198.18.0.1/24, 198.18.0.1/24]'), /^2:54: 198.18.0.1\/24 is given twice/],
    ['address of the wrong type', iface('ip: 4'), /^2:38: ip: expected a string or a list, found number 4/],
    ['mtu too small', iface('mtu: 67'), '2:39: mtu: must be at least 68'],
    ['mtu too large', iface('mtu: 9001'), '2:39: mtu: must be at most 9000'],
    ['mtu of half a byte', iface('mtu: 68.5'), /^2:39: mtu: expected a whole number/],
    ['mtu too small for IPv6', iface('ip: fd00::1/64, mtu: 1000'), /^2:55: mtu 1000 is too small for IPv6/],
    ['multicast mac', iface('mac: 01:00:00:00:00:01'), /^2:39: "01:.*is a multicast address/],
    ['short mac', iface('mac: 02:00'), /^2:39: "02:00" expected six bytes/],
    [
      'unknown device',
      iface('device: tab'),
      '2:42: device: "tab": expected tap, tun, tuntap2, memory, pcap; did you mean "tap"?',
    ],
    ['file for a tap', iface('read: x.pcap'), '2:34: read is for device pcap; this one is tap'],
    ['pcap without file', iface('device: pcap'), /^2:29: device pcap needs a file/],
    [
      'mac for a tun',
      iface('device: tun, mac: 02:00:00:00:00:01'),
      /^2:47: a tun device has no hardware address/,
    ],
    [
      'tap linked with tun',
      'name: x\nnodes: { a: { interfaces: { e: } }, b: { interfaces: { t: { device: tun } } } }\nlinks:\n  - endpoints: [a:e, b:t]',
      /^4:5: a:e is a tap and b:t a tun device: tun carries IP packets/,
    ],
    [
      'a rule for Ethernet frames on a link of tun devices',
      `${TUN_LINK}\n    impair: { rules: [{ match: ether host 02:00:00:00:00:01, loss: 5% }] }`,
      /^5:5: filter "ether host 02:00:00:00:00:01" does not fit its frames, which are RAW: /,
    ],
    [
      'a class for Ethernet frames, in one direction of a link of tun devices',
      `${TUN_LINK}\n    reverse: rate 1mbit queue prio class "vlan 10"`,
      /^5:14: filter "vlan 10" does not fit its frames, which are RAW: /,
    ],
    [
      'a change over time to a rule for Ethernet frames on tun devices',
      `${TUN_LINK}\n    name: t\ntimeline: [{ at: 1s, link: t, set: 'match "vlan 10" loss 5%' }]`,
      /^6:36: filter "vlan 10" does not fit its frames, which are RAW: /,
    ],
    [
      'memory devices of a node that joins',
      'name: x\nnodes:\n  a: { join: true, interfaces: { m: { device: memory } } }',
      '3:34: a brings its own devices (join), which are tap or tun; this one is memory',
    ],
    [
      'a node that joins with nothing',
      'name: x\nnodes:\n  a: { join: true }',
      '3:8: a node that joins needs an interface',
    ],
    [
      'a node that joins with more devices than a message holds',
      `name: x\nnodes:\n  a: { join: true, interfaces: { ${Array.from({ length: 254 }, (_, i) => `e${i}: `).join(', ')} } }`,
      '3:8: a node that joins has at most 253 interfaces; this one has 254',
    ],
    [
      'kernel and memory devices',
      'name: x\nnodes:\n  a: { interfaces: { e: } }\n  b: { interfaces: { m: { device: memory } } }',
      /^4:22: device memory cannot be in one lab with a:e, a tap device/,
    ],
    [
      'descriptor on an unknown interface',
      `${PAIR}descriptors:\n  - interface: a:e7`,
      '6:16: node "a" has no interface "e7"; did you mean "e0"?',
    ],
    [
      'two descriptors write one file',
      `${PAIR}descriptors:\n  - { interface: a:e0, write: x }\n  - { interface: a:e1, write: x }`,
      '7:31: descriptor 1 writes to x too',
    ],
    [
      'bad direction',
      `${PAIR}descriptors: [{ interface: a:e0, direction: both }]`,
      /^5:45: direction: "both": expected in, out, inout/,
    ],
    [
      'gateway out of reach',
      node('routes: [default via 198.19.0.1]'),
      /^5:14: gateway 198.19.0.1 is in no network/,
    ],
    [
      'route of two families',
      node('routes: [fd00::/8 via 198.18.0.2]'),
      /^5:14: fd00::\/8 via 198.18.0.2: one is IPv4/,
    ],
    ['route without via', node('routes: [default dev e]'), /^5:14: "default dev e" is not a route/],
    [
      'route to nowhere',
      node('routes: [{ to: home, via: 198.18.0.2 }]'),
      /^5:20: "home" is not a destination/,
    ],
    ['sysctl outside of net', node('sysctls: { kernel.hostname: x }'), /^5:16: bad name "kernel.hostname"/],
    [
      'sysctl that climbs',
      node('sysctls: { "net/../kernel/hostname": x }'),
      /^5:16: bad name "net\/\.\.\/kernel/,
    ],
    ['seed below 0', 'name: x\nseed: -1\nnodes: { a: }', '2:7: seed: must be at least 0'],
    ['workers', 'name: x\nworkers: 65\nnodes: { a: }', '2:10: workers: must be at most 64'],
    ['a key that is a map', 'name: x\n? { a: b }\n: c\nnodes: { a: }', /^2:3: a key must be a plain word/],
    ['not YAML', 'name: x\nnodes: { a: ', /^\d+:\d+: not valid YAML: /],
    ['a list', '- a', /^1:1: expected a map, found a list/],
    ['nothing', '', /missing key "name"/],
    [
      'two braces that are not closed',
      'name: x\nlinks:\n  - { name: l, impair: { loss: 1%\n',
      /^4:1: not valid YAML: Flow map .* end with a }$/,
    ],
    ['two documents', 'name: x\n---\nname: y', /not valid YAML/],
  ])('%s', (_, text, expected) => {
    const errors = errorsOf(text);
    expect(errors[0]).toMatch(expected);
    // An empty file misses both keys; every other case is one slip and must be one error.
    expect(errors).toHaveLength(text === '' ? 2 : 1);
  });
});

function iface(settings: string): string {
  return `name: x\nnodes: { a: { interfaces: { e: { ${settings} } } } }`;
}

function node(settings: string): string {
  return `name: x\nnodes:\n  a:\n    interfaces: { e: { ip: 198.18.0.1/24 } }\n    ${settings}`;
}

describe('a lab file with many errors', () => {
  test('all are reported at once, in the order of the file, also those between parts of a file that is wrong', () => {
    const errors = errorsOf(`
name: "bad name"
nod: 3
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1, mtu: 20 }, t0: { device: tun } } }
  b: { interfaces: { eth0: } }
links:
  - endpoints: [a:eth0, b:eth1]
    impair: delay 20xs lss 3%
  - name: x
    endpoints: [a:eth0, a:t0]
descriptors:
  - { interface: a:eth7, direction: both }
`);
    expect(errors.map((error) => error.split(': ')[0])).toEqual([
      '2:7',
      '3:1',
      '5:34',
      '5:51',
      '8:25',
      '9:19',
      '9:24',
      '11:5',
      '11:17',
      '13:18',
      '13:37',
    ]);
  });

  test('the message has one line per error, as file:line:column: message', () => {
    expect(() =>
      parseLab('name: x y\nnodes: { a: }\nxyz: 1', { file: 'dir/lab.yaml', baseDirectory: '/' }),
    ).toThrow(/^dir\/lab\.yaml:1:7: name: bad name "x y": .*\ndir\/lab\.yaml:3:1: unknown key "xyz".*$/);
  });

  test('what came by an alias is reported where it is used', () => {
    const text = `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: &bad { delay: 1xs }\n  - endpoints: [a:e1, b:e1]\n    impair: *bad`;
    expect(errorsOf(text).map((error) => error.split(': ')[0])).toEqual(['7:27', '9:13']);
  });
});

describe('filters of descriptors', () => {
  const text = `name: x
nodes: { a: { interfaces: { e: } }, b: { interfaces: { t: { device: tun } } } }
descriptors:
  - { interface: a:e, filter: tcp prt 80 }
  - { interface: b:t, filter: 'tcp prt 81' }
  - { interface: a:e, filter: good }
  - { interface: a:e }
`;

  test('are checked by the function given, for the link type of the interface', () => {
    const seen: [string, number][] = [];
    const errors = errorsOf(text, {
      checkFilter: (filter, linkType) => {
        seen.push([filter, linkType]);
        return filter === 'good' ? undefined : { message: `unknown word "prt"`, position: 4 };
      },
    });
    expect(seen).toEqual([
      ['tcp prt 80', 1],
      ['tcp prt 81', 101],
      ['good', 1],
    ]);
    expect(errors).toEqual(['4:35: filter: unknown word "prt"', '5:36: filter: unknown word "prt"']);
  });

  test('are taken as they are without it', () => {
    expect(errorsOf(text)).toEqual([]);
  });
});

describe('a hostile file is refused in bounded time', () => {
  const bomb = ['a: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++)
    bomb.push(
      `k${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );

  test.each<[string, string, RegExp]>([
    ['larger than half a megabyte', `name: x\n${'#'.repeat(530_000)}`, /file is larger than/],
    ['a hundred thousand brackets', '['.repeat(100_000), /nested more than|not valid YAML/],
    ['fifty thousand block sequences', '- '.repeat(50_000), /nested more than/],
    ['forty levels', `name: x\nnodes: ${'['.repeat(40)}${']'.repeat(40)}`, /nested more than 32 deep/],
    ['aliases of aliases of aliases', bomb.join('\n'), /aliases cannot be used like this/],
    [
      'an alias inside itself',
      'name: x\nnodes: &n\n  a: { interfaces: *n }',
      /unknown key|bad name|expected|nested/,
    ],
    [
      'ten thousand unknown keys',
      Array.from({ length: 10_000 }, (_, i) => `k${i}: 1`).join('\n'),
      /unknown key "k0"/,
    ],
    ['twenty thousand times the same key', 'k: 1\n'.repeat(20_000), /duplicate key "k"/],
    ['NUL bytes', '\0\0\0', /./],
  ])('%s', (_, text, expected) => {
    const before = performance.now();
    const errors = errorsOf(text);
    expect(performance.now() - before).toBeLessThan(10_000);
    expect(errors.join('\n')).toMatch(expected);
  });
});

describe('any text', () => {
  const example = readFileSync(new URL('../../examples/two-links.yaml', import.meta.url), 'utf8');
  const damage = fc.record({
    start: fc.nat({ max: example.length }),
    removed: fc.nat({ max: 30 }),
    inserted: fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom(
        '&a ',
        '*a',
        '- ',
        ': ',
        '{',
        '}',
        '[',
        ']',
        '\n',
        '  ',
        '!!set ',
        'null',
        '<<: ',
        '1e9',
        '? ',
      ),
    ),
  });

  test('is a lab, or refused with places inside the text', () => {
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        let text = example;
        for (const { start, removed, inserted } of damages) {
          text = text.slice(0, start) + inserted + text.slice(start + removed);
        }
        try {
          parseLab(text, { file: 'f', baseDirectory: '/' });
        } catch (error) {
          if (!(error instanceof LabFileError)) throw error;
          const lines = text.split('\n');
          expect(error.errors.length).toBeGreaterThan(0);
          for (const { line, column } of error.errors) {
            expect(line).toBeGreaterThanOrEqual(1);
            expect(line).toBeLessThanOrEqual(lines.length);
            expect(column).toBeGreaterThanOrEqual(1);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('tables of impairments', () => {
  const lab = (impair: string): string => `${PAIR}links:\n  - endpoints: [a:e0, b:e0]\n    impair: ${impair}`;

  test.each([
    ['delay 1ms 1ms distribution none.dist', /^7:40: distribution "none.dist": cannot be read: ENOENT/],
    ['{ delay: 1ms 1ms, distribution: ./ }', /^7:\d+: distribution ".\/": not a file/],
    [
      '{ rules: [{ match: ip, distribution: none.dist }] }',
      /^7:\d+: distribution "none.dist": cannot be read/,
    ],
  ])('%s', (impair, expected) => {
    const errors = errorsOf(lab(impair), { baseDirectory: '/nowhere-at-all/..' });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(expected);
  });

  test('are read from the folder of the lab file, and their entries are checked', () => {
    const folder = mkdtempSync(join(tmpdir(), 'taplab-table-'));
    try {
      writeFileSync(join(folder, 'good.dist'), '# mine\n-8192 0\n8192\n');
      writeFileSync(join(folder, 'bad.dist'), '1 2\n3 x\n');
      const good = parseLab(lab('delay 1ms 1ms distribution good.dist'), {
        file: 'f',
        baseDirectory: folder,
      });
      expect(good.links[0]!.forward.distribution).toEqual({
        name: 'good.dist',
        entries: 3,
        data: Buffer.from(Int16Array.of(-8192, 0, 8192).buffer).toString('base64'),
      });
      const bad = errorsOf(lab('delay 1ms 1ms distribution bad.dist'), { baseDirectory: folder });
      expect(bad).toEqual([
        '7:40: distribution "bad.dist", line 2: "x": expected whole numbers from -32768 to 32767',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
