/**
 * How exactly the moments at which frames leave are met: `precision high` has the thread that carries them wait for the
 * last of the time on the clock, since the kernel wakes it some tens of microseconds late (engine/worker.ts). It costs
 * that much of a core for each moment, and nothing while no frame waits. On a virtual clock all moments are exact.
 *
 * It holds for the frames of a chain: of the link, of one of its rules, or while a Markov state is in force.
 */
import { UnitError } from './units.ts';
import type { Word } from './words.ts';

export const PRECISIONS = ['normal', 'high'] as const;
export type Precision = (typeof PRECISIONS)[number];

export type PrecisionSettings = { readonly precision: Precision };

export const NORMAL_PRECISION: PrecisionSettings = { precision: 'normal' };

export const PRECISION_WORDS: readonly Word<PrecisionSettings>[] = [
  {
    name: 'precision',
    syntax: 'normal | high',
    help: 'high: the last microseconds before a frame is due are waited for on the clock, which costs CPU time.',
    read: (args) => ({ precision: args.take(...PRECISIONS) ?? args.value(neither, 'normal or high') }),
    write: ({ precision }) => (precision === 'normal' ? undefined : precision),
  },
];

function neither(text: string): never {
  throw new UnitError(`"${text.slice(0, 40)}": expected normal or high`);
}
