/**
 * The lab file, key by key. What one value may be is said here; how values must fit each other (endpoints that exist,
 * names used once) is in ../references.ts. Unknown keys are errors everywhere.
 *
 * The schema only validates: the types of ../model.ts are made in ../parse.ts. So its input side is also the JSON Schema that
 * editors use, see ../json-schema.ts.
 */
import { z } from 'zod';
import type { DeviceKind } from '../model.ts';
import { type HubInput, hubs, type LinkInput, link, type SwitchInput, switches } from './links.ts';
import { device, MAX_WORKERS, type NodeInput, node } from './nodes.ts';
import { MAX_LINKS, MAX_STEPS, type TimelineStepInput, timelineStep } from './timeline.ts';
import { endpoint, file, name } from './values.ts';

const MAX_NODES = 1024;
const MAX_DESCRIPTORS = 1024;

/** A lab file that the schema accepts, as its author wrote it. */
export type LabInput = {
  name: string;
  seed?: number | undefined;
  workers?: number | undefined;
  device?: DeviceKind | undefined;
  nodes: Record<string, NodeInput>;
  switches?: Record<string, SwitchInput> | null | undefined;
  hubs?: Record<string, HubInput> | null | undefined;
  links?: LinkInput[] | null | undefined;
  descriptors?: DescriptorInput[] | null | undefined;
  timeline?: TimelineStepInput[] | null | undefined;
};

type DescriptorInput = {
  interface: string;
  filter?: string | undefined;
  direction?: 'in' | 'out' | 'inout' | undefined;
  write?: string | undefined;
};

const descriptor = z.strictObject({
  interface: endpoint,
  filter: z.string().max(65_536).describe('A pcap-filter expression, @name, or program text.').optional(),
  direction: z.enum(['in', 'out', 'inout']).describe('inout when absent.').optional(),
  write: file.describe('pcapng file that receives the frames.').optional(),
});

/** What a lab file may say. */
export const labSchema: z.ZodType<LabInput> = z.strictObject({
  name: name.describe('Name of the lab; part of the names of its namespaces.'),
  seed: z.int().min(0).describe('Every random decision follows from it; 1 when absent.').optional(),
  workers: z.int().min(1).max(MAX_WORKERS).describe('Data-plane threads; 1 when absent.').optional(),
  device: device.optional(),
  nodes: z
    .record(name, node)
    .refine((map) => Object.keys(map).length > 0, 'a lab needs at least one node')
    .refine((map) => Object.keys(map).length <= MAX_NODES, `at most ${MAX_NODES} nodes`),
  switches: switches.nullable().optional(),
  hubs: hubs.nullable().optional(),
  links: z.array(link).max(MAX_LINKS).nullable().optional(),
  descriptors: z.array(descriptor).max(MAX_DESCRIPTORS).nullable().optional(),
  timeline: z
    .array(timelineStep)
    .max(MAX_STEPS)
    .describe('Changes of links at given times after the lab is up.')
    .nullable()
    .optional(),
});
