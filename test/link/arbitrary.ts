/** Any settings that text can stand for. */
import fc from 'fast-check';
import { parseTable } from '../../src/link/distribution.ts';
import { parseImpairment } from '../../src/link/impairment.ts';
import type { ChainSettings, LinkSettings } from '../../src/link/settings.ts';

/** Of the resolution that percentages keep exactly. */
const probability: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, 0, 0.01, 1),
  fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0),
);
const half = fc.double({ min: 0, max: 0.5, noNaN: true }).map((value) => value + 0);
const orNone = <Value>(arbitrary: fc.Arbitrary<Value>, none: Value): fc.Arbitrary<Value> =>
  fc.oneof({ arbitrary: fc.constant(none), weight: 2 }, { arbitrary, weight: 1 });
const time = fc.nat({ max: 50e6 });
const ecn = fc.boolean();
const filter = fc.constantFrom('udp port 53', 'tcp', 'ip', '');

const lossModel: fc.Arbitrary<ChainSettings['lossModel']> = fc.oneof(
  fc.record({
    kind: fc.constant('state' as const),
    p13: half,
    p31: half,
    p32: half,
    p23: probability,
    p14: half,
  }),
  fc.record({
    kind: fc.constant('gemodel' as const),
    p: probability,
    r: probability,
    lossInBad: probability,
    lossInGood: probability,
  }),
  fc.integer({ min: 1, max: 100 }).map((every) => ({ kind: 'pattern' as const, every, frames: [] })),
  fc.constant({ kind: 'pattern' as const, every: 0, frames: [[1, 1] as const, [5, 9] as const] }),
);

const loss = fc.oneof(
  fc.record({ loss: probability, lossCorrelation: probability, lossModel: fc.constant(null), lossEcn: ecn }),
  fc.record({ loss: fc.constant(0), lossCorrelation: fc.constant(0), lossModel, lossEcn: ecn }),
);

const targets = {
  targetNs: fc.integer({ min: 1000, max: 50e6 }),
  intervalNs: fc.integer({ min: 1000, max: 200e6 }),
  ecn,
};
const quantumBytes = fc.integer({ min: 100, max: 3000 });

const queue: fc.Arbitrary<ChainSettings['queue']> = fc.oneof(
  fc.record({ discipline: fc.constantFrom('droptail' as const, 'drophead' as const) }),
  fc.record({
    discipline: fc.constant('red' as const),
    minBytes: fc.integer({ min: 1, max: 10_000 }),
    maxBytes: fc.integer({ min: 10_001, max: 50_000 }),
    probability,
    weight: probability,
    frameBytes: fc.integer({ min: 1, max: 1500 }),
    ecn,
  }),
  fc.record({ discipline: fc.constant('codel' as const), ...targets }),
  fc.record({
    discipline: fc.constant('fq_codel' as const),
    flows: fc.integer({ min: 1, max: 64 }),
    quantumBytes,
    ...targets,
  }),
  fc.record({
    discipline: fc.constant('pie' as const),
    targetNs: targets.targetNs,
    updateNs: fc.integer({ min: 100_000, max: 50e6 }),
    alpha: fc.constantFrom(0.125, 1, 0),
    beta: fc.constantFrom(1.25, 0.5),
    ecn,
  }),
  fc.record({
    discipline: fc.constant('prio' as const),
    classes: fc.array(fc.record({ filter }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    discipline: fc.constant('drr' as const),
    quantumBytes,
    classes: fc.array(fc.record({ filter, weight: fc.integer({ min: 1, max: 10 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
);

const others = {
  delayNs: orNone(time, 0),
  jitterNs: orNone(fc.nat({ max: 5e6 }), 0),
  jitterCorrelation: probability,
  distribution: fc.constantFrom(
    'uniform' as const,
    'normal' as const,
    'pareto' as const,
    'paretonormal' as const,
  ),
  duplicate: orNone(probability, 0),
  duplicateCorrelation: probability,
  reorder: orNone(probability, 0),
  reorderCorrelation: probability,
  reorderGap: fc.integer({ min: 1, max: 20 }),
  corrupt: orNone(probability, 0),
  corruptCorrelation: probability,
  bitErrorRate: fc.constantFrom(0, 0, 1e-6, 0.001, 0.5, 1),
  rateBitsPerSecond: orNone(fc.integer({ min: 100_000, max: 1e9 }), 0),
  frameOverheadBytes: fc.integer({ min: -100, max: 100 }),
  cellBytes: orNone(fc.integer({ min: 20, max: 100 }), 0),
  cellOverheadBytes: fc.integer({ min: -19, max: 20 }),
  burstBytes: orNone(fc.integer({ min: 1, max: 100_000 }), 0),
  peakBitsPerSecond: orNone(fc.integer({ min: 100_000, max: 1e9 }), 0),
  limitBytes: fc.nat({ max: 100_000 }),
  limitFrames: orNone(fc.integer({ min: 1, max: 100 }), 0),
  limitNs: orNone(fc.integer({ min: 1, max: 100e6 }), 0),
  queue,
  trace: fc.constant(null),
  schedule: fc.constant(null),
  markov: fc.constantFrom(null, {
    stepNs: 1e6,
    states: [
      {
        name: 'good',
        impairment: 'loss 1%',
        impair: parseImpairment('loss 1%'),
        to: [{ state: 'bad', probability: 0.5 }],
      },
      {
        name: 'bad',
        impairment: 'delay 3ms rate 1mbit',
        impair: parseImpairment('delay 3ms rate 1mbit'),
        to: [{ state: 'good', probability: 1 }],
      },
    ],
  }),
  slot: orNone(
    fc.record({
      delayNs: fc.nat({ max: 2e6 }).map((ns) => 1e6 + ns),
      jitterNs: fc.nat({ max: 1e6 }),
      distribution: fc.constantFrom('uniform' as const, 'normal' as const),
      frames: fc.nat({ max: 10 }),
      bytes: fc.nat({ max: 10_000 }),
    }),
    null,
  ),
  mtuBytes: orNone(fc.integer({ min: 1, max: 2000 }), 0),
  flap: orNone(
    fc.record({ upNs: fc.integer({ min: 1, max: 50e6 }), downNs: fc.integer({ min: 1, max: 50e6 }) }),
    null,
  ),
  precision: fc.constantFrom('normal' as const, 'high' as const),
  carrier: fc.constantFrom('up' as const, 'up' as const, 'up' as const, 'down' as const),
};

const chain: fc.Arbitrary<ChainSettings> = fc
  .tuple(loss, fc.record(others))
  .map(([lossSettings, rest]) => ({ ...rest, ...lossSettings }));

export const settingsArbitrary: fc.Arbitrary<LinkSettings> = fc
  .tuple(
    chain,
    fc.uniqueArray(
      fc.record({ match: filter, impair: chain, verdict: fc.constantFrom('link', 'mark', 'pass', 'drop') }),
      { maxLength: 2, selector: ({ match }) => match },
    ),
  )
  .map(([settings, rules]) => ({ ...settings, rules }) as LinkSettings);

/** A table of three entries. */
export const smallTable: ReturnType<typeof parseTable> = parseTable('-8192 0 8192', 'small.dist');
