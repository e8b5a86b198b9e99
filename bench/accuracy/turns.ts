/** Every link in every setting, in turns, so that what else the machine does falls on all of them alike. */
import { takeTurns } from '../bpf/turns.ts';
import type { EmulatedLink, Setting } from './emulators.ts';

export type Field = {
  /** The links that are up, by the names of their emulators. */
  readonly links: ReadonlyMap<string, EmulatedLink>;
  /** The compiled bench/c/probe.c. */
  readonly program: string;
  /** Seconds of traffic in one turn. */
  readonly seconds: number;
  readonly rounds: number;
  readonly onProgress?: (what: string) => void;
};

/** What was measured on one link in one setting, a sample for each round. */
export type Samples<S, T> = { readonly name: string; readonly setting: S; readonly samples: readonly T[] };

/** Measures all links in all settings that they can. */
export async function measureInTurns<S extends Setting, T>(
  { links, rounds, onProgress }: Field,
  what: string,
  settings: readonly S[],
  measure: (link: EmulatedLink, setting: S) => Promise<T>,
): Promise<Samples<S, T>[]> {
  const pairs = settings.flatMap((setting) =>
    [...links].filter(([, link]) => link.can(setting)).map(([name, link]) => ({ name, link, setting })),
  );
  const turns = pairs.map(({ name, link, setting }) => async () => {
    onProgress?.(`${what}: ${setting.taplab || 'clear'}: ${name}`);
    await link.set(setting);
    return measure(link, setting);
  });
  const samples = await takeTurns(turns, rounds);
  return pairs.map(({ name, setting }, i) => ({ name, setting, samples: samples[i]! }));
}
