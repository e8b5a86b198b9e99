/**
 * The lab file, key by key. What one value may be is said here; how values must fit each other (endpoints that exist,
 * names used once) is in references.ts. Unknown keys are errors everywhere.
 *
 * The schema only validates: model.ts's types are made in parse.ts. So its input side is also the JSON Schema that
 * editors use, see json-schema.ts.
 */
import { z } from 'zod';
import { MAX_RULES } from '../link/counters.ts';
import { IMPAIRMENT_WORDS, ImpairmentError, parseImpairment } from '../link/impairment.ts';
import { VERDICTS } from '../link/settings.ts';
import { parseTime, UnitError } from '../link/units.ts';
import { UNREAD } from '../link/words.ts';
import { MAX_PORTS, MAX_VLAN } from '../switch/settings.ts';
import type { DeviceKind } from './model.ts';
import {
  INTERFACE_PATTERN,
  macProblem,
  NAME_PATTERN,
  parsePrefix,
  SYSCTL_PATTERN,
  splitEndpoint,
} from './names.ts';

/** IPv4 needs 68 bytes (RFC 791); 9000 is the usual jumbo frame, and what a frame slot of the data plane holds. */
const MIN_MTU = 68;
const MAX_MTU = 9000;
export const DEFAULT_MTU = 1500;
const MAX_WORKERS = 64;
const MAX_NODES = 1024;
const MAX_LINKS = 1024;
/** And as many hubs. */
const MAX_SWITCHES = 64;
const MAX_DESCRIPTORS = 1024;
const MAX_STEPS = 10_000;
/** Of one node. */
const MAX_INTERFACES = 256;
/** Of a node that joins: its devices come in one message, which holds SCM_MAX_FD of them (unix(7)). */
export const MAX_JOINED_INTERFACES = 253;

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

export type NodeInput = {
  join?: boolean | undefined;
  interfaces?: Record<string, InterfaceInput> | null | undefined;
  routes?: (string | { to: string; via: string })[] | undefined;
  sysctls?: Record<string, string | number | boolean> | undefined;
} | null;

export type InterfaceInput = {
  ip?: string | string[] | undefined;
  mac?: string | undefined;
  mtu?: number | undefined;
  offload?: boolean | undefined;
  queues?: number | undefined;
  device?: DeviceKind | undefined;
  read?: string | undefined;
  write?: string | undefined;
} | null;

export type ImpairmentInput = string | Record<string, unknown>;

export type LinkInput = {
  name?: string | undefined;
  endpoints: [string, string];
  impair?: ImpairmentInput | undefined;
  forward?: ImpairmentInput | undefined;
  reverse?: ImpairmentInput | undefined;
};

export type SwitchPortInput =
  | string
  | {
      name?: string | undefined;
      interface?: string | undefined;
      vlan?: number | undefined;
      trunk?: number[] | undefined;
      native?: number | undefined;
      mirror?: boolean | undefined;
      impair?: ImpairmentInput | undefined;
      ingress?: ImpairmentInput | undefined;
      egress?: ImpairmentInput | undefined;
    };

type HubInput = { ports: SwitchPortInput[] };
type SwitchInput = HubInput & { ageing?: string | undefined };

type DescriptorInput = {
  interface: string;
  filter?: string | undefined;
  direction?: 'in' | 'out' | 'inout' | undefined;
  write?: string | undefined;
};

const name = z
  .string()
  .regex(NAME_PATTERN, 'letters, digits, "_" and "-", starting with a letter or digit, at most 32');

const interfaceName = z
  .string()
  .regex(INTERFACE_PATTERN, 'letters, digits, "_", "." and "-", not starting with "-", at most 15');

const device = z
  .enum(['tap', 'tun', 'tuntap2', 'memory', 'pcap'])
  .describe(
    'Where frames come from: tap, tun or tuntap2 (an optional package) are kernel devices; memory and pcap need no privilege.',
  );

const cidr = z
  .string()
  .max(64)
  .superRefine((text, context) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined) {
      context.addIssue(`"${text}" is not an address with prefix length, as 198.18.0.1/24`);
    } else if (!text.includes('/')) {
      context.addIssue(`"${text}" needs a prefix length, as ${text}/${prefix.family === 'ipv4' ? 24 : 64}`);
    }
  });

const mac = z.string().superRefine((text, context) => {
  const problem = macProblem(text);
  if (problem !== undefined) context.addIssue(`"${text}" ${problem}`);
});

const file = z.string().min(1).max(4096);

const labInterface = z
  .strictObject({
    ip: z
      .union([cidr, z.array(cidr).max(64)])
      .describe('Address with prefix length, or a list of them.')
      .optional(),
    mac: mac.describe('Hardware address; derived from lab and interface name when absent.').optional(),
    mtu: z.int().min(MIN_MTU).max(MAX_MTU).describe('Bytes without the Ethernet header; 1500.').optional(),
    offload: z
      .boolean()
      .describe('tap and tun: leave segmentation and checksums to taplab, which is fast; true.')
      .optional(),
    queues: z
      .int()
      .min(1)
      .max(MAX_WORKERS)
      .describe(
        'tap and tun: queues of the device, each read by a worker of its own, so that one direction of a link runs on several; 1.',
      )
      .optional(),
    device: device.optional(),
    read: file.describe('device pcap: the capture whose frames enter here.').optional(),
    write: file.describe('device pcap: the capture that receives what leaves.').optional(),
  })
  .nullable();

