/**
 * A timeline in a file of its own, for `taplab play`:
 *
 *     timeline:
 *       - { at: 0s, link: wan, set: delay 20ms }
 *       - { at: 10s, link: [wan, lan], set: { loss: 5% } }
 *       - { at: 20s, link: wan, clear }
 *     length: 30s        # of a turn when it is played again and again; until its last step unless given
 */
import { readFile } from 'node:fs/promises';
import type { LinkChangeRequest } from '../control/schemas/requests.ts';
import { problemsOf } from '../lab/issues.ts';
import { LabFileError } from '../lab/parse.ts';
import { type TimelineFileInput, timelineFileSchema } from '../lab/schema/timeline.ts';
import { readSource } from '../lab/source.ts';
import { stepLinks, stepTimeNs, timelineProblems } from '../lab/timeline.ts';
import { parseTime } from '../link/units.ts';

export type TimelineFile = {
  readonly steps: readonly TimelineRequest[];
  /** Of a turn. */
  readonly lengthNs: number;
};

/** What is asked of the control socket. */
export type TimelineRequest = {
  readonly atNs: number;
  readonly links: readonly string[];
  readonly change: LinkChangeRequest;
};

/** Reads a timeline for a lab that has these links. Throws LabFileError with every error, or the error of readFile. */
export async function readTimeline(path: string, links: readonly string[]): Promise<TimelineFile> {
  return parseTimeline(await readFile(path, 'utf8'), path, links);
}

/** Throws LabFileError. */
export function parseTimeline(text: string, file: string, links: readonly string[]): TimelineFile {
  const source = readSource(text);
  const errors = source.problems.map((problem) => ({ ...problem, path: '' }));
  if (source.data === undefined && errors.length > 0) throw new LabFileError(file, errors);
  const data = source.data ?? {};
  const result = timelineFileSchema.safeParse(data);
  const problems = result.success
    ? [...timelineProblems(result.data.timeline, links, ['timeline']), ...lengthProblems(result.data)]
    : problemsOf(result.error, timelineFileSchema, data);
  for (const problem of problems) {
    const { path, message } = problem;
    errors.push({ ...source.locate(problem), path: path.map(String).join('.'), message });
  }
  errors.sort((a, b) => a.line - b.line || a.column - b.column);
  if (errors.length > 0 || !result.success) throw new LabFileError(file, errors);
  return {
    steps: result.data.timeline.map((step) => ({
      atNs: stepTimeNs(step),
      links: stepLinks(step),
      change: {
        impair: 'clear' in step ? 'clear' : step.set,
        forward: step.forward,
        reverse: step.reverse,
      } as LinkChangeRequest,
    })),
    lengthNs: lengthNs(result.data),
  };
}

function lastNs({ timeline }: TimelineFileInput): number {
  return Math.max(...timeline.map(stepTimeNs));
}

function lengthNs(file: TimelineFileInput): number {
  return file.length === undefined ? lastNs(file) : parseTime(String(file.length));
}

function lengthProblems(file: TimelineFileInput): { path: string[]; at: 'value'; message: string }[] {
  if (lengthNs(file) >= lastNs(file)) return [];
  return [{ path: ['length'], at: 'value', message: 'length: the last step is later than this' }];
}
