/** The settings of a link direction as the control socket shows them: link/settings.ts, member by member. */
import { z } from 'zod';
import { DISTRIBUTIONS } from '../../link/distribution.ts';
import { PRECISIONS } from '../../link/precision.ts';
import { type ChainSettings, type LinkSettings, VERDICTS } from '../../link/settings.ts';

const count = (description: string): z.ZodNumber => z.number().int().nonnegative().describe(description);
const time = (description: string): z.ZodNumber => z.number().nonnegative().describe(description);
const probability = (description: string): z.ZodNumber => z.number().min(0).max(1).describe(description);

const lossModel: z.ZodType<ChainSettings['lossModel']> = z
  .union([
    z.object({
      kind: z.literal('state'),
      p13: probability('From received to lost in a burst.'),
      p31: probability('From lost in a burst to received.'),
      p32: probability('From lost to received, within a burst.'),
      p23: probability('From received to lost, within a burst.'),
      p14: probability('From received to lost alone.'),
    }),
    z.object({
      kind: z.literal('gemodel'),
      p: probability('From good to bad.'),
      r: probability('From bad to good.'),
      lossInBad: probability('1-h: loss in the bad state.'),
      lossInGood: probability('1-k: loss in the good state.'),
    }),
    z.object({
      kind: z.literal('pattern'),
      every: count('Each Nth frame; 0 when frames are listed.'),
      frames: z
        .array(z.tuple([z.number(), z.number()]))
        .describe('First and last of frames, counted from 1.'),
    }),
  ])
  .nullable()
  .describe('What decides instead of loss (tc-netem(8)).');

const classFilter = z.string().describe('pcap-filter(7) expression of the class.');
const ecn = z.boolean().describe('Mark ECN-capable frames instead of dropping them.');
const targetNs = time('Delay that is accepted, nanoseconds.');
const intervalNs = time('About the longest round trip, nanoseconds.');

const queue: z.ZodType<ChainSettings['queue']> = z
  .discriminatedUnion('discipline', [
    z.object({ discipline: z.enum(['droptail', 'drophead']) }),
    z.object({
      discipline: z.literal('red'),
      minBytes: count('Average backlog below which nothing is dropped.'),
      maxBytes: count('Average backlog above which everything is.'),
      probability: probability('Just below the maximum.'),
      weight: probability('Of the newest sample in the average.'),
      frameBytes: count('Typical length of a frame.'),
      ecn,
    }),
    z.object({ discipline: z.literal('codel'), targetNs, intervalNs, ecn }),
    z.object({
      discipline: z.literal('fq_codel'),
      flows: count('Queues.'),
      quantumBytes: count('Bytes that a flow may send in its turn.'),
      targetNs,
      intervalNs,
      ecn,
    }),
    z.object({
      discipline: z.literal('pie'),
      targetNs,
      updateNs: time('How often the probability is set, nanoseconds.'),
      alpha: z.number().describe('Gain on the distance from the target, Hz.'),
      beta: z.number().describe('Gain on its change, Hz.'),
      ecn,
    }),
    z.object({ discipline: z.literal('prio'), classes: z.array(z.object({ filter: classFilter })) }),
    z.object({
      discipline: z.literal('drr'),
      quantumBytes: count('Bytes that a class of weight 1 may send in its turn.'),
      classes: z.array(z.object({ filter: classFilter, weight: count('Share of the class.') })),
    }),
  ])
  .describe('How frames wait in front of the rate limiter.');

