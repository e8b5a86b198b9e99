import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Emulator } from '../../src/daemon/emulator.ts';
import { EVERY_FRAME, numberedFrame, pairLab } from '../helpers/lab.ts';

const MIB = 2 ** 20;

/** Resident memory of this process. */
function residentBytes(): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  return Number(kilobytes) * 1024;
}

describe.skipIf(process.platform !== 'linux')('the buffers of a descriptor', () => {
  it('are pages of the system again once it is closed', async () => {
    const emulator = await Emulator.start(pairLab());
    const descriptor = await emulator.attach('a:eth0', {
      ...EVERY_FRAME,
      direction: 'in',
      immediate: false,
      readTimeoutMs: 0,
      bufferBytes: 16 * MIB,
    });
    const frame = numberedFrame(1, 1514);
    while (descriptor.status().dropped === 0) {
      for (let i = 0; i < 500; i++) emulator.memoryDevice('a:eth0').send(frame);
      await emulator.run();
    }
    const full = residentBytes();
    await descriptor.close();
    // Both are full: 32 MiB, and something for what else goes on in the process.
    expect(full - residentBytes()).toBeGreaterThan(24 * MIB);
    await emulator.close();
  });
});
