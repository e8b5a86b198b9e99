/** Random expressions: optimised and unoptimised programs decide alike, and like libpcap's where tcpdump is installed. */

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compileFilter,
  FilterSyntaxError,
  LINK_TYPES,
  type LinkTypeName,
} from '../../../vm/compiler/index.ts';
import { CONSTRUCT_WORDS, NAMED_NUMBERS, PROTOCOL_WORDS } from '../../../vm/compiler/keywords.ts';
import { interpret } from '../../../vm/interpreter.ts';
import { parseProgram } from '../../../vm/parse.ts';
import type { Program } from '../../../vm/program.ts';
import type { Frame } from '../helpers/vectors.ts';
import { anyExpression, ethernetExpression, tunnelExpression } from './expressions.ts';
import { ethernetFrames, rewrap } from './frames.ts';

const RUNS = Number(process.env.COMPILER_PROPERTY_RUNS ?? 100);
const LINK_TYPE_NAMES = Object.keys(LINK_TYPES) as LinkTypeName[];

/** The first frame that the programs decide differently, as text; undefined when there is none. */
function firstDifference(a: Program, b: Program, frames: readonly Frame[]): string | undefined {
  const index = frames.findIndex(({ bytes, wireLength }) => {
    return interpret(a, bytes, wireLength) !== interpret(b, bytes, wireLength);
  });
  if (index < 0) return undefined;
  const { bytes } = frames[index]!;
  return `frame ${index}: ${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

describe('optimised = unoptimised', () => {
  test.each([
    ['EN10MB', ethernetExpression],
    ['EN10MB', tunnelExpression],
    ...LINK_TYPE_NAMES.map((name) => [name, anyExpression] as const),
  ] as const)('on %s, over complete and truncated frames', (linkType, arbitrary) => {
    const frames = rewrap(ethernetFrames, linkType).filter((_, index) => index % 5 === 0);
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 0, max: 90 }), (expression, cut) => {
        const optimised = compileFilter(expression, { linkType });
        const plain = compileFilter(expression, { linkType, optimize: false });
        const truncated = frames.map(({ bytes, wireLength }, index) => {
          return { bytes: bytes.subarray(0, (cut + index) % 91), wireLength };
        });
        expect(firstDifference(optimised, plain, [...frames, ...truncated])).toBeUndefined();
        expect(optimised.length).toBeLessThanOrEqual(plain.length);
      }),
      { numRuns: RUNS },
    );
  });

  test('tunnels of variable length, anywhere in an expression', () => {
    const tunnel = fc.constantFrom('geneve', 'geneve 5', 'vxlan', 'vxlan 5', 'vlan', 'mpls', 'pppoes');
    const after = fc.constantFrom(
      'ip',
      'tcp',
      'port 80',
      'ether host 02:00:00:00:00:aa',
      'tcp[13] = 2',
      'arp',
      'len > 9',
    );
    const operator = fc.constantFrom('and', 'or', 'and not');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(operator, fc.oneof(tunnel, after)), { maxLength: 4 }),
        tunnel,
        (rest, first) => {
          const expression = [first, ...rest.flat()].join(' ');
          for (const dialect of ['bsd', 'linux'] as const) {
            let plain: Program;
            try {
              plain = compileFilter(expression, { dialect, optimize: false });
            } catch {
              return; // Not every order of tunnels makes sense.
            }
            const optimised = compileFilter(expression, { dialect });
            expect(firstDifference(optimised, plain, ethernetFrames)).toBeUndefined();
          }
        },
      ),
      { numRuns: RUNS },
    );
  });
});

describe('any text', () => {
  const words = fc.constantFrom(
    ...Object.keys({ ...PROTOCOL_WORDS, ...CONSTRUCT_WORDS, ...NAMED_NUMBERS }),
    ...[
      '(',
      ')',
      '[',
      ']',
      ':',
      '/',
      '+',
      '-',
      '*',
      '%',
      '&',
      '|',
      '^',
      '<<',
      '>>',
      '=',
      '!=',
      '<',
      '>=',
      '!',
      '&&',
    ],
    ...[
      '0',
      '1',
      '80',
      '0xffffffff',
      '1.2.3.4',
      '10.0/8',
      'fe80::1',
      '::',
      '1:2:3:4:5:6',
      '\\tcp',
      'smtp',
      '20-80',
      '$5',
    ],
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.array(words, { maxLength: 12 }).map((soup) => soup.join(' ')),
    fc.array(words, { maxLength: 8 }).map((soup) => soup.join('')),
  );

  test.each(LINK_TYPE_NAMES)(
    'on %s compiles or is refused with a FilterSyntaxError in the text',
    (linkType) => {
      fc.assert(
        fc.property(texts, fc.constantFrom('bsd' as const, 'linux' as const), (text, dialect) => {
          try {
            compileFilter(text, { linkType, dialect });
          } catch (error) {
            if (!(error instanceof FilterSyntaxError)) throw error;
            expect(error.position).toBeGreaterThanOrEqual(0);
            expect(error.position).toBeLessThanOrEqual(text.length);
          }
        }),
        { numRuns: 4 * RUNS },
      );
    },
  );
});

/** What libpcap compiles an expression to; undefined when it finds that nothing can match. */
function tcpdump(expression: string, linkType: LinkTypeName, ...options: '-O'[]): Program | undefined {
  try {
    const text = execFileSync('tcpdump', [...options, '-y', linkType, '-ddd', expression], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return parseProgram(text, { backwardJumps: true });
  } catch (error) {
    const stderr = String((error as { stderr?: unknown }).stderr);
    if (/rejects all packets/.test(stderr)) return undefined;
    throw new Error(`tcpdump -y ${linkType} '${expression}': ${stderr}`);
  }
}

function hasTcpdump(): boolean {
  try {
    return /libpcap/.test(execFileSync('tcpdump', ['--version'], { encoding: 'utf8', stdio: 'pipe' }));
  } catch {
    console.warn('skipped: comparison with libpcap, as tcpdump is not installed');
    return false;
  }
}

describe.skipIf(!hasTcpdump())('compiled here = compiled by libpcap (tcpdump -ddd)', () => {
  test.each([
    ['EN10MB', ethernetExpression],
    ['EN10MB', tunnelExpression],
    ['RAW', anyExpression],
    ['LINUX_SLL', anyExpression],
    ['LINUX_SLL2', anyExpression],
    ['NULL', anyExpression],
    ['LOOP', anyExpression],
    ['IPV4', anyExpression],
    ['IPV6', anyExpression],
  ] as const)('on %s, over complete frames', (linkType, arbitrary) => {
    // libpcap's optimizer accepts some truncated frames that its unoptimised programs reject.
    const frames = rewrap(
      ethernetFrames.filter(({ bytes }) => bytes.length >= 60),
      linkType,
    );
    fc.assert(
      fc.property(arbitrary, (expression) => {
        const ours = compileFilter(expression, { linkType });
        const theirs = tcpdump(expression, linkType);
        if (theirs === undefined) {
          expect(frames.every(({ bytes, wireLength }) => interpret(ours, bytes, wireLength) === 0)).toBe(
            true,
          );
        } else {
          // libpcap 1.10.3's optimizer also makes mistakes, as of `... not (ip[0] = ip[0] & 1) ...`: what counts then is
          // what it compiles without.
          const differs = firstDifference(ours, theirs, frames) !== undefined;
          const reference = differs ? tcpdump(expression, linkType, '-O')! : theirs;
          expect(firstDifference(ours, reference, frames)).toBeUndefined();
        }
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });

  test.each([
    ...[
      'geneve',
      'geneve 5 and tcp',
      'geneve and ip6 and udp port 53',
      'geneve and ether host 02:00:00:00:00:bb',
    ],
    ...[
      'ip6 protochain 6',
      'ip6 protochain 17',
      'ip protochain 132',
      'port http',
      'port ssh',
      'udp port domain',
    ],
    ...[
      'portrange ssh-http',
      'isis',
      'l1',
      'iih',
      'lsp or csnp',
      'ether proto \\ipx',
      'ether proto 0x8100',
      'ipx',
    ],
    ...[
      'vlan and vlan 5 and (tcp or udp)',
      'mpls 5 and mpls',
      'pppoes and ip6',
      'not vlan and ip',
      'llc rnr',
      'byte 9 > 3',
    ],
  ])('%j, over complete frames', (expression) => {
    const frames = ethernetFrames.filter(({ bytes }) => bytes.length >= 60);
    expect(
      firstDifference(compileFilter(expression), tcpdump(expression, 'EN10MB')!, frames),
    ).toBeUndefined();
  });
});
