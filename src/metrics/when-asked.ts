/**
 * The metrics of an emulator, whose library is loaded once the lab is up: to load it would take a tenth of the time in
 * which a small lab comes up, and the first scrape comes later. Not much later than that, for what prom-client tells of
 * the process it counts from when it is there.
 */
import type { EmulatorControl } from '../daemon/contract.ts';
import type { Metrics } from './metrics.ts';

const LOADED_AFTER_MS = 1000;
/** Of the text format of Prometheus. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** As createMetrics(). */
export function metricsWhenAsked(emulator: EmulatorControl): Metrics {
  let loaded: Promise<Metrics> | undefined;
  const load = (): Promise<Metrics> => {
    loaded ??= import('./metrics.ts').then(({ createMetrics }) => createMetrics(emulator));
    return loaded;
  };
  setTimeout(() => void load().catch(() => undefined), LOADED_AFTER_MS).unref();
  return {
    contentType: CONTENT_TYPE,
    async render() {
      return (await load()).render();
    },
  };
}
