/**
 * /v1/descriptors/{id}/stream and /v1/stream: what descriptors capture, live, to as many readers as want it. A reader
 * that is too slow loses frames of its own, counted in the descriptor's `readers`; one that goes away is forgotten.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CONTENT_TYPES } from '../../capture/formats.ts';
import { mergeCaptures } from '../../capture/merged.ts';
import { MERGED_FORMATS } from '../../capture/merged-output.ts';
import { type App, type ControlContext, findDescriptor, PROBLEMS } from '../context.ts';
import { ProblemError } from '../problem.ts';
import { IdParamsSchema, MergedQuerySchema, StreamQuerySchema } from '../schemas/requests.ts';

const content = (formats: readonly (keyof typeof CONTENT_TYPES)[]): Record<string, { schema: z.ZodType }> =>
  Object.fromEntries(
    formats.map((format) => {
      const schema = format === 'json' ? z.string() : z.string().meta({ format: 'binary' });
      return [CONTENT_TYPES[format], { schema }];
    }),
  );

const STREAM_RESPONSE = {
  description: 'Goes on until the descriptor is closed or its interface has gone.',
  content: content(['pcapng', 'bpf', 'json']),
};
const MERGED_RESPONSE = {
  description: 'Goes on until all of the descriptors are closed or their interfaces have gone.',
  content: content(MERGED_FORMATS),
};

export function streamRoutes(app: App, context: ControlContext): void {
  const { access, captures } = context;
  const begin = beginner();

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
      access.requireDescriptor(request.raw.socket, handle);
      const { format } = request.query;
      begin(request, reply, CONTENT_TYPES[format]);
      captures.of(handle).subscribe(format, reply.raw);
    },
  );

  app.get(
    '/v1/stream',
    {
      exposeHeadRoute: false,
      schema: {
        operationId: 'streamMerged',
        summary: 'Streams the frames of several descriptors in one, in the order of time.',
        querystring: MergedQuerySchema,
        response: { 200: MERGED_RESPONSE, ...PROBLEMS },
      },
    },
    (request, reply) => {
      const { descriptors, format } = request.query;
      const handles = descriptors.map((id) => findDescriptor(context, id));
      for (const handle of handles) access.requireDescriptor(request.raw.socket, handle);
      begin(request, reply, CONTENT_TYPES[format]);
      mergeCaptures(
        handles.map((handle) => captures.of(handle)),
        format,
        reply.raw,
      ).catch((error: unknown) => {
        request.log.error({ err: error }, 'a merged stream was given up');
        reply.raw.destroy();
      });
    },
  );
}

/**
 * What begins the answer of a stream. One a connection: others would wait for its end, and their frames with them.
 */
function beginner(): (request: FastifyRequest, reply: FastifyReply, contentType: string) => void {
  const streaming = new WeakSet();
  return (request, reply, contentType) => {
    const { socket } = request.raw;
    if (streaming.has(socket)) {
      throw new ProblemError(409, 'This connection has a stream already; make another for each.');
    }
    streaming.add(socket);
    reply.raw.once('finish', () => streaming.delete(socket));
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    reply.raw.flushHeaders();
  };
}
