import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FAMILIES } from '../../src/metrics/catalogue.ts';
import { LABELS } from '../../src/metrics/family.ts';
import { processMetrics } from '../../src/metrics/metrics.ts';
import { metricsReference } from '../../src/metrics/reference.ts';

const FILE = new URL('../../docs/metrics.md', import.meta.url);

// Elsewhere Node tells less of a process.
test.runIf(process.platform === 'linux')(
  'docs/metrics.md is what the catalogue says; UPDATE_METRICS=1 writes it',
  async () => {
    const text = metricsReference(await processMetrics());
    if (process.env.UPDATE_METRICS === '1') writeFileSync(FILE, text);
    expect(readFileSync(FILE, 'utf8')).toBe(text);
  },
);

test('every label is used, and no metric is there twice', () => {
  const metrics = FAMILIES.flatMap((family) => family.metrics);
  expect(new Set(metrics.flatMap(({ labels }) => labels))).toEqual(new Set(Object.keys(LABELS)));
  expect(new Set(metrics.map(({ name }) => name)).size).toBe(metrics.length);
});
