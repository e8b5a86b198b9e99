/** /metrics: everything that is counted, for Prometheus. The same as on the TCP listener. */
import type { App, ControlContext } from '../context.ts';

export function metricsRoutes(app: App, { metrics }: ControlContext): void {
  app.get(
    '/metrics',
    { schema: { operationId: 'getMetrics', summary: 'Metrics in the text format of Prometheus.' } },
    async (_request, reply) => {
      const text = await metrics.render();
      return reply.type(metrics.contentType).send(text);
    },
  );
}
