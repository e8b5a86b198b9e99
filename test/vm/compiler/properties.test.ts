/** Random expressions: optimised and unoptimised programs decide alike, and like libpcap's where tcpdump is installed. */

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileFilter, LINK_TYPES, type LinkTypeName } from '../../../vm/compiler/index.ts';
import { interpret } from '../../../vm/interpreter.ts';
import { parseProgram } from '../../../vm/parse.ts';
import type { Program } from '../../../vm/program.ts';
import type { Frame } from '../helpers/vectors.ts';
import { anyExpression, ethernetExpression, tunnelExpression } from './expressions.ts';
import { ethernetFrames, rewrap } from './frames.ts';

const RUNS = Number(process.env.COMPILER_PROPERTY_RUNS ?? 150);
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
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });
});
