/** `nodes`: their interfaces, routes and settings. */
import { z } from 'zod';
import type { DeviceKind } from '../model.ts';
import { macProblem, parsePrefix, SYSCTL_PATTERN } from '../names.ts';
import { file, interfaceName } from './values.ts';

/** IPv4 needs 68 bytes (RFC 791); 9000 is the usual jumbo frame, and what a frame slot of the data plane holds. */
const MIN_MTU = 68;
const MAX_MTU = 9000;
export const DEFAULT_MTU = 1500;
export const MAX_WORKERS = 64;
/** Of one node. */
const MAX_INTERFACES = 256;
/** Of a node that joins: its devices come in one message, which holds SCM_MAX_FD of them (unix(7)). */
export const MAX_JOINED_INTERFACES = 253;

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

export const device: z.ZodType<DeviceKind> = z
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

export const node: z.ZodType<NodeInput> = z
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
