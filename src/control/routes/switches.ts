/** /v1/switches: the switches and hubs of the lab, and what they have learned. */
import { z } from 'zod';
import type { AddressStatus, SwitchStatus } from '../../daemon/contract.ts';
import { type App, type ControlContext, findSwitch, PROBLEMS } from '../context.ts';
import { NameParamsSchema } from '../schemas/requests.ts';
import { AddressSchema, SwitchSchema } from '../schemas/switches.ts';

const SwitchListSchema: z.ZodType<{ switches: SwitchStatus[] }> = z.object({
  switches: z.array(SwitchSchema),
});
const AddressListSchema: z.ZodType<{ addresses: AddressStatus[] }> = z.object({
  addresses: z.array(AddressSchema),
});

export function switchRoutes(app: App, context: ControlContext): void {
  const { emulator } = context;

  app.get(
    '/v1/switches',
    {
      schema: {
        operationId: 'listSwitches',
        summary: 'All switches and hubs with their ports and counters.',
        response: { 200: SwitchListSchema, ...PROBLEMS },
      },
    },
    () => ({ switches: emulator.switches() }),
  );

  app.get(
    '/v1/switches/:name',
    {
      schema: {
        operationId: 'getSwitch',
        summary: 'One switch or hub.',
        params: NameParamsSchema,
        response: { 200: SwitchSchema, ...PROBLEMS },
      },
    },
    (request) => findSwitch(context, request.params.name),
  );

  app.get(
    '/v1/switches/:name/addresses',
    {
      schema: {
        operationId: 'listSwitchAddresses',
        summary: 'The addresses that a switch has learned, by VLAN and address.',
        params: NameParamsSchema,
        response: { 200: AddressListSchema, ...PROBLEMS },
      },
    },
    (request) => {
      const { name } = findSwitch(context, request.params.name);
      return { addresses: emulator.switchAddresses(name) ?? [] };
    },
  );
}
