/** `links`, `switches` and `hubs`: what is between the interfaces. */
import { z } from 'zod';
import { parseTime, UnitError } from '../../link/units.ts';
import { MAX_PORTS, MAX_VLAN } from '../../switch/settings.ts';
import { endpoint, type ImpairmentInput, impairment, interfaceName, name } from './values.ts';

/** And as many hubs. */
const MAX_SWITCHES = 64;

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

export type HubInput = { ports: SwitchPortInput[] };
export type SwitchInput = HubInput & { ageing?: string | undefined };

export const link: z.ZodType<LinkInput> = z.strictObject({
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

export const switches: z.ZodType<Record<string, SwitchInput>> = z
  .record(
    name,
    z.strictObject({
      ageing: ageing.describe('An address is forgotten when it was silent for so long; 300s.').optional(),
      ports: z.array(switchPort).max(MAX_PORTS),
    }),
  )
  .refine((map) => Object.keys(map).length <= MAX_SWITCHES, `at most ${MAX_SWITCHES} switches`)
  .describe('Learning switches: sw0: { ports: [a:eth0, { interface: b:eth0, vlan: 10 }] }.');

export const hubs: z.ZodType<Record<string, HubInput>> = z
  .record(name, z.strictObject({ ports: z.array(hubPort).max(MAX_PORTS) }))
  .refine((map) => Object.keys(map).length <= MAX_SWITCHES, `at most ${MAX_SWITCHES} hubs`)
  .describe('Hubs, which send every frame to all other ports: h0: { ports: [a:eth0, b:eth0] }.');
