/** /v1/descriptors: looking at, changing and closing descriptors. */
import { z } from 'zod';
import { type App, type ControlContext, findDescriptor, PROBLEMS } from '../context.ts';
import { DescriptorChangeSchema, IdParamsSchema } from '../schemas/requests.ts';
import { type DescriptorResource, DescriptorSchema } from '../schemas/resources.ts';
import { describeDescriptor, resolveFields } from './interfaces.ts';

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
        summary: 'Changes filter (BIOCSETF, BIOCSETFNR), direction, immediate mode or read timeout.',
        params: IdParamsSchema,
        body: DescriptorChangeSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const handle = findDescriptor(context, request.params.id);
      access.requireDescriptor(request.raw.socket, handle);
      const { keepBuffers, direction, immediate, readTimeoutMs, ...fields } = request.body;
      // Everything that can be wrong is found before anything is changed.
      const resolved = resolveFields(fields, handle.linkType);
      if (resolved !== undefined) {
        await handle.setFilter(resolved.label, resolved.program, keepBuffers ?? false);
      }
      if (direction !== undefined) await handle.setDirection(direction);
      if (immediate !== undefined) handle.setImmediate(immediate);
      if (readTimeoutMs !== undefined) handle.setReadTimeout(readTimeoutMs);
      return describeDescriptor(context, handle);
    },
  );

  app.delete(
    '/v1/descriptors/:id',
    {
      schema: {
        operationId: 'detach',
        summary: 'Closes a descriptor. Its streams end complete; the answer holds its last counters.',
        params: IdParamsSchema,
        response: { 200: DescriptorSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const handle = findDescriptor(context, request.params.id);
      access.requireDescriptor(request.raw.socket, handle);
      const { readers, errors, ephemeral } = describeDescriptor(context, handle);
      await handle.close();
      return { ...handle.status(), linkType: handle.linkType, ephemeral, readers, errors };
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
}
