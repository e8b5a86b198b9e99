import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { interpret, type Program, parseProgram } from '../../vm/index.ts';
import { ACK, ethernet, FIN, icmp, ipv4, ipv6, ipv6Fragment, RST, SYN, tcp, udp } from './helpers/frames.ts';
import { hasVectors, readCorpus, tcpdumpProgram } from './helpers/vectors.ts';

const FOLDER = join(import.meta.dirname, '../../filters');

type Filter = {
  readonly name: string;
  readonly purpose: string;
  readonly expression: string;
  readonly program: Program;
};

function readFilter(file: string): Filter {
  const text = readFileSync(join(FOLDER, file), 'utf8');
  const header = /^; ([a-z0-9-]+): (.+)\n; pcap-filter: (.+)\n/.exec(text);
  if (header === null)
    throw new Error(`${file} does not start with '; name: purpose' and '; pcap-filter: ...'`);
  const [, name, purpose, expression] = header;
  return { name: name!, purpose: purpose!, expression: expression!, program: parseProgram(text) };
}

const FILTERS = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.bpf'))
  .map(readFilter);

const arp = ethernet(0x0806, '0001080006040001'.padEnd(56, '0'));
const v4 = (protocol: number, payload: string, options = {}): Uint8Array =>
  ethernet(0x0800, ipv4(protocol, payload, options));
const v6 = (nextHeader: number, payload: string): Uint8Array => ethernet(0x86dd, ipv6(nextHeader, payload));
const tcp4 = (from: number, to: number, flags = ACK): Uint8Array => v4(6, tcp(from, to, flags));
const udp4 = (from: number, to: number): Uint8Array => v4(17, udp(from, to));
const laterFragment = (protocol: number, payload: string): Uint8Array =>
  v4(protocol, payload, { fragment: 0x2001 });
const withOptions = (protocol: number, payload: string): Uint8Array =>
  v4(protocol, payload, { optionBytes: 8 });

/** Frames a port filter must and must not match. */
function port(protocol: 6 | 17, number: number): Expectation {
  const transport = protocol === 6 ? tcp : udp;
  const other = protocol === 6 ? 17 : 6;
  return {
    matches: [
      v4(protocol, transport(number, 40000)),
      v4(protocol, transport(40000, number)),
      withOptions(protocol, transport(40000, number)),
      v4(protocol, transport(40000, number), { fragment: 0x2000 }),
      v6(protocol, transport(number, 40000)),
      v6(protocol, transport(40000, number)),
    ],
    misses: [
      v4(protocol, transport(number + 1, 40000)),
      laterFragment(protocol, transport(number, number)),
      v4(132, transport(number, number)),
      v6(132, transport(number, number)),
      ...(number === 53 || number === 443
        ? []
        : [v4(other, transport(number, number)), v6(other, transport(number, number))]),
      v4(protocol, transport(40000, number)).subarray(0, 34),
      arp,
    ],
  };
}

type Expectation = { readonly matches: readonly Uint8Array[]; readonly misses: readonly Uint8Array[] };

