/** The shapes of switches and hubs on the control socket; see resources.ts. */
import { z } from 'zod';
import type { AddressStatus, SwitchPortStatus, SwitchStatus } from '../../daemon/contract.ts';

const count = (description: string): z.ZodNumber => z.number().int().nonnegative().describe(description);

const PortSchema: z.ZodType<SwitchPortStatus> = z.object({
  name: z.string().describe('The interface that the port is, SWITCH:PORT.'),
  link: z.string().nullable().describe('The link that leads to it, with its impairments; null without one.'),
  vlans: z
    .object({
      untagged: z.number().int().nullable().describe('VLAN of frames without a tag; null: none are taken.'),
      tagged: z.array(z.number().int()).readonly().describe('VLANs whose frames have a tag here.'),
    })
    .nullable()
    .describe('Null on a hub and on a switch without VLANs: tags are payload there.'),
  mirrored: z.boolean().describe('Whether the mirror shows what passes here.'),
});

export const SwitchSchema: z.ZodType<SwitchStatus> = z
  .object({
    name: z.string(),
    kind: z.enum(['switch', 'hub']),
    ageingNs: z.number().describe('An address is forgotten when it was silent for so long, nanoseconds.'),
    mirror: z.string().describe('The interface whose descriptors see what passes the mirrored ports.'),
    ports: z.array(PortSchema).readonly(),
    addresses: count('Addresses that are known now.'),
    addressRoom: count('Addresses for which there is room.'),
    forwarded: count('Frames sent to one port.'),
    flooded: count('Frames sent to all ports of their VLAN.'),
    filtered: count('Frames sent nowhere: meant for where they came from, or for bridges only.'),
    vlanRefused: count('Frames of a VLAN that the port does not carry.'),
    learned: count('Addresses learned.'),
    moved: count('Addresses that were known at another port until then.'),
    notLearned: count('Addresses not learned for want of room.'),
  })
  .meta({ id: 'Switch' });

export const AddressSchema: z.ZodType<AddressStatus> = z
  .object({
    mac: z.string(),
    vlan: z.number().int().describe('0 on a switch without VLANs.'),
    port: z.string().describe('The port behind which it is.'),
    ageNs: z.number().describe('How long ago its last frame came, nanoseconds.'),
  })
  .meta({ id: 'SwitchAddress' });
