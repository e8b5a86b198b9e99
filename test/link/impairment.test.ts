import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatImpairment, ImpairmentError, parseImpairment } from '../../src/link/impairment.ts';
import { CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';

const MS = 1_000_000;

describe('parseImpairment, text', () => {
  test.each<[string, Partial<LinkSettings>]>([
    ['delay 20ms', { delayNs: 20 * MS }],
    ['delay 20ms 2ms', { delayNs: 20 * MS, jitterNs: 2 * MS }],
    ['jitter 2ms', { jitterNs: 2 * MS }],
    ['jitter 2ms delay 20ms', { delayNs: 20 * MS, jitterNs: 2 * MS }],
    ['delay 1ms 5ms', { delayNs: MS, jitterNs: 5 * MS }],
    ['loss 1%', { loss: 0.01 }],
    ['loss random 1%', { loss: 0.01 }],
    ['rate 50mbit', { rateBitsPerSecond: 50e6 }],
    ['rate 0', { rateBitsPerSecond: 0 }],
    ['limit 256kb', { limitBytes: 262_144 }],
    [
      ' delay 20ms 2ms\tloss 1%, rate 50mbit\nlimit 256kb ',
      { delayNs: 20 * MS, jitterNs: 2 * MS, loss: 0.01, rateBitsPerSecond: 50e6, limitBytes: 262_144 },
    ],
    ['clear', CLEAR_LINK],
  ])('%j', (text, expected) => {
    expect(parseImpairment(text)).toEqual(expected);
  });

  test.each<[string, { position: number; length: number; message: RegExp }[]]>([
    ['dely 20ms', [{ position: 0, length: 4, message: /"dely": expected one of .*did you mean "delay"/ }]],
    ['delay 20ms lss 3%', [{ position: 11, length: 3, message: /did you mean "loss"/ }]],
    ['delay', [{ position: 0, length: 5, message: /delay needs a value: expected a time such as/ }]],
    ['delay loss 1%', [{ position: 0, length: 5, message: /delay needs a value/ }]],
    ['delay 20xs', [{ position: 6, length: 4, message: /delay "20xs": unknown unit "xs", expected us/ }]],
    ['loss 101%', [{ position: 5, length: 4, message: /too large, at most 100%/ }]],
    ['loss -1%', [{ position: 5, length: 3, message: /must not be negative/ }]],
    ['delay 1ms delay 2ms', [{ position: 10, length: 5, message: /delay is given twice/ }]],
    ['delay 1ms 2ms jitter 3ms', [{ position: 14, length: 6, message: /jitter is given twice/ }]],
    ['delay 1ms 2ms 25%', [{ position: 14, length: 3, message: /"25%": expected one of/ }]],
    ['duplicate 1%', [{ position: 0, length: 9, message: /"duplicate" is not supported: expected one of/ }]],
    ['clear delay 1ms', [{ position: 0, length: 5, message: /"clear": expected one of/ }]],
    ['__proto__ 1', [{ position: 0, length: 9, message: /"__proto__": expected one of/ }]],
    ['', [{ position: 0, length: 0, message: /nothing to change/ }]],
    [
      'delay x loss 200% speed 3',
      [
        { position: 6, length: 1, message: /"x": expected a time/ },
        { position: 13, length: 4, message: /at most 100%/ },
        { position: 18, length: 5, message: /"speed"/ },
      ],
    ],
  ])('%j is refused with its place', (text, expected) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(expected.length);
    for (const [i, { position, length, message }] of expected.entries()) {
      expect(problems[i]).toMatchObject({ position, length });
      expect(problems[i]!.message).toMatch(message);
    }
  });

  test('a text of a megabyte is refused at once', () => {
    expect(problemsOf('delay '.repeat(200_000))).toHaveLength(1);
  });
});

