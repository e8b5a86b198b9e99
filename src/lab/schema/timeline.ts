/** `timeline`, in a lab file or in one of `taplab play`. */
import { z } from 'zod';
import { parseTime, UnitError } from '../../link/units.ts';
import { type ImpairmentInput, impairment } from './values.ts';

/** Links of a lab. */
export const MAX_LINKS = 1024;
export const MAX_STEPS = 10_000;

export type TimelineStepInput = {
  at: string | number;
  link: string | string[];
  set?: ImpairmentInput | undefined;
  forward?: ImpairmentInput | undefined;
  reverse?: ImpairmentInput | undefined;
  clear?: true | null | undefined;
};

/** A file of `taplab play`. */
export type TimelineFileInput = { timeline: TimelineStepInput[]; length?: string | number | undefined };

/** A time from the start; bare numbers, which are microseconds to tc(8), are not meant. */
const moment = z.union([z.string(), z.number()]).superRefine((value, context) => {
  const text = String(value);
  try {
    if (parseTime(text) !== 0 && !/[a-z]$/i.test(text))
      context.addIssue(`${text}: needs a unit, as ${text}s`);
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    context.addIssue(error.message);
  }
});

/** Those of ports hold the names of a switch and an interface. */
const linkName = z.string().min(1).max(128);
const CHANGES = ['set', 'forward', 'reverse', 'clear'] as const;

export const timelineStep: z.ZodType<TimelineStepInput> = z
  .strictObject({
    at: moment.describe('When, from the start: 10s, 500ms.'),
    link: z
      .union([linkName, z.array(linkName).min(1).max(MAX_LINKS)])
      .describe('The link, or a list of links.'),
    set: impairment.describe('Changes both directions; what is not named stays.').optional(),
    forward: impairment.describe('First endpoint to second; laid over set.').optional(),
    reverse: impairment.describe('Second endpoint to first; laid over set.').optional(),
    clear: z
      .union([z.literal(true), z.null()])
      .describe('Takes everything away.')
      .optional(),
  })
  .superRefine((step, context) => {
    const given = CHANGES.filter((key) => key in step);
    if (given.length === 0) context.addIssue('nothing changes here: give set, forward, reverse or clear');
    if ('clear' in step && given.length > 1) context.addIssue(`give either clear or ${given[0]}`);
  });

/** What a file of `taplab play` may say. */
export const timelineFileSchema: z.ZodType<TimelineFileInput> = z.strictObject({
  timeline: z.array(timelineStep).min(1).max(MAX_STEPS),
  length: moment.optional(),
});
