/**
 * The shapes of what the control socket answers: zod schemas that serialize, and become part of /openapi.json. Their
 * types are those of daemon/contract.ts, so the compiler keeps both alike.
 */
import { z } from 'zod';
import { DIRECTIONS, type Direction, TIMESTAMPS, type Timestamp } from '../../bpf/record.ts';
import { CAPTURE_FORMATS } from '../../capture/formats.ts';
import type { SubscriberStatus } from '../../capture/subscriber.ts';
import type {
  ChangedLink,
  Counters,
  DescriptorStatus,
  DirectionStatus,
  Histogram,
  InterfaceStatus,
  LinkStatus,
  Owner,
  WorkerStatus,
} from '../../daemon/contract.ts';
import type { LabNode } from '../../lab/model.ts';
import { OVERLOAD_CAUSES } from '../../link/overload.ts';
import { DROP_REASONS, type LinkSettings } from '../../link/settings.ts';
import type { Problem } from '../problem.ts';
import { linkSettings } from './link-settings.ts';

const count = (description: string): z.ZodNumber => z.number().int().nonnegative().describe(description);

const time = (description: string): z.ZodNumber => z.number().nonnegative().describe(description);

const counters = (description: string): z.ZodType<Counters> =>
  z.object({ frames: count('Frames.'), bytes: count('Bytes, link headers included.') }).describe(description);

export const InterfaceSchema: z.ZodType<InterfaceStatus> = z
  .object({
    name: z.string().describe('node:interface'),
    kind: z.string().describe('Kind of device: tap, tun, tuntap2, memory or pcap.'),
    linkType: count('Link type as in pcap: 1 is EN10MB, 101 is RAW.'),
    mtu: count('Bytes, without the link header.'),
    offload: z.boolean().describe('Whether the node leaves segmentation and checksums to taplab.'),
    readers: z
      .array(z.object({ worker: z.number().int(), receive: counters('What this one has read.') }))
      .readonly()
      .describe('The workers that read its device, one for each of its queues.'),
    mac: z.string().describe('Hardware address of the node.'),
    addresses: z.array(z.string()).describe('Addresses with prefix length.'),
    up: z.boolean().describe('False once the device is gone or has failed.'),
    process: z
      .number()
      .int()
      .nullable()
      .describe('Of a node that has joined: from which process, if that has a number where taplab runs.'),
    receive: counters('What the node sent and taplab read.'),
    transmit: counters('What taplab wrote to the node.'),
    descriptors: count('Number of BPF descriptors attached.'),
    filterEngine: z
      .enum(['wasm', 'interpreter'])
      .describe('What runs the filters now: all compiled together, or the interpreter until that is ready.'),
  })
  .meta({ id: 'Interface' });

export const LinkSettingsSchema: z.ZodType<LinkSettings> = linkSettings.meta({ id: 'LinkSettings' });

const HistogramSchema: z.ZodType<Histogram> = z
  .object({
    upperBoundsNs: z
      .array(z.number())
      .readonly()
      .describe('Upper bounds of the buckets, nanoseconds, ascending.'),
    counts: z
      .array(z.number())
      .readonly()
      .describe('Values in each bucket, and last those above all bounds.'),
    sumNs: z.number().describe('Sum of all values, nanoseconds.'),
  })
  .meta({ id: 'Histogram' });

const DirectionSchema: z.ZodType<DirectionStatus> = z
  .object({
    from: z.string().describe('node:interface whose frames this direction carries.'),
    to: z.string().describe('node:interface that gets them.'),
    workers: z
      .array(z.number().int())
      .readonly()
      .describe('The workers that carry it: one, unless it starts from several queues.'),
    settings: LinkSettingsSchema,
    now: LinkSettingsSchema.nullable().describe(
      'What the settings come to now, while a schedule or Markov states change them; null when nothing does.',
    ),
    offered: counters('Offered to the link.'),
    delivered: counters('Delivered at the other end.'),
    delayed: count('Frames held back by delay or rate.'),
    duplicated: count('Copies that the link made.'),
    drops: z.record(z.enum(DROP_REASONS), z.number().int()).describe('Frames dropped, by reason.'),
    queueBytes: count('Bytes waiting in front of the rate limiter.'),
    queueFrames: count('Frames waiting in front of the rate limiter.'),
    inFlight: count('Frames in the link now: in the queue or under way.'),
    delayError: HistogramSchema.describe(
      'How late frames were delivered, against what delay and rate asked for.',
    ),
    overloaded: z
      .array(z.enum(OVERLOAD_CAUSES))
      .readonly()
      .describe(
        'Why the emulator itself is the bottleneck, while it is: frames come over 1 ms late, its worker has no slots for them, or is busy all the time.',
      ),
    rules: z
      .array(
        z.object({
          match: z.string().describe('Filter of the rule.'),
          matched: counters('Frames that it matched.'),
          dropped: count('Frames of those that the rule dropped itself.'),
        }),
      )
      .describe("Counters of the settings' rules, in their order."),
  })
  .meta({ id: 'LinkDirection' });

