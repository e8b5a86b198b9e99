import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatImpairment, ImpairmentError, parseImpairment } from '../../src/link/impairment.ts';
import { NO_LOSS } from '../../src/link/loss.ts';
import { CLEAR_CHAIN, CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';
import { settingsArbitrary } from './arbitrary.ts';

const MS = 1_000_000;
const RATE = { rateBitsPerSecond: 0, frameOverheadBytes: 0, cellBytes: 0, cellOverheadBytes: 0, trace: null };

describe('parseImpairment, text', () => {
  test.each<[string, Partial<LinkSettings>]>([
    ['delay 20ms', { delayNs: 20 * MS }],
    ['delay 20ms 2ms', { delayNs: 20 * MS, jitterNs: 2 * MS, jitterCorrelation: 0 }],
    ['delay 20ms 2ms 25%', { delayNs: 20 * MS, jitterNs: 2 * MS, jitterCorrelation: 0.25 }],
    ['jitter 2ms', { jitterNs: 2 * MS, jitterCorrelation: 0 }],
    ['jitter 2ms delay 20ms', { delayNs: 20 * MS, jitterNs: 2 * MS, jitterCorrelation: 0 }],
    ['delay 1ms 5ms', { delayNs: MS, jitterNs: 5 * MS, jitterCorrelation: 0 }],
    ['distribution paretonormal', { distribution: 'paretonormal' }],
    ['loss 1%', { ...NO_LOSS, loss: 0.01 }],
    ['loss random 1% 25% ecn', { ...NO_LOSS, loss: 0.01, lossCorrelation: 0.25, lossEcn: true }],
    [
      'loss state 10%',
      { ...NO_LOSS, lossModel: { kind: 'state', p13: 0.1, p31: 0.9, p32: 0, p23: 1, p14: 0 } },
    ],
    [
      'loss state 1% 2% 3% 4% 5%',
      { ...NO_LOSS, lossModel: { kind: 'state', p13: 0.01, p31: 0.02, p32: 0.03, p23: 0.04, p14: 0.05 } },
    ],
    [
      'loss gemodel 1%',
      { ...NO_LOSS, lossModel: { kind: 'gemodel', p: 0.01, r: 0.99, lossInBad: 1, lossInGood: 0 } },
    ],
    [
      'loss gemodel 1% 10% 70% 0.1%',
      { ...NO_LOSS, lossModel: { kind: 'gemodel', p: 0.01, r: 0.1, lossInBad: 0.7, lossInGood: 0.001 } },
    ],
    ['loss pattern every 3', { ...NO_LOSS, lossModel: { kind: 'pattern', every: 3, frames: [] } }],
    [
      'loss pattern 9-12,1,5',
      {
        ...NO_LOSS,
        lossModel: {
          kind: 'pattern',
          every: 0,
          frames: [
            [1, 1],
            [5, 5],
            [9, 12],
          ],
        },
      },
    ],
    ['duplicate 1%', { duplicate: 0.01, duplicateCorrelation: 0 }],
    ['reorder 25% 50% gap 5', { reorder: 0.25, reorderCorrelation: 0.5, reorderGap: 5 }],
    ['corrupt 0.1% ber 1e-6', { corrupt: 0.001, corruptCorrelation: 0, bitErrorRate: 1e-6 }],
    ['rate 50mbit', { ...RATE, rateBitsPerSecond: 50e6 }],
    [
      'rate 1mbit -14 48 5',
      { rateBitsPerSecond: 1e6, frameOverheadBytes: -14, cellBytes: 48, cellOverheadBytes: 5, trace: null },
    ],
    ['rate 0', RATE],
    ['burst 32kb peakrate 1gbit', { burstBytes: 32_768, peakBitsPerSecond: 1e9 }],
    ['limit 256kb', { limitBytes: 262_144, limitFrames: 0, limitNs: 0 }],
    ['limit 1000packets', { limitBytes: 0, limitFrames: 1000, limitNs: 0 }],
    ['limit 50ms 64kb', { limitBytes: 65_536, limitFrames: 0, limitNs: 50 * MS }],
    ['limit auto', { limitBytes: null, limitFrames: 0, limitNs: 0 }],
    ['limit none', { limitBytes: 0, limitFrames: 0, limitNs: 0 }],
    ['queue codel', { queue: { discipline: 'codel', targetNs: 5e6, intervalNs: 100e6, ecn: false } }],
    [
      'queue fq_codel target 2ms noecn delay 1ms',
      {
        queue: {
          discipline: 'fq_codel',
          flows: 1024,
          quantumBytes: 1514,
          targetNs: 2e6,
          intervalNs: 100e6,
          ecn: false,
        },
        delayNs: MS,
      },
    ],
    [
      'queue drr class "udp port 53" weight 3 class tcp',
      {
        queue: {
          discipline: 'drr',
          quantumBytes: 1514,
          classes: [
            { filter: 'udp port 53', weight: 3 },
            { filter: 'tcp', weight: 1 },
          ],
        },
      },
    ],
    [
      'slot 800us 1ms packets 42 bytes 64kb',
      { slot: { delayNs: 900_000, jitterNs: 100_000, distribution: 'uniform', frames: 42, bytes: 65_536 } },
    ],
    ['slot none', { slot: null }],
    ['mtu 1400 carrier down', { mtuBytes: 1400, carrier: 'down' }],
    [
      'delay 1ms match "udp port 53" loss 10% verdict pass match icmp',
      {
        delayNs: MS,
        rules: [
          { match: 'udp port 53', impair: { ...NO_LOSS, loss: 0.1 }, verdict: 'pass' },
          { match: 'icmp', impair: {}, verdict: 'link' },
        ],
      },
    ],
    ['flap 10s 500ms', { flap: { upNs: 10_000 * MS, downNs: 500 * MS } }],
    ['flap none', { flap: null }],
    ['precision high', { precision: 'high' }],
    ['precision normal', { precision: 'normal' }],
    ['match none', { rules: [] }],
    [
      ' delay 20ms 2ms\tloss 1%, rate 50mbit\nlimit 256kb ',
      {
        delayNs: 20 * MS,
        jitterNs: 2 * MS,
        jitterCorrelation: 0,
        ...NO_LOSS,
        loss: 0.01,
        ...RATE,
        rateBitsPerSecond: 50e6,
        limitBytes: 262_144,
        limitFrames: 0,
        limitNs: 0,
      },
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
    ['delay 1ms 2ms 25% 7', [{ position: 18, length: 1, message: /"7": expected one of/ }]],
    [
      'delay 1ms distribution nrmal',
      [{ position: 23, length: 5, message: /distribution "nrmal": expected uniform/ }],
    ],
    ['distribution wifi.dist', [{ position: 13, length: 9, message: /tables are read from lab files only/ }]],
    [
      'loss state 60% 10% 10% 10% 50%',
      [{ position: 27, length: 3, message: /p13 and p14 are more than 100%/ }],
    ],
    ['trace up.trace', [{ position: 6, length: 8, message: /traces are read from lab files only/ }]],
    ['loss pattern', [{ position: 0, length: 4, message: /loss pattern needs a value: expected every N/ }]],
    ['loss pattern 5-2', [{ position: 13, length: 3, message: /expected frames as 5 or 9-12/ }]],
    ['loss pattern 1-5,3', [{ position: 17, length: 1, message: /frame 3 is given twice/ }]],
    ['loss pattern every 0', [{ position: 19, length: 1, message: /at least 1/ }]],
    ['reorder 5% gap x', [{ position: 15, length: 1, message: /gap "x": expected a whole number/ }]],
    ['rate 1mbit 0 48 -48', [{ position: 16, length: 3, message: /leaves nothing of a cell/ }]],
    ['limit 10ms 20ms', [{ position: 11, length: 4, message: /two limits of one kind/ }]],
    ['queue cdl', [{ position: 6, length: 3, message: /queue "cdl": expected droptail/ }]],
    [
      'queue codel target 5ns',
      [{ position: 19, length: 3, message: /queue codel: target "5ns": too small/ }],
    ],
    ['queue red min 5kb max 4kb', [{ position: 22, length: 3, message: /min must be below max/ }]],
    ['queue prio', [{ position: 0, length: 5, message: /queue needs a value: expected class and a filter/ }]],
    ['queue prio class "tcp prt 80"', [{ position: 17, length: 12, message: /class "tcp prt 80"/ }]],
    ['slot 2ms 1ms', [{ position: 9, length: 3, message: /maximum is below the minimum/ }]],
    ['ber 2', [{ position: 4, length: 1, message: /from 0 to 1/ }]],
    ['mtu 70000', [{ position: 4, length: 5, message: /at most 65535/ }]],
    ['carrier sideways', [{ position: 8, length: 8, message: /expected up or down/ }]],
    ['flap 10s', [{ position: 0, length: 4, message: /needs a value: expected how long it is down/ }]],
    ['match "udp prt 53" loss 1%', [{ position: 6, length: 12, message: /match "udp prt 53"/ }]],
    ['match udp match udp', [{ position: 0, length: 19, message: /match "udp" is given twice/ }]],
    ['match udp verdict maybe', [{ position: 18, length: 5, message: /expected link, mark, pass, drop/ }]],
    [
      'verdict drop',
      [
        { position: 0, length: 7, message: /"verdict": expected one of/ },
        { position: 8, length: 4, message: /"drop"/ },
      ],
    ],
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
      jitterCorrelation: 0,
      ...NO_LOSS,
      loss: 0.005,
      ...RATE,
      rateBitsPerSecond: 1e9,
      limitBytes: 3000,
      limitFrames: 0,
      limitNs: 0,
    });
  });

  test('what is not named is not in the result', () => {
    expect(Object.keys(parseImpairment({ delay: '1ms' }))).toEqual(['delayNs']);
    expect(parseImpairment({})).toEqual({});
  });

  test.each<[Record<string, unknown>, string, RegExp]>([
    [{ dealy: '1ms' }, 'dealy', /did you mean "delay"/],
    [{ delay: null }, 'delay', /delay needs a value/],
    [{ delay: '20ms 2ms 3% 4' }, 'delay', /"4": nothing more was expected/],
    [{ delay: '20ms', jitter: '2ms x' }, 'jitter', /"x": nothing more/],
    [{ rules: 'udp' }, 'rules', /expected a list/],
    [{ rules: [{ loss: '1%' }] }, 'rules/0', /needs match/],
    [{ rules: [{ match: 'udp', los: '1%' }] }, 'rules/0/los', /did you mean "loss"/],
    [{ rules: [{ match: 'udp prt', loss: '1%' }] }, 'rules/0/match', /match "udp prt"/],
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
    fc.assert(
      fc.property(settingsArbitrary, (settings) => {
        const text = formatImpairment(settings);
        const read = { ...CLEAR_LINK, ...parseImpairment(text) };
        const rules = read.rules.map((rule) => ({ ...rule, impair: { ...CLEAR_CHAIN, ...rule.impair } }));
        expect({ ...read, rules }).toEqual(settings);
      }),
      { numRuns: 300 },
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
      'queue',
      'codel',
      'class',
      'match',
      'verdict',
      'slot',
      'state',
      'pattern',
      'ecn',
      '"udp"',
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
            expect(typeof formatImpairment(settings)).toBe('string');
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