describe('parseImpairment, map', () => {
  test('reads strings and bare numbers in the units of tc', () => {
    const map = { delay: 500, jitter: '2ms', loss: 0.5, rate: '1gbit', limit: 3000 };
    expect(parseImpairment(map)).toEqual({
      delayNs: 500_000,
      jitterNs: 2 * MS,
      loss: 0.005,
      rateBitsPerSecond: 1e9,
      limitBytes: 3000,
    });
  });

  test('what is not named is not in the result', () => {
    expect(Object.keys(parseImpairment({ loss: '1%' }))).toEqual(['loss']);
    expect(parseImpairment({})).toEqual({});
  });

  test.each<[Record<string, unknown>, string, RegExp]>([
    [{ dealy: '1ms' }, 'dealy', /did you mean "delay"/],
    [{ delay: null }, 'delay', /delay needs a value/],
    [{ delay: '20ms 2ms' }, 'delay', /expected a time/],
    [{ loss: true }, 'loss', /needs a value/],
    [{ limit: '0' }, 'limit', /at least 1 byte/],
    [{ rate: '0.4bit' }, 'rate', /too small, at least 1bit/],
    [JSON.parse('{"__proto__":"1ms"}'), '__proto__', /"__proto__": expected one of/],
    [{ toString: '1ms' }, 'toString', /"toString": expected one of/],
  ])('%j is refused with its key', (map, key, message) => {
    const [problem, ...others] = problemsOf(map);
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ key });
    expect(problem!.message).toMatch(message);
  });
});

describe('formatImpairment', () => {
  test.each<[string, Partial<LinkSettings>]>([
    ['clear', {}],
    [
      'delay 20ms 2ms loss 0.5% rate 50mbit',
      { delayNs: 20e6, jitterNs: 2e6, loss: 0.005, rateBitsPerSecond: 5e7 },
    ],
    ['jitter 1500us', { jitterNs: 1_500_000 }],
    ['delay 1ns', { delayNs: 1 }],
    ['loss 100% limit 1mb', { loss: 1, limitBytes: 1_048_576 }],
    ['loss 0.07%', { loss: 0.0007 }],
    ['loss 12.5%', { loss: 0.125 }],
    ['rate 1500kbit', { rateBitsPerSecond: 1_500_000 }],
  ])('%j', (text, settings) => {
    expect(formatImpairment({ ...CLEAR_LINK, ...settings })).toBe(text);
  });

  test('what it writes reads back as the same settings, exactly', () => {
    const settings = fc.record<LinkSettings>({
      delayNs: fc.nat({ max: 4_294_967_295_000 }),
      jitterNs: fc.nat({ max: 4_294_967_295_000 }),
      loss: fc.double({ min: 0, max: 1, noNaN: true }),
      rateBitsPerSecond: fc.nat({ max: 1e12 }),
      limitBytes: fc.integer({ min: 1, max: 4_294_967_295 }),
    });
    fc.assert(
      fc.property(settings, (value) => {
        const wanted = { ...value, loss: value.loss + 0 };
        expect({ ...CLEAR_LINK, ...parseImpairment(formatImpairment(wanted)) }).toEqual(wanted);
      }),
      { numRuns: 2000 },
    );
  });

  test('any text is either understood or refused with places inside it', () => {
    const word = fc.constantFrom(
      'delay',
      'loss',
      'rate',
      'limit',
      'jitter',
      'clear',
      '20ms',
      '-1',
      '1%',
      '5e9s',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            const settings = { ...CLEAR_LINK, ...parseImpairment(text) };
            for (const value of Object.values(settings)) expect(value).toBeGreaterThanOrEqual(0);
          } catch (error) {
            if (!(error instanceof ImpairmentError)) throw error;
            for (const { position, length } of error.problems) {
              expect(position + length).toBeLessThanOrEqual(text.length);
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

function problemsOf(value: string | Record<string, unknown>): ImpairmentError['problems'] {
  try {
    parseImpairment(value);
  } catch (error) {
    if (error instanceof ImpairmentError) return error.problems;
    throw error;
  }
  throw new Error('was not refused');
}
