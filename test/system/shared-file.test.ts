/** A device's file that somebody else has open too. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NO_FRAME } from '../../src/device/device.ts';
import { ROOT } from '../helpers/dist.ts';
import { isMissing } from '../helpers/requirements.ts';

describe.skipIf(isMissing('namespaces', 'tun'))('a file that was handed over', () => {
  it('does not keep a worker waiting, even when it is made blocking afterwards', () => {
    const script = join(ROOT, 'test', 'system', 'shared-file.mjs');
    // A TAP device goes with its file.
    const name = `tlsh${process.pid}`;
    const { stdout, stderr, signal } = spawnSync(process.execPath, [script, name], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ stdout, stderr, signal }).toEqual({ stdout: `${NO_FRAME}\n`, stderr: '', signal: null });
  });
});
