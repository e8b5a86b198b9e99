/**
 * Prometheus metrics of a running emulator. The data plane counts in shared memory; nothing is counted here: each
 * scrape reads the totals as they are and hands them out, so a scrape that is lost or doubled changes no number, and
 * what has gone (a closed descriptor) is gone from the next scrape.
 *
 * This is the only file that knows prom-client. What the metrics are stands in catalogue.ts.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { EmulatorControl } from '../daemon/contract.ts';
import { FAMILIES, type MetricDefinition, stateOf } from './catalogue.ts';

export type Metrics = {
  /** For the Content-Type header. */
  readonly contentType: string;
  /** The text format of Prometheus. */
  render(): Promise<string>;
};

/** Metrics of one emulator, in a registry of their own. */
export function createMetrics(emulator: EmulatorControl): Metrics {
  const registry = new Registry();
  const metrics = FAMILIES.flatMap((family) => family.metrics).map((definition) => ({
    definition,
    metric: register(registry, definition),
  }));
  registerProcessMetrics(registry);
  return {
    contentType: registry.contentType,
    render() {
      // Every metric is made complete, and metrics() takes its snapshot of each, at one moment: two renders at the
      // same time do not mix.
      const state = stateOf(emulator);
      for (const { definition, metric } of metrics) {
        metric.reset();
        for (const [labels, value] of definition.samples(state)) metric.inc(labels, value);
      }
      return registry.metrics();
    },
  };
}

function register(registry: Registry, { name, help, type, labels }: MetricDefinition): Counter | Gauge {
  const settings = { name, help, labelNames: labels, registers: [registry] };
  return type === 'counter' ? new Counter(settings) : new Gauge(settings);
}

/** What prom-client tells of the process and of Node. */
function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  // Sums of the gauges without the suffix, which Prometheus keeps for counters.
  for (const what of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`nodejs_active_${what}_total`);
}

/** A metric of the process, as docs/metrics.md lists it. */
export type ProcessMetric = { readonly name: string; readonly type: string; readonly help: string };

/** The metrics of the process that this system has. */
export async function processMetrics(): Promise<ProcessMetric[]> {
  const registry = new Registry();
  registerProcessMetrics(registry);
  const metrics = await registry.getMetricsAsJSON();
  return metrics.map(({ name, type, help }) => ({ name, type: String(type), help }));
}