const destination = z.string().refine((text) => text === 'default' || parsePrefix(text) !== undefined, {
  error: (issue) => `"${issue.input}" is not a destination: expected default or a network as 198.18.1.0/24`,
});
const gateway = z.string().refine((text) => !text.includes('/') && parsePrefix(text) !== undefined, {
  error: (issue) => `"${issue.input}" is not the address of a gateway`,
});

const ROUTE_TEXT = /^\s*(\S+)\s+via\s+(\S+)\s*$/;

/** `default via 198.18.0.254` as its parts, or undefined. */
export function splitRoute(text: string): { to: string; via: string } | undefined {
  const match = ROUTE_TEXT.exec(text);
  return match === null ? undefined : { to: match[1]!, via: match[2]! };
}

const routeText = z
  .string()
  .max(200)
  .superRefine((text, context) => {
    const route = splitRoute(text);
    if (route === undefined) {
      context.addIssue(
        `"${text}" is not a route: expected "DESTINATION via GATEWAY", as "default via 198.18.0.254"`,
      );
      return;
    }
    for (const part of [destination.safeParse(route.to), gateway.safeParse(route.via)]) {
      for (const issue of part.error?.issues ?? []) context.addIssue(issue.message);
    }
  });

const sysctlName = z
  .string()
  .regex(SYSCTL_PATTERN, 'expected the name of a setting under net, as net.ipv4.ip_forward');

const node = z
  .strictObject({
    join: z
      .boolean()
      .describe(
        'The node brings its own devices: `taplab join NODE` makes them where it runs, as in a container, and hands them over.',
      )
      .optional(),
    interfaces: z
      .record(interfaceName, labInterface)
      .refine(
        (map) => Object.keys(map).length <= MAX_INTERFACES,
        `at most ${MAX_INTERFACES} interfaces a node`,
      )
      .describe("The node's devices by name. An empty value means defaults.")
      .nullable()
      .optional(),
    routes: z
      .array(z.union([routeText, z.strictObject({ to: destination, via: gateway })]))
      .max(1024)
      .describe('"default via 198.18.0.254", or { to, via }.')
      .optional(),
    sysctls: z
      .record(sysctlName, z.union([z.string().max(4096), z.number(), z.boolean()]))
      .describe('Settings under net inside the node, as net.ipv4.ip_forward: 1.')
      .optional(),
  })
  .nullable();

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
const impairment = z
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

const endpoint = z.string().refine((text) => splitEndpoint(text) !== undefined, {
  error: (issue) => `"${issue.input}" is not an interface: expected NODE:INTERFACE, as client:eth0`,
});

const link = z.strictObject({
  name: name.describe("Derived from the endpoints' nodes when absent.").optional(),
  endpoints: z.tuple([endpoint, endpoint]).describe('The two interfaces, as client:eth0.'),
  impair: impairment.optional(),
  forward: impairment.describe('First endpoint to second; laid over impair.').optional(),
  reverse: impairment.describe('Second endpoint to first; laid over impair.').optional(),
});

const ageing = z
  .string()
  .max(64)
  .superRefine((text, context) => {
    try {
      // tc(8) would take a bare number for microseconds.
      if (!/[a-z]\s*$/i.test(text)) context.addIssue(`ageing: "${text}": a unit is missing, as in 300s`);
      parseTime(text);
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      context.addIssue(`ageing: ${error.message}`);
    }
  });

const vlan = z.int().min(1).max(MAX_VLAN);

const portFields = {
  name: interfaceName
    .describe('Name of the port, as in sw0:uplink; its number, from 1, when absent.')
    .optional(),
  interface: endpoint.describe('The interface at this port; without one, for a link of its own.').optional(),
  mirror: z.boolean().describe('Whether SWITCH:mirror shows its frames; true.').optional(),
  impair: impairment.optional(),
  ingress: impairment.describe('From the interface to the switch; laid over impair.').optional(),
  egress: impairment.describe('From the switch to the interface; laid over impair.').optional(),
};
const hubPort = z.union([endpoint, z.strictObject(portFields)]);
const switchPort = z.union([
  endpoint,
  z.strictObject({
    ...portFields,
    vlan: vlan.describe('Access port: its frames have no tag and belong to this VLAN.').optional(),
    trunk: z.array(vlan).min(1).describe('Trunk port: the VLANs whose frames have a tag here.').optional(),
    native: vlan.describe('Trunk port: the VLAN of frames without a tag.').optional(),
  }),
]);

const switches = z
  .record(
    name,
    z.strictObject({
      ageing: ageing.describe('An address is forgotten when it was silent for so long; 300s.').optional(),
      ports: z.array(switchPort).max(MAX_PORTS),
    }),
  )
  .refine((map) => Object.keys(map).length <= MAX_SWITCHES, `at most ${MAX_SWITCHES} switches`)
  .describe('Learning switches: sw0: { ports: [a:eth0, { interface: b:eth0, vlan: 10 }] }.');

const hubs = z
  .record(name, z.strictObject({ ports: z.array(hubPort).max(MAX_PORTS) }))
  .refine((map) => Object.keys(map).length <= MAX_SWITCHES, `at most ${MAX_SWITCHES} hubs`)
  .describe('Hubs, which send every frame to all other ports: h0: { ports: [a:eth0, b:eth0] }.');

const descriptor = z.strictObject({
  interface: endpoint,
  filter: z.string().max(65_536).describe('A pcap-filter expression, @name, or program text.').optional(),
  direction: z.enum(['in', 'out', 'inout']).describe('inout when absent.').optional(),
  write: file.describe('pcapng file that receives the frames.').optional(),
});

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

const timelineStep = z
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
