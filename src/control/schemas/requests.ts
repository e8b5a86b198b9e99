/**
 * The shapes of what the control socket takes: zod schemas that check bodies, paths and queries, fill in defaults,
 * and become part of /openapi.json. Keys they do not know are errors.
 */
import { z } from 'zod';
import type { Direction, Timestamp } from '../../bpf/record.ts';
import { CAPTURE_FORMATS, type CaptureFormat } from '../../capture/formats.ts';
import { MERGED_FORMATS, type MergedFormat } from '../../capture/merged-output.ts';
import {
  DEFAULT_BUFFER_BYTES,
  DEFAULT_READ_TIMEOUT_MS,
  MAX_BUFFER_BYTES,
  MIN_BUFFER_BYTES,
} from '../../daemon/contract.ts';
import { DirectionNameSchema as direction, TimestampSchema as timestamp } from './resources.ts';

const MAX_EXPRESSION_CHARACTERS = 16_384;
const MAX_TIMEOUT_MS = 3_600_000;
/** Shorter than what clients and proxies usually wait for an answer. */
export const MAX_READ_WAIT_MS = 60_000;
const U32 = 0xffff_ffff;

const instruction = z.strictObject({
  code: z.number().int().min(0).max(0xffff),
  jt: z.number().int().min(0).max(0xff),
  jf: z.number().int().min(0).max(0xff),
  k: z.number().int().min(0).max(U32),
});

const filterFields = {
  filter: z
    .string()
    .max(MAX_EXPRESSION_CHARACTERS)
    .optional()
    .describe('pcap-filter(7) expression, @name of a ready-made filter, or program text; empty accepts all.'),
  program: z
    .union([z.string(), z.array(instruction).max(4096)])
    .optional()
    .describe('Instead of filter: text of a program (tcpdump -d, -dd, -ddd, or bpf_asm), or instructions.'),
};

export type FilterFields = {
  readonly filter?: string | undefined;
  readonly program?:
    | string
    | readonly { readonly code: number; readonly jt: number; readonly jf: number; readonly k: number }[]
    | undefined;
};

const notBoth = (body: FilterFields): boolean => body.filter === undefined || body.program === undefined;
const NOT_BOTH = { error: 'give either filter or program, not both', path: ['program'] };
const immediate = z.boolean().describe('Give frames to readers at once (BIOCIMMEDIATE).');
const readTimeoutMs = z
  .number()
  .int()
  .min(0)
  .max(MAX_TIMEOUT_MS)
  .describe('After how long readers get a buffer that is not full (BIOCSRTIMEOUT); 0 is never.');

const linkType = z
  .number()
  .int()
  .nonnegative()
  .describe('Link type as in pcap, one of those that the interface offers (BIOCSDLT).');
const writeFilter = z
  .string()
  .max(MAX_EXPRESSION_CHARACTERS)
  .describe('As filter, for frames that are written (BIOCSETWF): those it rejects are not sent.');
const promiscuous = z
  .boolean()
  .describe('See frames to the node that are not for its hardware address too (BIOCPROMISC).');
const headerComplete = z
  .boolean()
  .describe(
    "Leave the source address of written frames as it is, or fill in the interface's (BIOCSHDRCMPLT).",
  );
const feedback = z
  .boolean()
  .describe('Have written frames come back as input of the interface (BIOCFEEDBACK).');

export type AttachRequest = FilterFields & {
  readonly writeFilter?: string | undefined;
  readonly linkType?: number | undefined;
  readonly promiscuous: boolean;
  readonly headerComplete: boolean;
  readonly feedback: boolean;
  readonly timestamp: Timestamp;
  readonly direction: Direction;
  readonly immediate: boolean;
  readonly readTimeoutMs: number;
  readonly bufferBytes: number;
  readonly ephemeral: boolean;
};

export const AttachRequestSchema: z.ZodType<AttachRequest> = z
  .strictObject({
    ...filterFields,
    direction: direction.default('inout'),
    immediate: immediate.default(false),
    readTimeoutMs: readTimeoutMs.default(DEFAULT_READ_TIMEOUT_MS),
    bufferBytes: z
      .number()
      .int()
      .min(MIN_BUFFER_BYTES)
      .max(MAX_BUFFER_BYTES)
      .default(DEFAULT_BUFFER_BYTES)
      .describe('Size of each of its buffers (BIOCSBLEN).'),
    writeFilter: writeFilter.optional(),
    linkType: linkType.optional(),
    promiscuous: promiscuous.default(true),
    headerComplete: headerComplete.default(true),
    feedback: feedback.default(false),
    timestamp: timestamp.default('microtime'),
    ephemeral: z
      .boolean()
      .default(false)
      .describe('Close the descriptor when its last reader leaves, or when none has come within 10 seconds.'),
  })
  .refine(notBoth, NOT_BOTH)
  .meta({ id: 'AttachRequest' });

export type DescriptorChange = FilterFields & {
  readonly keepBuffers?: boolean | undefined;
  readonly direction?: Direction | undefined;
  readonly immediate?: boolean | undefined;
  readonly readTimeoutMs?: number | undefined;
  readonly writeFilter?: string | null | undefined;
  readonly linkType?: number | undefined;
  readonly promiscuous?: boolean | undefined;
  readonly headerComplete?: boolean | undefined;
  readonly feedback?: boolean | undefined;
  readonly timestamp?: Timestamp | undefined;
};