export const LinkSchema: z.ZodType<LinkStatus> = z
  .object({
    name: z.string(),
    endpoints: z.tuple([z.string(), z.string()]).describe('node:interface of both ends.'),
    forward: DirectionSchema.describe('From the first endpoint to the second.'),
    reverse: DirectionSchema.describe('From the second endpoint to the first.'),
  })
  .meta({ id: 'Link' });

export const WorkerSchema: z.ZodType<WorkerStatus> = z
  .object({
    index: count('Number of the thread, from 0.'),
    alive: z.boolean().describe('False once it has ended; the lab is going down then.'),
    busyNs: time('Time not spent waiting for frames, deadlines and commands, nanoseconds.'),
    spinNs: time('Time in which it waited on the clock for links with high precision, nanoseconds.'),
    iterations: count('How often it has waited.'),
    loopLag: HistogramSchema.describe('How late timers ran: the earliest one, each time any was due.'),
    slots: count('Frames that its links can hold together.'),
    slotsUsed: count('Frames that they hold.'),
    taps: count('Frames shown to descriptors.'),
    timedTaps: count('Those of them that were timed, one in 64.'),
    timedTapsNs: time('What the timed ones took, nanoseconds.'),
  })
  .meta({ id: 'Worker' });

const OwnerSchema: z.ZodType<Owner> = z
  .object({ uid: z.number().int(), gid: z.number().int(), pid: z.number().int() })
  .meta({ id: 'Owner', description: 'Who opened the descriptor, from SO_PEERCRED.' });

const ReaderSchema: z.ZodType<SubscriberStatus> = z
  .object({
    format: z.enum(CAPTURE_FORMATS),
    path: z.string().exactOptional().describe('File that is written, if it is one.'),
    frames: count('Frames given to this reader.'),
    bytes: count('Bytes given to this reader.'),
    lostFrames: count('Frames this reader was too slow for.'),
    queuedBytes: count('Bytes that wait for the reader.'),
  })
  .meta({ id: 'Reader' });

/** A descriptor as the control socket shows it. */
export type DescriptorResource = DescriptorStatus & {
  /** Closed by itself when its last reader leaves. */
  readonly ephemeral: boolean;
  readonly readers: readonly SubscriberStatus[];
  /** Why capture files were given up; the last ten. */
  readonly errors: readonly string[];
};

export const DirectionNameSchema: z.ZodType<Direction> = z
  .enum(DIRECTIONS)
  .describe(
    'in: from the node; out: to the node; inout: both; drop: from the node, and then dropped by the link; all: everything.',
  );

export const TimestampSchema: z.ZodType<Timestamp> = z
  .enum(TIMESTAMPS)
  .describe('Resolution of the time stamps in format bpf, and which clock they are from (BIOCSTSTAMP).');

export const DescriptorSchema: z.ZodType<DescriptorResource> = z
  .object({
    id: count('Number of the descriptor.'),
    interface: z.string().describe('node:interface'),
    linkType: count('Link type of its frames, as in pcap.'),
    filter: z.string().describe('The filter as it was given; empty accepts every frame.'),
    instructions: count('Length of its program.'),
    writeFilter: z
      .string()
      .nullable()
      .describe('The filter for frames that are written (BIOCSETWF); null lets all pass.'),
    direction: DirectionNameSchema,
    immediate: z.boolean().describe('Readers get frames at once (BIOCIMMEDIATE).'),
    readTimeoutMs: count('After how long readers get a buffer that is not full (BIOCSRTIMEOUT); 0 is never.'),
    bufferBytes: count('Size of each of its buffers (BIOCSBLEN).'),
    promiscuous: z
      .boolean()
      .describe('Frames to the node that are not for its hardware address are seen too (BIOCPROMISC).'),
    headerComplete: z
      .boolean()
      .describe('The source address of written frames is left as it is (BIOCSHDRCMPLT).'),
    feedback: z.boolean().describe('Written frames come back as input of the interface (BIOCFEEDBACK).'),
    timestamp: TimestampSchema,
    locked: z.boolean().describe('Settings can no longer be changed (BIOCLOCK).'),
    ephemeral: z.boolean().describe('Closed by itself when its last reader leaves.'),
    owner: OwnerSchema,
    attached: z.boolean().describe('False once the interface is gone.'),
    received: count('Frames seen, before the filter.'),
    accepted: count('Frames the filter accepted.'),
    dropped: count('Accepted frames for which there was no room in the buffers.'),
    capturedBytes: count('Bytes captured.'),
    storeBytes: count('Bytes of records in the store buffer.'),
    holdBytes: count('Bytes of records in the hold buffer; with storeBytes what FIONREAD says.'),
    written: count('Frames sent through this descriptor.'),
    writeFiltered: count('Frames to be sent that the write filter refused.'),
    writeDropped: count('Frames to be sent that were not, for any other reason.'),
    readers: z.array(ReaderSchema).describe('Streams and files that get its frames.'),
    errors: z.array(z.string()).describe('Why capture files were given up, at most the last ten.'),
  })
  .meta({ id: 'Descriptor' });

