/**
 * Settings that do nothing for want of others. They are no error, since links are set word by word and in any order; but
 * whoever has set them most often has forgotten something.
 */
import { type ChainSettings, CLEAR_CHAIN, type LinkSettings } from './settings.ts';

/** A word, what it needs, and whether it is set and that is not there. */
type Want = readonly [word: string, wanted: string, isIdle: (settings: ChainSettings) => boolean];

/** Schedules and Markov states may bring what is wanted. */
const isSteady = ({ schedule, markov }: ChainSettings): boolean => schedule === null && markov === null;
const lacksRate = (each: ChainSettings): boolean => each.rateBitsPerSecond === 0 && isSteady(each);

const WANTS: readonly Want[] = [
  ['reorder', 'delay', (each) => each.reorder > 0 && each.delayNs + each.jitterNs === 0 && isSteady(each)],
  [
    'distribution',
    'jitter',
    (each) => each.distribution !== 'uniform' && each.jitterNs === 0 && isSteady(each),
  ],
  ['burst', 'rate', (each) => each.burstBytes > 0 && lacksRate(each)],
  ['peakrate', 'burst', (each) => each.peakBitsPerSecond > 0 && each.burstBytes === 0 && isSteady(each)],
  ['limit', 'rate', (each) => each.limitBytes !== null && each.trace === null && lacksRate(each)],
  ['queue', 'rate', (each) => each.queue.discipline !== 'droptail' && each.trace === null && lacksRate(each)],
];

/** What of the settings does nothing, as `reorder does nothing without delay`. */
export function ineffective({ rules, ...chain }: LinkSettings): string[] {
  return [
    ...sentences(chain),
    ...rules.flatMap(({ match, impair }) =>
      sentences({ ...CLEAR_CHAIN, ...impair }).map((sentence) => `match "${match}": ${sentence}`),
    ),
  ];
}

function sentences(chain: ChainSettings): string[] {
  return WANTS.filter(([, , isIdle]) => isIdle(chain)).map(
    ([word, wanted]) => `${word} does nothing without ${wanted}`,
  );
}