export const DescriptorChangeSchema: z.ZodType<DescriptorChange> = z
  .strictObject({
    ...filterFields,
    keepBuffers: z
      .boolean()
      .optional()
      .describe(
        'With a new filter: keep buffered frames and counters (BIOCSETFNR) instead of resetting them.',
      ),
    direction: direction.optional(),
    immediate: immediate.optional(),
    readTimeoutMs: readTimeoutMs.optional(),
    writeFilter: writeFilter.nullable().optional(),
    linkType: linkType.optional(),
    promiscuous: promiscuous.optional(),
    headerComplete: headerComplete.optional(),
    feedback: feedback.optional(),
    timestamp: timestamp.optional(),
  })
  .refine(notBoth, NOT_BOTH)
  .refine(
    (body) => body.keepBuffers === undefined || body.filter !== undefined || body.program !== undefined,
    {
      error: 'keepBuffers goes with a filter or a program',
      path: ['keepBuffers'],
    },
  )
  .meta({ id: 'DescriptorChange' });

/** One frame as bytes (application/octet-stream), or some in base64. */
export type FramesRequest = Buffer | { readonly frames: readonly string[] };

export const FramesRequestSchema: z.ZodType<FramesRequest> = z.union([
  z
    .strictObject({
      frames: z.array(z.base64()).min(1).max(4096).describe('Frames with their link header, in base64.'),
    })
    .meta({ id: 'FramesRequest' }),
  z.custom<Buffer>((value) => Buffer.isBuffer(value)).meta({ type: 'string', format: 'binary' }),
]);

const impairment = z
  .union([z.string(), z.record(z.string(), z.unknown())])
  .describe(
    'As tc-netem(8) writes it, "delay 20ms 2ms loss 0.5% rate 50mbit", or a map with these keys, and rules: [{ match: FILTER, ... }].',
  );

export type Impairment = string | Readonly<Record<string, unknown>>;

export type LinkChangeRequest = {
  readonly impair?: Impairment | undefined;
  readonly forward?: Impairment | undefined;
  readonly reverse?: Impairment | undefined;
};

const impairments = {
  impair: impairment.optional().describe('For both directions.'),
  forward: impairment.optional().describe('From the first endpoint to the second; laid over impair.'),
  reverse: impairment.optional().describe('From the second endpoint to the first; laid over impair.'),
};

export const LinkChangeRequestSchema: z.ZodType<LinkChangeRequest> = z
  .strictObject(impairments)
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    error: 'nothing to change: give impair, forward or reverse',
  })
  .meta({ id: 'LinkChange' });

/** Of one link: its impairments, and the worker that carries it. */
export type OneLinkChangeRequest = LinkChangeRequest & { readonly worker?: number | undefined };

export const OneLinkChangeRequestSchema: z.ZodType<OneLinkChangeRequest> = z
  .strictObject({
    ...impairments,
    worker: z
      .int()
      .nonnegative()
      .optional()
      .describe(
        'Number of the worker that is to carry both directions; frames under way keep time and order.',
      ),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    error: 'nothing to change: give impair, forward, reverse or worker',
  })
  .meta({ id: 'OneLinkChange' });

export type LinksChangeRequest = { readonly links: Readonly<Record<string, LinkChangeRequest>> };

export const LinksChangeRequestSchema: z.ZodType<LinksChangeRequest> = z.strictObject({
  links: z
    .record(z.string().min(1), LinkChangeRequestSchema)
    .refine((links) => Object.keys(links).length > 0, 'nothing to change: name a link')
    .describe('Changes by the name of the link.'),
});

export type NameParams = { readonly name: string };
export const NameParamsSchema: z.ZodType<NameParams> = z.object({ name: z.string().min(1) });

export type IdParams = { readonly id: number };
export const IdParamsSchema: z.ZodType<IdParams> = z.object({
  id: z.coerce.number().int('a descriptor id is a whole number').nonnegative(),
});

export type StreamQuery = { readonly format: CaptureFormat };
export const StreamQuerySchema: z.ZodType<StreamQuery> = z.strictObject({
  format: z
    .enum(CAPTURE_FORMATS)
    .default('pcapng')
    .describe('pcapng, bpf (records as bpf(4) gives them) or json (a line per frame).'),
});

export type ReadQuery = { readonly format: CaptureFormat; readonly timeout: number };
export const ReadQuerySchema: z.ZodType<ReadQuery> = z.strictObject({
  format: z
    .enum(CAPTURE_FORMATS)
    .default('bpf')
    .describe('As of a stream; pcapng is a whole file each time.'),
  timeout: z.coerce
    .number()
    .int()
    .min(0)
    .max(MAX_READ_WAIT_MS)
    .default(0)
    .describe('How long to wait for something to read, in milliseconds; 0 does not wait (O_NONBLOCK).'),
});

export type MergedQuery = { readonly descriptors: readonly number[]; readonly format: MergedFormat };
export const MergedQuerySchema: z.ZodType<MergedQuery> = z.strictObject({
  descriptors: z
    .string()
    .regex(/^\d{1,15}(?:,\d{1,15})*$/, 'expected ids of descriptors, as 4,5,6')
    .transform((text) => [...new Set(text.split(',').map(Number))])
    .describe('Ids of descriptors, as 4,5,6; the interfaces of the section are in this order.'),
  format: z.enum(MERGED_FORMATS).default('pcapng'),
});