const EXPECTATIONS: Readonly<Record<string, Expectation>> = {
  arp: { matches: [arp], misses: [udp4(1, 2), v6(58, icmp(135))] },
  ipv4: { matches: [udp4(1, 2)], misses: [arp, v6(17, udp(1, 2))] },
  ipv6: { matches: [v6(17, udp(1, 2))], misses: [arp, udp4(1, 2)] },
  lldp: { matches: [ethernet(0x88cc, '0207')], misses: [arp] },
  vlan: {
    matches: [ethernet(0x8100, '00050800'), ethernet(0x88a8, '00050800'), ethernet(0x9100, '00050800')],
    misses: [arp, udp4(1, 2)],
  },
  broadcast: {
    matches: [ethernet(0x0806, '', 'ffffffffffff')],
    misses: [ethernet(0x0806, '', '01ffffffffff'), ethernet(0x0806, '', 'fffffffffffe'), arp],
  },
  multicast: {
    matches: [ethernet(0x0806, '', 'ffffffffffff'), ethernet(0x0800, '', '01005e000001')],
    misses: [arp, ethernet(0x0800, '', 'fe0000000000')],
  },
  icmp: { matches: [v4(1, icmp(3)), laterFragment(1, icmp(8))], misses: [v6(58, icmp(128)), udp4(1, 2)] },
  igmp: { matches: [v4(2, '1100000000000000')], misses: [v4(1, icmp(8)), arp] },
  icmp6: {
    matches: [v6(58, icmp(128)), v6(44, ipv6Fragment(58, icmp(128)))],
    misses: [v4(1, icmp(8)), v4(58, icmp(128)), v6(44, ipv6Fragment(6, tcp(1, 2))), v6(17, udp(1, 2))],
  },
  ping: {
    matches: [v4(1, icmp(8)), v4(1, icmp(0)), withOptions(1, icmp(8))],
    misses: [v4(1, icmp(3)), laterFragment(1, icmp(8)), v6(58, icmp(8)), v4(6, icmp(8))],
  },
  tcp: {
    matches: [tcp4(1, 2), v6(6, tcp(1, 2)), v6(44, ipv6Fragment(6, tcp(1, 2))), laterFragment(6, tcp(1, 2))],
    misses: [udp4(1, 2), v6(17, udp(1, 2)), v6(44, ipv6Fragment(17, '')), arp],
  },
  udp: {
    matches: [udp4(1, 2), v6(17, udp(1, 2)), v6(44, ipv6Fragment(17, udp(1, 2)))],
    misses: [tcp4(1, 2), arp],
  },
  sctp: { matches: [v4(132, udp(1, 2)), v6(132, udp(1, 2))], misses: [tcp4(1, 2), v6(6, tcp(1, 2)), arp] },
  'tcp-syn': {
    matches: [tcp4(1, 2, SYN), withOptions(6, tcp(1, 2, SYN))],
    misses: [
      tcp4(1, 2, SYN | ACK),
      tcp4(1, 2),
      tcp4(1, 2, FIN),
      laterFragment(6, tcp(1, 2, SYN)),
      v6(6, tcp(1, 2, SYN)),
    ],
  },
  'tcp-rst': {
    matches: [tcp4(1, 2, RST), tcp4(1, 2, RST | ACK)],
    misses: [tcp4(1, 2, SYN), v4(17, tcp(1, 2, RST))],
  },
  'tcp-fin': {
    matches: [tcp4(1, 2, FIN | ACK)],
    misses: [tcp4(1, 2, SYN | ACK), laterFragment(6, tcp(1, 2, FIN))],
  },
  fragments: {
    matches: [
      laterFragment(17, 'aa'),
      v4(17, 'aa', { fragment: 0x2000 }),
      v4(17, 'aa', { fragment: 0x0001 }),
      v6(44, ipv6Fragment(6, 'aa')),
    ],
    misses: [udp4(1, 2), v4(17, 'aa', { fragment: 0x4000 }), v6(17, udp(1, 2)), arp],
  },
  http: port(6, 80),
  ssh: port(6, 22),
  ntp: port(17, 123),
  mdns: port(17, 5353),
  https: { matches: [...port(6, 443).matches, ...port(17, 443).matches], misses: port(6, 443).misses },
  dns: { matches: [...port(6, 53).matches, ...port(17, 53).matches], misses: port(17, 53).misses },
  dhcp: {
    matches: [...port(17, 67).matches, ...port(17, 68).matches],
    misses: [tcp4(67, 68), udp4(66, 69), arp],
  },
};

describe('the ready-made filter', () => {
  it.each(FILTERS)('$name keeps what it says and nothing else', ({ name, program }) => {
    const expectation = EXPECTATIONS[name];
    if (expectation === undefined) throw new Error(`no frames for the filter ${name}: add them to this test`);
    expect(expectation.matches.map((frame) => interpret(program, frame))).toEqual(
      expectation.matches.map(() => 262144),
    );
    expect(expectation.misses.map((frame) => interpret(program, frame))).toEqual(
      expectation.misses.map(() => 0),
    );
  });

  it('names are the file names, and all are in filters/README.md', () => {
    const files = readdirSync(FOLDER).filter((file) => file.endsWith('.bpf'));
    expect(FILTERS.map(({ name }) => `${name}.bpf`)).toEqual(files);
    const rows = readFileSync(join(FOLDER, 'README.md'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `@'));
    const expected = FILTERS.map(
      (f) => `| \`@${f.name}\` | ${f.purpose} | \`${f.expression.replaceAll('|', '\\|')}\` |`,
    );
    expect(rows.toSorted()).toEqual(expected.toSorted());
  });
});

const tcpdump = tcpdumpProgram('arp') !== undefined;
if (!tcpdump) console.warn('skipped: tcpdump is not installed, filters are not compared with its compiler');

describe.runIf(tcpdump && hasVectors('corpus-en10mb.pcap'))('over the capture corpus', () => {
  const corpus = readCorpus('corpus-en10mb.pcap');
  const verdicts = (program: Program): number[] =>
    corpus.map(({ bytes, wireLength }) => interpret(program, bytes, wireLength));
  it.each(FILTERS)('@$name agrees with libpcap on: $expression', ({ expression, program }) => {
    expect(verdicts(program)).toEqual(verdicts(parseProgram(tcpdumpProgram(expression)!)));
  });
});
