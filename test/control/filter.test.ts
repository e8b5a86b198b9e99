import { describe, expect, test } from 'vitest';
import { filterProblem, looksLikeProgram, readyFilters, resolveFilter } from '../../src/control/filter.ts';
import { interpret } from '../../vm/index.ts';

const ETHERNET = 1;
const RAW = 101;

describe('text is taken for a program', () => {
  test.each([
    ['-ddd output', '2\n40 0 0 12\n6 0 0 96'],
    ['the one-line form of it', '1,6 0 0 96'],
    ['-dd output', '{ 0x6, 0, 0, 0x00000060 },'],
    ['a listing', '(000) ldh      [12]\n(001) ret      #96'],
    ['bpf_asm source', 'ldh [12]\nret #96'],
    ['bpf_asm source that begins with comments', '; what it is for\n\n# and more\n  ret #0'],
    ['bpf_asm source that begins with a label', 'start: ld #len\nret a'],
    ['a label on a line of its own', 'start:\nret #0'],
  ])('when it is %s', (_form, text) => {
    expect(looksLikeProgram(text)).toBe(true);
  });

  test.each([
    'tcp port 80',
    'len > 100',
    '(tcp or udp) and port 53',
    '(10 + 2 = len)',
    'ether[0] & 1 = 0',
    'not arp',
    'and',
    'sctp',
    'jumbo',
    'host ld',
    '80 < len',
    'ip6',
  ])('but not when it is the expression %s', (text) => {
    expect(looksLikeProgram(text)).toBe(false);
  });
});

describe('ready-made filters', () => {
  test.each(readyFilters())('@$name resolves and says what it is for', ({ name, purpose }) => {
    expect(purpose).not.toBe('');
    const { label, program } = resolveFilter(`@${name}`, ETHERNET);
    expect(label).toBe(`@${name}`);
    expect(program.length).toBeGreaterThan(0);
  });

  test.each(['@../package', '@arp.bpf', '@', '@ARP'])('%s is none', (name) => {
    expect(() => resolveFilter(name, ETHERNET)).toThrow(/there is no ready-made filter/);
  });

  test('are refused where frames have no Ethernet header', () => {
    expect(() => resolveFilter('@tcp', RAW)).toThrow(/written for Ethernet/);
  });
});

test('nothing means every frame, whole', () => {
  const { label, program } = resolveFilter('  ', RAW);
  expect(label).toBe('');
  expect(interpret(program, new Uint8Array(60))).toBe(262_144);
});

describe('expressions', () => {
  test.each([
    ['icmp and inbound', 9],
    ['ifindex 2', 0],
  ])('%s asks for what a frame has not: it says what to choose instead', (expression, position) => {
    const problem = filterProblem(expression, ETHERNET);
    expect(problem).toEqual({
      position,
      message: expect.stringMatching(/choose an interface and a direction/),
    });
  });

  test('another mistake is told as it is', () => {
    expect(filterProblem('inbound and tcp prot 80', ETHERNET)?.message).toMatch(/did you mean 'port'/);
  });

  const packet = '450000280000400040060000c6120001c61200029c40005000000000000000005002faf000000000';
  const frames = { [ETHERNET]: `0200000000020200000000010800${packet}`, [RAW]: packet };

  test.each([
    ['tcp port 80', ETHERNET, true],
    ['udp port 80', ETHERNET, false],
    ['tcp port 80', RAW, true],
    ['src host 198.18.0.2', RAW, false],
  ] as const)('%s is compiled for link type %i', (expression, linkType, accepted) => {
    const { label, program } = resolveFilter(expression, linkType);
    expect(label).toBe(expression);
    expect(interpret(program, Buffer.from(frames[linkType], 'hex')) > 0).toBe(accepted);
  });
});
