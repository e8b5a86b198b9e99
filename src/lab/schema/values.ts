/** Values that several parts of a lab file have in common. */
import { z } from 'zod';
import { MAX_RULES } from '../../link/counters.ts';
import { IMPAIRMENT_WORDS, ImpairmentError, parseImpairment } from '../../link/impairment.ts';
import { VERDICTS } from '../../link/settings.ts';
import { UNREAD } from '../../link/words.ts';
import { INTERFACE_PATTERN, NAME_PATTERN, splitEndpoint } from '../names.ts';

export const name: z.ZodType<string> = z
  .string()
  .regex(NAME_PATTERN, 'letters, digits, "_" and "-", starting with a letter or digit, at most 32');

export const interfaceName: z.ZodType<string, string> = z
  .string()
  .regex(INTERFACE_PATTERN, 'letters, digits, "_", "." and "-", not starting with "-", at most 15');

export const file: z.ZodType<string> = z.string().min(1).max(4096);

export const endpoint: z.ZodType<string> = z.string().refine((text) => splitEndpoint(text) !== undefined, {
  error: (issue) => `"${issue.input}" is not an interface: expected NODE:INTERFACE, as client:eth0`,
});

export type ImpairmentInput = string | Record<string, unknown>;

/** Adds the problems of an impairment to a zod issue list, each with its offset in the text or its key. */
function impairmentCheck(value: string | Record<string, unknown>, context: z.RefinementCtx): void {
  try {
    // Files are read later, when it is known where their paths start from (lab/tables.ts).
    parseImpairment(value, { readText: UNREAD });
  } catch (error) {
    if (!(error instanceof ImpairmentError)) throw error;
    for (const { position, key, message } of error.problems) {
      context.addIssue({
        code: 'custom',
        message,
        params: { position },
        path:
          key === undefined ? [] : key.split('/').map((step) => (/^\d+$/.test(step) ? Number(step) : step)),
      });
    }
  }
}

const quantity = z.union([z.string().max(4096), z.number()]);
const words = Object.fromEntries(
  IMPAIRMENT_WORDS.map(({ name, help }) => [name, quantity.describe(help).optional()]),
);
export const impairment: z.ZodType<ImpairmentInput> = z
  .union([
    z.string().superRefine(impairmentCheck),
    z
      .strictObject({
        ...words,
        rules: z
          .array(
            z.strictObject({
              match: z.string().describe('A pcap-filter expression; empty matches every frame.'),
              ...words,
              verdict: z
                .enum(VERDICTS)
                .describe("What follows: the link's own impairments, with a congestion mark, or neither.")
                .optional(),
            }),
          )
          .max(MAX_RULES)
          .describe('Impairments for what a filter matches; the first that does takes a frame.')
          .optional(),
      })
      .superRefine(impairmentCheck),
  ])
  .describe('As in tc-netem(8): "delay 20ms 2ms loss 1% rate 50mbit", or the same as a map.');
