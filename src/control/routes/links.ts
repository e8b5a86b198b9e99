/** /v1/links: the links of the lab, and changing what they do to frames while they run. */
import { z } from 'zod';
import type { ChangedLink, LinkChange, LinkStatus } from '../../daemon/contract.ts';
import { ImpairmentError, parseImpairment } from '../../link/impairment.ts';
import type { LinkSettings } from '../../link/settings.ts';
import { type App, type ControlContext, findLink, PROBLEMS } from '../context.ts';
import { ProblemError, type ProblemItem, problemType } from '../problem.ts';
import {
  type LinkChangeRequest,
  LinksChangeRequestSchema,
  NameParamsSchema,
  OneLinkChangeRequestSchema,
} from '../schemas/requests.ts';
import { LinkChangedSchema, LinkSchema } from '../schemas/resources.ts';

const LinkListSchema: z.ZodType<{ links: LinkStatus[] }> = z.object({ links: z.array(LinkSchema) });
const ChangedListSchema: z.ZodType<{ links: ChangedLink[] }> = z.object({
  links: z.array(LinkChangedSchema),
});

export function linkRoutes(app: App, context: ControlContext): void {
  const { emulator, access } = context;

  app.get(
    '/v1/links',
    {
      schema: {
        operationId: 'listLinks',
        summary: 'All links with their settings and counters.',
        response: { 200: LinkListSchema, ...PROBLEMS },
      },
    },
    () => ({ links: emulator.links() }),
  );

  app.get(
    '/v1/links/:name',
    {
      schema: {
        operationId: 'getLink',
        summary: 'One link.',
        params: NameParamsSchema,
        response: { 200: LinkSchema, ...PROBLEMS },
      },
    },
    (request) => findLink(context, request.params.name),
  );

  app.patch(
    '/v1/links/:name',
    {
      schema: {
        operationId: 'changeLink',
        summary: 'Changes a link for the frames that arrive from now on. What is not named stays as it is.',
        params: NameParamsSchema,
        body: OneLinkChangeRequestSchema,
        response: { 200: LinkChangedSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const before = findLink(context, request.params.name);
      const { name } = before;
      access.requireOperator(request.raw.socket, 'change links');
      const { worker, ...body } = request.body;
      const change = linkChange(body, '#');
      const after = worker === undefined ? undefined : await emulator.moveLink(name, worker);
      if (after !== undefined && Object.keys(body).length === 0) return { before, after };
      const [changed] = await emulator.setLinks([{ name, ...change }]);
      return { before, after: changed!.after };
    },
  );

  app.patch(
    '/v1/links',
    {
      schema: {
        operationId: 'changeLinks',
        summary: 'Changes several links at one moment, all or none. What is not named stays as it is.',
        body: LinksChangeRequestSchema,
        response: { 200: ChangedListSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const bodies = Object.entries(request.body.links);
      for (const [name] of bodies) findLink(context, name);
      access.requireOperator(request.raw.socket, 'change links');
      const changes = bodies.map(([name, body]) => ({
        name,
        ...linkChange(body, `#/links/${name.replaceAll('/', '~1')}`),
      }));
      return { links: await emulator.setLinks(changes) };
    },
  );
}

/**
 * @param base JSON pointer of the body
 * @throws ProblemError 400 with everything that is wrong in the impairments
 */
function linkChange(body: LinkChangeRequest, base: string): LinkChange {
  const errors: ProblemItem[] = [];
  const parse = (member: keyof LinkChangeRequest): Partial<LinkSettings> => {
    const value = body[member];
    if (value === undefined) return {};
    try {
      return parseImpairment(value);
    } catch (error) {
      if (!(error instanceof ImpairmentError)) throw error;
      for (const { key, message } of error.problems) {
        errors.push({
          pointer: [base, member, ...(key === undefined ? [] : [key])].join('/'),
          detail: message,
        });
      }
      return {};
    }
  };
  const both = parse('impair');
  const change: LinkChange = {
    forward: { ...both, ...parse('forward') },
    reverse: { ...both, ...parse('reverse') },
  };
  if (errors.length === 0) return change;
  throw new ProblemError(400, errors.map((error) => error.detail).join('; '), {
    type: problemType('impairment'),
    title: 'Impairment cannot be read',
    errors,
  });
}
