/** /v1/lab: the lab that runs, and ending it. */
import { z } from 'zod';
import { namespaceName } from '../../lab/names.ts';
import { VERSION } from '../../package.ts';
import { type App, type ControlContext, PROBLEMS } from '../context.ts';
import { type LabResource, LabSchema } from '../schemas/resources.ts';

const ShutdownSchema: z.ZodType<{ pid: number }> = z.object({
  pid: z.number().int().describe('The process that is ending.'),
});

export function labRoutes(app: App, context: ControlContext): void {
  app.get(
    '/v1/lab',
    {
      schema: {
        operationId: 'getLab',
        summary: 'The lab, its nodes, and the process that emulates it.',
        response: { 200: LabSchema, ...PROBLEMS },
      },
    },
    () => describeLab(context),
  );

  app.delete(
    '/v1/lab',
    {
      schema: {
        operationId: 'shutDown',
        summary: 'Takes the lab down and ends the emulator. The socket goes away when everything is gone.',
        response: { 202: ShutdownSchema, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      context.access.requireOperator(request.raw.socket, 'take the lab down');
      reply.raw.once('close', context.onShutdown);
      return reply.code(202).send({ pid: process.pid });
    },
  );
}

function describeLab({ emulator }: ControlContext): LabResource {
  const { lab, startedAt } = emulator;
  return {
    name: lab.name,
    version: VERSION,
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    uptimeSeconds: (Date.now() - startedAt.getTime()) / 1000,
    seed: lab.seed,
    workers: lab.workers,
    virtual: lab.virtual,
    nodes: lab.nodes.map((node) => ({
      name: node.name,
      namespace: lab.virtual || node.join ? null : namespaceName(lab.name, node.name),
      join: node.join === true,
      interfaces: node.interfaces.map((each) => each.name),
    })),
  };
}
