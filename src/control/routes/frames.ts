/** /v1/descriptors/{id}/frames: sending frames out of an interface, to its node. */
import { z } from 'zod';
import { BpfError } from '../../daemon/contract.ts';
import { type App, type ControlContext, findDescriptor, PROBLEMS } from '../context.ts';
import { ProblemError } from '../problem.ts';
import { FramesRequestSchema, IdParamsSchema } from '../schemas/requests.ts';
import { toProblem } from '../to-problem.ts';

const WrittenSchema: z.ZodType<{ written: number }> = z.object({
  written: z.number().int().describe('Frames sent.'),
});

export function frameRoutes(app: App, context: ControlContext): void {
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });

  app.post(
    '/v1/descriptors/:id/frames',
    {
      schema: {
        operationId: 'writeFrames',
        summary: 'Sends frames to the node: one as application/octet-stream, or several in base64 as JSON.',
        consumes: ['application/json', 'application/octet-stream'],
        params: IdParamsSchema,
        body: FramesRequestSchema,
        response: { 200: WrittenSchema, ...PROBLEMS },
      },
    },
    async (request) => {
      const handle = findDescriptor(context, request.params.id);
      context.access.requireDescriptorToChange(request.raw.socket, handle, 'send frames');
      if (Buffer.isBuffer(request.body)) {
        await handle.write(request.body);
        return { written: 1 };
      }
      const { frames } = request.body;
      for (const [index, frame] of frames.entries()) {
        try {
          await handle.write(Buffer.from(frame, 'base64'));
        } catch (error) {
          if (!(error instanceof BpfError)) throw error;
          const cause = toProblem(error, true);
          const detail = `Frame ${index} was not sent, those before it were: ${cause.detail}`;
          const errors = [{ pointer: `#/frames/${index}`, detail: cause.detail }];
          throw new ProblemError(cause.status, detail, { ...cause, detail, errors });
        }
      }
      return { written: frames.length };
    },
  );
}
