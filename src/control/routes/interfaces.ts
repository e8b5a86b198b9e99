/** /v1/interfaces: the interfaces of the lab, and attaching to one. */
import { z } from 'zod';
import type {
  AttachOptions,
  DescriptorHandle,
  InterfaceStatus,
  NamedProgram,
} from '../../daemon/contract.ts';
import { type App, type ControlContext, findInterface, PROBLEMS } from '../context.ts';
import { type ResolvedFilter, resolveFilter, resolveProgramText } from '../filter.ts';
import { ProblemError } from '../problem.ts';
import { AttachRequestSchema, type FilterFields, NameParamsSchema } from '../schemas/requests.ts';
import { type DescriptorResource, DescriptorSchema, InterfaceSchema } from '../schemas/resources.ts';
import { filterErrorToProblem } from '../to-problem.ts';

const InterfaceListSchema: z.ZodType<{ interfaces: InterfaceStatus[] }> = z.object({
  interfaces: z.array(InterfaceSchema),
});

export function interfaceRoutes(app: App, context: ControlContext): void {
  const { emulator, access, quota, ephemerals } = context;

  app.get(
    '/v1/interfaces',
    {
      schema: {
        operationId: 'listInterfaces',
        summary: 'All interfaces with their counters.',
        response: { 200: InterfaceListSchema, ...PROBLEMS },
      },
    },
    () => ({ interfaces: emulator.interfaces() }),
  );

  app.get(
    '/v1/interfaces/:name',
    {
      schema: {
        operationId: 'getInterface',
        summary: 'One interface.',
        params: NameParamsSchema,
        response: { 200: InterfaceSchema, ...PROBLEMS },
      },
    },
    (request) => findInterface(context, request.params.name),
  );

  app.post(
    '/v1/interfaces/:name/descriptors',
    {
      schema: {
        operationId: 'attach',
        summary: 'Opens a descriptor on an interface and attaches it. It belongs to the uid that asks.',
        params: NameParamsSchema,
        body: AttachRequestSchema,
        response: { 201: DescriptorSchema, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const owner = access.owner(request.raw.socket);
      const { name, linkType } = findInterface(context, request.params.name);
      const { filter, program, writeFilter, linkType: chosen, ephemeral, ...settings } = request.body;
      const framesAre = chosen ?? linkType;
      const resolved = resolveFields({ filter, program }, framesAre) ?? resolveFilter('', framesAre);
      const options: AttachOptions = {
        ...settings,
        filter: resolved.label,
        program: resolved.program,
        owner,
        ...(chosen !== undefined && { linkType: chosen }),
        ...(writeFilter !== undefined && { writeFilter: resolveWriteFilter(writeFilter, framesAre) }),
      };
      const handle = await quota.attach(owner.uid, options.bufferBytes, () => emulator.attach(name, options));
      if (ephemeral) ephemerals.add(handle);
      return reply
        .code(201)
        .header('location', `/v1/descriptors/${handle.id}`)
        .send(describeDescriptor(context, handle));
    },
  );
}

/** A descriptor as answers show it. */
export function describeDescriptor(
  { captures, ephemerals }: ControlContext,
  handle: DescriptorHandle,
): DescriptorResource {
  const { subscribers, errors } = captures.of(handle).status();
  return {
    ...handle.status(),
    ephemeral: ephemerals.has(handle),
    readers: subscribers,
    errors,
  };
}

/**
 * The program that a request's `filter` or `program` stands for; undefined when it has neither.
 *
 * @throws ProblemError 400 that points at the member and says what is wrong with it
 */
export function resolveFields(fields: FilterFields, linkType: number): ResolvedFilter | undefined {
  const { filter, program } = fields;
  if (filter !== undefined) return pointingAt('#/filter', () => resolveFilter(filter, linkType));
  if (program === undefined) return undefined;
  return pointingAt('#/program', () =>
    typeof program === 'string' ? resolveProgramText(program) : resolveFilter(program, linkType),
  );
}

/** The program of a request's `writeFilter`. @throws ProblemError as resolveFields() */
export function resolveWriteFilter(writeFilter: string, linkType: number): NamedProgram {
  const { label, program } = pointingAt('#/writeFilter', () => resolveFilter(writeFilter, linkType));
  return { filter: label, program };
}

function pointingAt(pointer: string, resolve: () => ResolvedFilter): ResolvedFilter {
  try {
    return resolve();
  } catch (error) {
    const found = filterErrorToProblem(error, pointer);
    if (found === undefined) throw error;
    throw new ProblemError(found.status, found.detail, found);
  }
}
