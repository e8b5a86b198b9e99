/** Settings that do nothing for want of others. */
import { expect, it } from 'vitest';
import { parseImpairment } from '../../src/link/impairment.ts';
import { ineffective } from '../../src/link/ineffective.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';

const OPTIONS = { readText: (): string => 'time,rate\n0s,1mbit\n' };

it.each<[text: string, expected: string[]]>([
  ['clear', []],
  ['reorder 25%', ['reorder does nothing without delay']],
  ['reorder 25% delay 10ms', []],
  ['reorder 25% jitter 10ms', []],
  ['delay 10ms distribution normal', ['distribution does nothing without jitter']],
  ['delay 10ms 1ms distribution normal', []],
  ['burst 32kb', ['burst does nothing without rate']],
  ['burst 32kb rate 1mbit', []],
  ['rate 1mbit peakrate 2mbit', ['peakrate does nothing without burst']],
  ['limit 100packets queue codel', ['limit does nothing without rate', 'queue does nothing without rate']],
  ['limit 100packets queue codel rate 1mbit', []],
  ['limit 100packets queue codel schedule s.csv', []],
  ['queue codel markov 1s state a "rate 1mbit" to b 5% state b "loss 1%"', []],
  ['delay 5ms match arp reorder 5%', ['match "arp": reorder does nothing without delay']],
])('%j: %j', (text, expected) => {
  expect(ineffective({ ...CLEAR_LINK, ...parseImpairment(text, OPTIONS) })).toEqual(expected);
});
