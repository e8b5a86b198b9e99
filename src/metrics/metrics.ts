/**
 * Prometheus metrics of a running emulator. The data plane counts in shared memory; nothing is counted here: each
 * scrape reads the totals as they are and hands them out, so a scrape that is lost or doubled changes no number, and
 * what has gone (a closed descriptor) is gone from the next scrape.
 *
 * This is the only file that knows prom-client. What the metrics are stands in catalogue.ts.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { EmulatorControl } from '../daemon/contract.ts';
import { MAX_TIMER_MS } from '../sys/timer.ts';
import { FAMILIES } from './catalogue.ts';
import { type Label, type MetricDefinition, type Sample, stateOf } from './family.ts';

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
    samples: definition.samples,
    metric: register(registry, definition),
  }));
  registerProcessMetrics(registry);
  return {
    contentType: registry.contentType,
    render() {
      // Every metric is made complete, and metrics() takes its snapshot of each, at one moment: two renders at the
      // same time do not mix.
      const state = stateOf(emulator);
      for (const { samples, metric } of metrics) metric.take(samples(state));
      return registry.metrics();
    },
  };
}

/** A metric whose values are those it was last given. */
type Taken = { take(samples: readonly Sample[]): void };

function register(registry: Registry, { name, help, type, labels }: MetricDefinition): Taken {
  const settings = { name, help, labelNames: labels, registers: [registry] };
  if (type === 'histogram') return new TakenHistogram(settings);
  const metric: Counter<Label> | Gauge<Label> =
    type === 'counter' ? new Counter(settings) : new Gauge(settings);
  return {
    take(samples) {
      metric.reset();
      for (const [values, value] of samples) metric.inc(values, value);
    },
  };
}

/** A histogram that was counted elsewhere: prom-client's own counts by itself. */
class TakenHistogram extends Gauge<Label> implements Taken {
  #samples: readonly Sample[] = [];

  take(samples: readonly Sample[]): void {
    this.#samples = samples;
  }

  override async get(): ReturnType<Gauge<Label>['get']> {
    const samples = this.#samples;
    const gauge = await super.get();
    // The library writes the word; its types have a number there.
    const type = 'histogram' as unknown as typeof gauge.type;
    const values = samples.map(([labels, value, suffix]) => ({
      labels,
      value,
      metricName: `${gauge.name}${suffix}`,
    }));
    return { ...gauge, type, values };
  }
}

/** What prom-client tells of the process and of Node. */
function registerProcessMetrics(registry: Registry): void {
  // Percentiles of the event loop's lag would be sampled by a timer, 100 times a second in an idle lab too: it never fires.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: MAX_TIMER_MS });
  for (const statistic of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    registry.removeSingleMetric(`nodejs_eventloop_lag_${statistic}_seconds`);
  // nodejs_active_resources says the same by a documented interface of Node; and `_total` is for counters.
  for (const what of ['handles', 'handles_total', 'requests', 'requests_total', 'resources_total'])
    registry.removeSingleMetric(`nodejs_active_${what}`);
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