const chain = {
  carrier: z.enum(['up', 'down']).describe('down: the direction carries nothing.'),
  flap: z
    .object({ upNs: time('Up, nanoseconds.'), downNs: time('Then down, nanoseconds.') })
    .nullable()
    .describe('The direction carries frames and nothing in turns.'),
  mtuBytes: count('Longer packets are dropped; 0 is no limit.'),
  loss: probability('Probability that a frame is lost.'),
  lossCorrelation: probability('How much each decision depends on the last.'),
  lossModel,
  lossEcn: z.boolean().describe('Mark ECN-capable frames instead of losing them.'),
  duplicate: probability('Probability that a frame comes twice.'),
  duplicateCorrelation: probability('How much each decision depends on the last.'),
  corrupt: probability('Probability that a frame has one bit inverted.'),
  corruptCorrelation: probability('How much each decision depends on the last.'),
  bitErrorRate: probability('Probability that a bit is inverted.'),
  rateBitsPerSecond: z.number().nonnegative().describe('Serialization rate; 0 means unlimited.'),
  frameOverheadBytes: z.number().int().describe('Added to the length of each frame at the rate limiter.'),
  cellBytes: count('Frames are carried in cells of so many bytes; 0 is none.'),
  cellOverheadBytes: z.number().int().describe('Added to each cell.'),
  burstBytes: count('Token bucket; 0 is none.'),
  peakBitsPerSecond: z.number().nonnegative().describe('How fast a burst is; 0 is at once.'),
  limitBytes: count(
    'Bytes that may wait in front of the rate limiter; 0 is no limit, null what suits the rate.',
  ).nullable(),
  limitFrames: count('Frames that may wait; 0 is no limit.'),
  limitNs: time('How long the rate may need for what waits, nanoseconds; 0 is no limit.'),
  queue,
  trace: z
    .object({ name: z.string().describe('File of the trace.'), entries: count('Opportunities in it.') })
    .nullable()
    .describe('Packet-delivery opportunities instead of a rate (mahimahi).'),
  schedule: z
    .object({
      name: z.string().describe('File of the schedule.'),
      entries: count('Lines in it.'),
      stepNs: time('Step of linear interpolation, nanoseconds; 0 is none.'),
      loop: z.boolean(),
    })
    .nullable()
    .describe('Delay, rate and loss over time, laid over these.'),
  markov: z
    .object({
      stepNs: time('How often the state may change, nanoseconds.'),
      states: z.array(
        z.object({
          name: z.string(),
          impairment: z.string().describe('Laid over these settings.'),
          to: z.array(z.object({ state: z.string(), probability: probability('Of each step.') })),
        }),
      ),
    })
    .nullable()
    .describe('States with impairments of their own, and how one follows the other.'),
  delayNs: count('Propagation delay, nanoseconds.'),
  jitterNs: count('Variation of the delay, nanoseconds.'),
  jitterCorrelation: probability('How much each jitter depends on the last.'),
  distribution: z
    .union([
      z.enum(DISTRIBUTIONS),
      z.object({ name: z.string().describe('File of the table.'), entries: count('Its entries.') }),
    ])
    .describe('Distribution of the jitter: uniform is delay ± jitter.'),
  reorder: probability('Probability that a frame goes past the delay.'),
  reorderCorrelation: probability('How much each decision depends on the last.'),
  reorderGap: count('At most one of so many frames does.'),
  slot: z
    .object({
      delayNs: time('Mean time to the next slot, nanoseconds.'),
      jitterNs: time('Its variation, nanoseconds.'),
      distribution: z.enum(DISTRIBUTIONS),
      frames: count('Frames a slot takes; 0 is any number.'),
      bytes: count('Bytes a slot takes; 0 is any number.'),
    })
    .nullable()
    .describe('Frames leave together in slots.'),
  precision: z
    .enum(PRECISIONS)
    .describe('high: the last microseconds before a frame is due are waited for on the clock.'),
} satisfies Record<keyof ChainSettings, z.ZodType>;

/** Tables of files are named, not shown. */
export const linkSettings: z.ZodType<LinkSettings> = z.object({
  ...chain,
  rules: z
    .array(
      z.object({
        match: z.string().describe('pcap-filter(7) expression.'),
        impair: z.object(
          Object.fromEntries(Object.entries(chain).map(([key, type]) => [key, type.exactOptional()])),
        ) as z.ZodType<Partial<ChainSettings>>,
        verdict: z
          .enum(VERDICTS)
          .describe("What follows: the link's own impairments, with a mark, or neither."),
      }),
    )
    .describe('Impairments for what a filter matches; the first that does takes a frame.'),
});
