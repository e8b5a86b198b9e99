/**
 * Closing a descriptor whose captures are to be complete. close() does as close(2) of bpf(4): what has not been read
 * is gone. Here its readers first get everything that was captured by now.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CaptureStatus } from '../capture/capture.ts';
import type { Captures } from '../capture/captures.ts';
import type { DescriptorHandle, DescriptorStatus } from '../daemon/contract.ts';

/** Readers do not make close() wait for longer. */
const DRAIN_MS = 1000;
const LOOK_AGAIN_MS = 2;

export type Finished = Pick<CaptureStatus, 'errors'> & {
  readonly last: DescriptorStatus;
  readonly readers: CaptureStatus['subscribers'];
};

/** Closes a descriptor; resolves with what can be said about it at the end. */
export async function finish(handle: DescriptorHandle, captures: Captures): Promise<Finished> {
  const capture = captures.of(handle);
  const readers = capture.subscribers();
  // Readers come to the end, as if the interface had gone away, after what was captured until here.
  await handle.detach();
  for (const start = performance.now(); performance.now() - start < DRAIN_MS; await sleep(LOOK_AGAIN_MS)) {
    if (capture.status().subscribers.length === 0) break;
  }
  await handle.close();
  return {
    last: handle.status(),
    readers: readers.map((reader) => reader.status()),
    errors: capture.status().errors,
  };
}