export type LinkChanged = ChangedLink;

export const LinkChangedSchema: z.ZodType<LinkChanged> = z
  .object({ before: LinkSchema, after: LinkSchema })
  .meta({ id: 'LinkChanged' });

export type LabResource = {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly residentBytes: number;
  readonly seed: number;
  readonly workers: number;
  readonly virtual: boolean;
  readonly nodes: readonly {
    readonly name: string;
    readonly namespace: string | null;
    readonly join: boolean;
    readonly interfaces: readonly string[];
  }[];
};

export const LabSchema: z.ZodType<LabResource> = z
  .object({
    name: z.string(),
    version: z.string().describe('Version of taplab.'),
    pid: count('Process id of the emulator.'),
    startedAt: z.string().describe('RFC 3339.'),
    uptimeSeconds: z.number(),
    residentBytes: count(
      'Memory of the emulator that is in use: its threads, frames under way, capture buffers.',
    ),
    seed: z.number().describe('Every random decision follows from it.'),
    workers: count('Data-plane threads.'),
    virtual: z.boolean().describe('True when the lab runs on a virtual clock, without kernel devices.'),
    nodes: z.array(
      z.object({
        name: z.string(),
        namespace: z
          .string()
          .nullable()
          .describe('Network namespace, as `ip netns` names it; null without one.'),
        join: z.boolean().describe('True when the node brings its own devices, with `taplab join`.'),
        interfaces: z.array(z.string()).describe('Names of its interfaces, node:interface.'),
      }),
    ),
  })
  .meta({ id: 'Lab' });

/** A node with all that the lab file says of it: what `taplab join` needs to know. */
export type NodeResource = {
  readonly lab: string;
  readonly node: LabNode;
  /** Whether all its interfaces have their devices. */
  readonly up: boolean;
};

export const NodeSchema: z.ZodType<NodeResource> = z
  .object({
    lab: z.string().describe('Name of the lab.'),
    up: z
      .boolean()
      .describe('Whether all its interfaces have their devices; false while it has yet to join.'),
    node: z.object({
      name: z.string(),
      join: z.boolean().exactOptional().describe('True when the node brings its own devices.'),
      interfaces: z.array(
        z.object({
          name: z.string().describe('node:interface'),
          node: z.string(),
          device: z.string().describe("The device's name inside the node."),
          kind: z.enum(['tap', 'tun', 'tuntap2', 'memory', 'pcap']),
          addresses: z.array(z.string()).describe('Addresses with prefix length.'),
          mac: z.string(),
          mtu: z.number().int().describe('Bytes, without the link header.'),
          offload: z.boolean().exactOptional().describe('False: the node does its own segmentation.'),
          readFile: z.string().exactOptional(),
          writeFile: z.string().exactOptional(),
        }),
      ),
      routes: z.array(z.object({ to: z.string(), via: z.string() })),
      sysctls: z.record(z.string(), z.string()).exactOptional(),
    }),
  })
  .meta({ id: 'Node' });

export const ProblemSchema: z.ZodType<Problem> = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What was wrong, and what to do about it.'),
    errors: z
      .array(
        z.object({
          pointer: z
            .string()
            .exactOptional()
            .describe('Where in the body: a JSON pointer as a URI fragment.'),
          parameter: z.string().exactOptional().describe('Which parameter of path or query.'),
          detail: z.string(),
        }),
      )
      .exactOptional(),
    code: z.string().exactOptional().describe('errno of the bpf(4) call.'),
    pc: z.number().int().exactOptional().describe('Invalid program: index of the instruction.'),
    reason: z.string().exactOptional().describe('Invalid program: the rule it breaks.'),
    position: z.number().int().exactOptional().describe('Filter expression: offset of the error.'),
    line: z.number().int().exactOptional().describe('Program text: line of the error.'),
    column: z.number().int().exactOptional().describe('Program text: column of the error.'),
  })
  .meta({ id: 'Problem', description: 'Problem document of RFC 9457.' });
