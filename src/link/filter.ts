/**
 * Frames chosen by a BPF filter: a pcap-filter(7) expression, compiled for the link type of the frames.
 */
import { compileFilter, FilterSyntaxError, linkTypeByNumber } from '../../vm/compiler/index.ts';
import { runProgram } from '../../vm/run-program.ts';
import type { ChainSettings, LinkSettings } from './settings.ts';
import type { FrameTable } from './stage.ts';
import { UnitError } from './units.ts';

const MAX_FILTER_CHARACTERS = 2_000;
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_RAW = 101;

export type FrameFilter = (frame: number) => boolean;

/** Whether a frame matches. Empty text matches all. Throws FilterSyntaxError. */
export function frameFilter(text: string, frames: FrameTable, linkType: number): FrameFilter {
  if (text === '') return () => true;
  const { words, length } = compileFilter(text, { linkType: linkTypeByNumber(linkType)!.name });
  return (frame) => {
    const bytes = frames.length[frame]!;
    return runProgram(words, 0, length, frames.bytes, frames.seen(frame), bytes, bytes) !== 0;
  };
}

/** The filters of the classes that queues of these settings have. */
export function classFilters(settings: Partial<LinkSettings>): string[] {
  const chains: Partial<ChainSettings>[] = [settings, ...(settings.rules ?? []).map(({ impair }) => impair)];
  const states = chains.flatMap(({ markov }) => markov?.states.map(({ impair }) => impair ?? {}) ?? []);
  return [...chains, ...states].flatMap(({ queue: each }) =>
    each !== undefined && 'classes' in each ? each.classes.map(({ filter }) => filter) : [],
  );
}

/**
 * What is wrong with the filters of settings for frames of a link type; undefined when nothing is. parseFilter() does
 * not know the link type, so one that compiles for the other only has passed it.
 */
export function filterProblem(settings: Partial<LinkSettings>, linkType: number): string | undefined {
  for (const filter of [...(settings.rules ?? []).map(({ match }) => match), ...classFilters(settings)]) {
    const problem = filter === '' ? undefined : filterError(filter, linkType);
    if (problem !== undefined) {
      const { name } = linkTypeByNumber(linkType)!;
      return `filter "${filter.slice(0, 80)}" does not fit its frames, which are ${name}: ${problem}`;
    }
  }
  return undefined;
}

/** The text of a filter that can be compiled for one of the link types that links have. Throws UnitError. */
export function parseFilter(text: string): string {
  const filter = text.trim();
  if (filter.length > MAX_FILTER_CHARACTERS) {
    throw new UnitError(`is longer than ${MAX_FILTER_CHARACTERS} characters`);
  }
  if (filter.includes('"')) throw new UnitError(`"${filter.slice(0, 40)}": a filter holds no double quotes`);
  if (filter === '') return filter;
  const problems = [LINKTYPE_ETHERNET, LINKTYPE_RAW].map((linkType) => filterError(filter, linkType));
  const [problem] = problems;
  if (problems.every((each) => each !== undefined))
    throw new UnitError(`"${filter.slice(0, 80)}": ${problem}`);
  return filter;
}

function filterError(filter: string, linkType: number): string | undefined {
  try {
    compileFilter(filter, { linkType: linkTypeByNumber(linkType)!.name });
    return undefined;
  } catch (error) {
    if (error instanceof FilterSyntaxError) return error.message;
    throw error;
  }
}
