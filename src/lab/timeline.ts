/**
 * Timelines: changes of links at given times, `{ at: 10s, link: wan, set: delay 200ms }`. In a lab file they are
 * relative to when the lab is up; `taplab play` has them in a file of their own (timeline/file.ts). This is how steps
 * are checked against each other and the links there are, and converted; schema/timeline.ts says what one may hold.
 */
import { parseImpairment } from '../link/impairment.ts';
import { CLEAR_LINK, type LinkSettings } from '../link/settings.ts';
import { formatTime, parseTime } from '../link/units.ts';
import type { ReadText } from '../link/words.ts';
import { didYouMean } from '../text/suggest.ts';
import type { Path, Problem } from './issues.ts';
import type { TimelineStep } from './model.ts';
import type { TimelineStepInput } from './schema/timeline.ts';
import type { ImpairmentInput } from './schema/values.ts';

/** Nanoseconds. The step is such as the schema accepts, as in all functions below. */
export function stepTimeNs({ at }: TimelineStepInput): number {
  return parseTime(String(at));
}

export function stepLinks({ link }: TimelineStepInput): readonly string[] {
  return typeof link === 'string' ? [link] : link;
}

/** What is wrong with steps as a whole: links that are not there, links that are changed twice at one moment. */
export function timelineProblems(
  steps: readonly TimelineStepInput[],
  links: readonly string[],
  path: Path,
): Problem[] {
  const seen = new Set<string>();
  return steps.flatMap((step, i) =>
    stepLinks(step).flatMap((link, j): Problem[] => {
      const where = [...path, i, 'link', ...(typeof step.link === 'string' ? [] : [j])];
      const problem = (message: string): Problem => ({ path: where, at: 'value', message });
      if (!links.includes(link)) {
        const others =
          links.length === 0 ? '; there are no links' : `; there are ${links.slice(0, 10).join(', ')}`;
        return [problem(`there is no link "${link}"${didYouMean(link, links) || others}`)];
      }
      const timeNs = stepTimeNs(step);
      const key = `${timeNs} ${link}`;
      if (seen.has(key)) {
        return [problem(`link "${link}" is changed twice at ${formatTime(timeNs)}; put both into one step`)];
      }
      seen.add(key);
      return [];
    }),
  );
}

/** In base units. Throws ImpairmentError when a file that an impairment names cannot be used. */
export function makeStep(step: TimelineStepInput, readText: ReadText): TimelineStep {
  const parse = (value: ImpairmentInput | undefined): Partial<LinkSettings> =>
    value === undefined ? {} : parseImpairment(value, { readText });
  const both = 'clear' in step ? CLEAR_LINK : parse(step.set);
  return {
    atNs: stepTimeNs(step),
    links: stepLinks(step),
    forward: { ...both, ...parse(step.forward) },
    reverse: { ...both, ...parse(step.reverse) },
  };
}
