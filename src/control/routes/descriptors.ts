/** /v1/descriptors: looking at, changing and closing descriptors. */
import { z } from 'zod';
import type { DescriptorHandle } from '../../daemon/contract.ts';
import { type App, type ControlContext, findDescriptor, PROBLEMS } from '../context.ts';
import { finish } from '../finish.ts';
import { type DescriptorChange, DescriptorChangeSchema, IdParamsSchema } from '../schemas/requests.ts';
import { type DescriptorResource, DescriptorSchema } from '../schemas/resources.ts';
import { describeDescriptor, resolveFields, resolveWriteFilter } from './interfaces.ts';

const DescriptorListSchema: z.ZodType<{ descriptors: DescriptorResource[] }> = z.object({
  descriptors: z.array(DescriptorSchema),
});

export function descriptorRoutes(app: App, context: ControlContext): void {
  const { emulator, access } = context;

  app.get(
    '/v1/descriptors',
    {
      schema: {
        operationId: 'listDescriptors',
        summary: 'All descriptors with their counters.',
        response: { 200: DescriptorListSchema, ...PROBLEMS },
      },
    },
    () => ({ descriptors: emulator.descriptors().map((handle) => describeDescriptor(context, handle)) }),
  );

  app.get(
    '/v1/descriptors/:id',
    {
      schema: {
        operationId: 'getDescriptor',
        summary: 'One descriptor.',
        params: IdParamsSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    (request) => describeDescriptor(context, findDescriptor(context, request.params.id)),
  );

  app.patch(
    '/v1/descriptors/:id',
    {
      schema: {
        operationId: 'changeDescriptor',
        summary: 'Changes settings; what is not named stays as it is.',
        description:
          'Of a locked descriptor (BIOCLOCK) only immediate, readTimeoutMs, feedback and timestamp: 403 otherwise, and nothing has changed.',
        params: IdParamsSchema,
        body: DescriptorChangeSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const handle = findDescriptor(context, request.params.id);
      access.requireDescriptor(request.raw.socket, handle);
      await change(handle, request.body);
      return describeDescriptor(context, handle);
    },
  );

  app.delete(
    '/v1/descriptors/:id',
    {
      schema: {
        operationId: 'detach',
        summary:
          'Closes a descriptor. Its streams end, with all that was captured; the answer holds its last counters.',
        params: IdParamsSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const handle = findDescriptor(context, request.params.id);
      access.requireDescriptor(request.raw.socket, handle);
      const { ephemeral } = describeDescriptor(context, handle);
      const { last, readers, errors } = await finish(handle, context.captures);
      return { ...last, ephemeral, readers, errors };
    },
  );

  app.post(
    '/v1/descriptors/:id/flush',
    {
      schema: {
        operationId: 'flush',
        summary: 'Discards what is buffered and resets the counters (BIOCFLUSH).',
        params: IdParamsSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const handle = findDescriptor(context, request.params.id);
      access.requireDescriptorToChange(request.raw.socket, handle, 'flush');
      await handle.flush();
      return describeDescriptor(context, handle);
    },
  );

  app.post(
    '/v1/descriptors/:id/lock',
    {
      schema: {
        operationId: 'lock',
        summary:
          'Locks a descriptor for good (BIOCLOCK): it can be read, written and closed, but not be changed.',
        params: IdParamsSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    (request) => {
      const handle = findDescriptor(context, request.params.id);
      access.requireDescriptor(request.raw.socket, handle);
      handle.lock();
      return describeDescriptor(context, handle);
    },
  );
}

/** Makes the changes. Everything that can be wrong is found before anything is changed, or by the first change. */
async function change(handle: DescriptorHandle, body: DescriptorChange): Promise<void> {
  const { keepBuffers, direction, immediate, readTimeoutMs, writeFilter, ...others } = body;
  const { filter, program, linkType, promiscuous, headerComplete, feedback, timestamp } = others;
  const framesAre = linkType ?? handle.linkType;
  const read = resolveFields({ filter, program }, framesAre);
  const write = typeof writeFilter === 'string' ? resolveWriteFilter(writeFilter, framesAre) : undefined;
  // First what a lock forbids.
  if (linkType !== undefined) handle.setLinkType(linkType);
  if (read !== undefined) await handle.setFilter(read.label, read.program, keepBuffers ?? false);
  if (writeFilter !== undefined) handle.setWriteFilter(write);
  if (direction !== undefined) await handle.setDirection(direction);
  if (promiscuous !== undefined) await handle.setPromiscuous(promiscuous);
  if (headerComplete !== undefined) handle.setHeaderComplete(headerComplete);
  if (immediate !== undefined) handle.setImmediate(immediate);
  if (readTimeoutMs !== undefined) handle.setReadTimeout(readTimeoutMs);
  if (feedback !== undefined) handle.setFeedback(feedback);
  if (timestamp !== undefined) await handle.setTimestamp(timestamp);
}
