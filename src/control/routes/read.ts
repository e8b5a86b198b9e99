/**
 * /v1/descriptors/{id}/read: one read(2) of bpf(4). What is read here is not in the descriptor's streams: each batch
 * goes to one of those who ask for it.
 */
import { z } from 'zod';
import { CONTENT_TYPES, encoder } from '../../capture/formats.ts';
import { BpfError, type DescriptorHandle } from '../../daemon/contract.ts';
import { type App, type ControlContext, findDescriptor, PROBLEMS } from '../context.ts';
import { IdParamsSchema, ReadQuerySchema } from '../schemas/requests.ts';

const BATCH = z.custom<Buffer>((value) => Buffer.isBuffer(value)).meta({ type: 'string', format: 'binary' });
const READ_RESPONSE = {
  description: 'What was in the buffer.',
  content: {
    [CONTENT_TYPES.bpf]: { schema: BATCH },
    [CONTENT_TYPES.pcapng]: { schema: BATCH },
    [CONTENT_TYPES.json]: { schema: BATCH },
  },
};
const NOTHING_RESPONSE = z.undefined().describe('Nothing to read in this time (EWOULDBLOCK).');

export function readRoutes(app: App, context: ControlContext): void {
  app.get(
    '/v1/descriptors/:id/read',
    {
      // A HEAD request would read, and throw away what it has read.
      exposeHeadRoute: false,
      schema: {
        operationId: 'read',
        summary:
          'Takes what has been captured, at once or when there is something. 410 (ENXIO) when nothing comes any more.',
        params: IdParamsSchema,
        querystring: ReadQuerySchema,
        response: { 200: READ_RESPONSE, 204: NOTHING_RESPONSE, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const handle = findDescriptor(context, request.params.id);
      context.access.requireDescriptor(request.raw.socket, handle);
      const { format, timeout } = request.query;
      const ready = timeout === 0 || (await handle.poll(timeout));
      // Who has hung up meanwhile would take frames with it.
      const batch = ready && !request.raw.socket.destroyed ? await readNow(handle) : 'nothing';
      if (batch === 'nothing') return reply.code(204).send();
      if (batch === undefined) {
        throw new BpfError(
          'ENXIO',
          `interface ${handle.interface} is gone, and everything captured has been read`,
        );
      }
      const { header, batch: encode } = encoder(format, context.captures.of(handle).meta);
      reply.header('cache-control', 'no-store').type(CONTENT_TYPES[format]);
      return reply.send(Buffer.concat([header(), encode(batch)]));
    },
  );
}

/** O_NONBLOCK. undefined: nothing comes any more. */
async function readNow(handle: DescriptorHandle): Promise<Uint8Array | 'nothing' | undefined> {
  try {
    return await handle.read({ nonblocking: true });
  } catch (error) {
    if (error instanceof BpfError && error.code === 'EWOULDBLOCK') return 'nothing';
    throw error;
  }
}
