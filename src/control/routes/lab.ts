/** /v1/lab: the lab that runs, and ending it. */
import { z } from 'zod';
import { ReloadError } from '../../daemon/reload.ts';
import { namespaceName } from '../../lab/names.ts';
import { LabFileError } from '../../lab/parse.ts';
import { VERSION } from '../../package.ts';
import { type App, type ControlContext, findNode, PROBLEMS } from '../context.ts';
import { ProblemError } from '../problem.ts';
import { NameParamsSchema } from '../schemas/requests.ts';
import { type LabResource, LabSchema, type NodeResource, NodeSchema } from '../schemas/resources.ts';

const ShutdownSchema: z.ZodType<{ pid: number }> = z.object({
  pid: z.number().int().describe('The process that is ending.'),
});

const ReloadedSchema: z.ZodType<{ changes: string[] }> = z.object({
  changes: z.array(z.string()).describe('What was changed, a line each; empty when the file says the same.'),
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

  app.get(
    '/v1/nodes/:name',
    {
      schema: {
        operationId: 'getNode',
        summary: 'One node, with all that the lab file says of it.',
        params: NameParamsSchema,
        response: { 200: NodeSchema, ...PROBLEMS },
      },
    },
    (request) => describeNode(context, request.params.name),
  );

  app.post(
    '/v1/lab/reload',
    {
      schema: {
        operationId: 'reload',
        summary: 'Reads the lab file again, and changes what differs while the lab runs.',
        response: { 200: ReloadedSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      context.access.requireOperator(request.raw.socket, 'reload the lab file');
      if (context.onReload === undefined) throw new ProblemError(409, 'This lab was not made from a file.');
      try {
        return { changes: await context.onReload() };
      } catch (error) {
        if (!(error instanceof LabFileError || error instanceof ReloadError)) throw error;
        throw new ProblemError(409, error.message);
      }
    },
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

function describeNode(context: ControlContext, name: string): NodeResource {
  const node = findNode(context, name);
  const { emulator } = context;
  return {
    lab: emulator.lab.name,
    node,
    up: node.interfaces.every((each) => emulator.interface(each.name)?.up === true),
  };
}

function describeLab({ emulator }: ControlContext): LabResource {
  const { lab, startedAt } = emulator;
  return {
    name: lab.name,
    version: VERSION,
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    uptimeSeconds: (Date.now() - startedAt.getTime()) / 1000,
    residentBytes: process.memoryUsage.rss(),
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
