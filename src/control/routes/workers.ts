/** /v1/workers: the data-plane threads. */
import { z } from 'zod';
import type { WorkerStatus } from '../../daemon/contract.ts';
import { type App, type ControlContext, PROBLEMS } from '../context.ts';
import { WorkerSchema } from '../schemas/resources.ts';

const WorkerListSchema: z.ZodType<{ workers: WorkerStatus[] }> = z.object({ workers: z.array(WorkerSchema) });

export function workerRoutes(app: App, { emulator }: ControlContext): void {
  app.get(
    '/v1/workers',
    {
      schema: {
        operationId: 'listWorkers',
        summary: 'All data-plane threads: how busy they are, and how late.',
        response: { 200: WorkerListSchema, ...PROBLEMS },
      },
    },
    () => ({ workers: emulator.workers() }),
  );
}
