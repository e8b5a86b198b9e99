/** The optional tuntap2 backend, from lab file to traffic. */
import { afterEach, expect, it } from 'vitest';
import { loadTuntap2 } from '../../src/device/tuntap2.ts';
import {
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  startLab,
  uniqueLabName,
} from '../helpers/real.ts';
import { pingMs } from '../helpers/traffic.ts';

const missing: string | undefined = await loadTuntap2().then(
  () => undefined,
  (error: Error) => error.message,
);
if (missing && process.env.REQUIRE_TUNTAP2) throw new Error(missing);
if (missing) process.stderr.write(`SKIPPED: a lab on tuntap2 devices (${missing})\n`);

let lab: RunningLab | undefined;
afterEach(async () => {
  await lab?.stop();
  if (lab) await removeNamespaces(lab.name);
});

it.skipIf(noRealDevices ?? missing)(
  'a lab on tuntap2 devices carries traffic with the delay of its link',
  async () => {
    const name = uniqueLabName();
    lab = await startLab(name, pairYaml(name, 'device: tuntap2\n', '{ delay: 10ms }'));
    const roundTripMs = await pingMs(lab);
    expect(roundTripMs).toBeGreaterThanOrEqual(20);
    expect(roundTripMs).toBeLessThan(35);
  },
);
