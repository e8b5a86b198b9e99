/**
 * /v1/descriptors/{id}/stream: what a descriptor captures, live, to as many readers as want it. A reader that is too
 * slow loses frames of its own, counted in the descriptor's `readers`; one that goes away is forgotten.
 */
import { z } from 'zod';
import { CONTENT_TYPES } from '../../capture/formats.ts';
import { type App, type ControlContext, findDescriptor, PROBLEMS } from '../context.ts';
import { IdParamsSchema, StreamQuerySchema } from '../schemas/requests.ts';

const STREAM_RESPONSE = {
  description: 'Goes on until the descriptor is closed or its interface has gone.',
  content: {
    [CONTENT_TYPES.pcapng]: { schema: z.string().meta({ format: 'binary' }) },
    [CONTENT_TYPES.bpf]: { schema: z.string().meta({ format: 'binary' }) },
    [CONTENT_TYPES.json]: { schema: z.string() },
  },
};

export function streamRoutes(app: App, context: ControlContext): void {
  app.get(
    '/v1/descriptors/:id/stream',
    {
      // A HEAD request would run this handler and become a reader.
      exposeHeadRoute: false,
      schema: {
        operationId: 'stream',
        summary: 'Streams captured frames.',
        params: IdParamsSchema,
        querystring: StreamQuerySchema,
        response: { 200: STREAM_RESPONSE, ...PROBLEMS },
      },
    },
    (request, reply) => {
      const handle = findDescriptor(context, request.params.id);
      context.access.requireDescriptor(request.raw.socket, handle);
      const { format } = request.query;
      reply.hijack();
      reply.raw.writeHead(200, { 'content-type': CONTENT_TYPES[format], 'cache-control': 'no-store' });
      reply.raw.flushHeaders();
      context.captures.of(handle).subscribe(format, reply.raw);
    },
  );
}
