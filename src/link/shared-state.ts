/**
 * Which impairments need all frames of a direction in one place: those whose decision on a frame depends on the frames
 * before it. The others decide on each frame by itself, so that parts of a direction may run side by side, each with the
 * flows of one queue of the device it starts from.
 */
import type { ChainSettings, LinkSettings } from './settings.ts';

/** The word of an impairment, and whether it looks at more than one frame with these settings. */
const SHARED: readonly [string, (settings: Partial<ChainSettings>) => boolean][] = [
  ['rate', ({ rateBitsPerSecond = 0 }) => rateBitsPerSecond > 0],
  ['trace', ({ trace = null }) => trace !== null],
  ['slot', ({ slot = null }) => slot !== null],
  ['loss with a correlation', ({ lossCorrelation = 0 }) => lossCorrelation > 0],
  ['loss of a model', ({ lossModel = null }) => lossModel !== null],
  ['duplicate with a correlation', ({ duplicateCorrelation = 0 }) => duplicateCorrelation > 0],
  ['corrupt with a correlation', ({ corruptCorrelation = 0 }) => corruptCorrelation > 0],
  ['jitter with a correlation', ({ jitterCorrelation = 0 }) => jitterCorrelation > 0],
  ['reorder', ({ reorder = 0 }) => reorder > 0],
  ['flap', ({ flap = null }) => flap !== null],
  ['schedule', ({ schedule = null }) => schedule !== null],
  ['markov', ({ markov = null }) => markov !== null],
];

/** An impairment that goes by a clock which began with its settings, if there is one: it would begin anew elsewhere. */
export function keepsTime(settings: Partial<LinkSettings>): string | undefined {
  const chains = [settings, ...(settings.rules ?? []).map(({ impair }) => impair)];
  const words = ['trace', 'slot', 'flap', 'schedule', 'markov'];
  return SHARED.find(([word, isOn]) => words.includes(word) && chains.some(isOn))?.[0];
}

/** Why a direction cannot run on several workers with these settings, if it cannot. */
export function sharedStateProblem(settings: Partial<LinkSettings>): string | undefined {
  const chains = [settings, ...(settings.rules ?? []).map(({ impair }) => impair)];
  const found = SHARED.find(([, needs]) => chains.some(needs));
  if (found === undefined) return undefined;
  return `${found[0]} needs all frames of a direction in one place, but it starts from several queues, which are read by workers side by side; leave ${found[0].split(' ')[0]} or \`queues\` out`;
}
