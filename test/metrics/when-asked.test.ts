import { expect, test } from 'vitest';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { metricsWhenAsked } from '../../src/metrics/when-asked.ts';
import { FakeEmulator } from '../control/fake-emulator.ts';

test('metrics whose library is loaded when they are asked for are those of createMetrics()', async () => {
  const emulator = new FakeEmulator();
  const [later, now] = [metricsWhenAsked(emulator), createMetrics(emulator)];
  expect(later.contentType).toBe(now.contentType);
  const ofTaplab = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('taplab_'));
  expect(ofTaplab(await later.render())).toEqual(ofTaplab(await now.render()));
  // A second time from the same registry: nothing is registered twice.
  expect(ofTaplab(await later.render())).toEqual(ofTaplab(await now.render()));
});
