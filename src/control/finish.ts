/**
 * Closing a descriptor whose captures are to be complete. close() does as close(2) of bpf(4): what has not been read
 * is gone. Here its readers first get everything that was captured by now.
 */
import { setImmediate as eventLoopTurn, setTimeout as sleep } from 'node:timers/promises';
import { Program } from '../../vm/index.ts';
import type { CaptureStatus } from '../capture/capture.ts';
import type { Captures } from '../capture/captures.ts';
import { BpfError, type DescriptorHandle, type DescriptorStatus } from '../daemon/contract.ts';

const BPF_RET_K = 0x06;
const NOTHING: Program = Program.from([{ code: BPF_RET_K, jt: 0, jf: 0, k: 0 }]);
/** Readers do not make close() wait for longer. */
const DRAIN_MS = 1000;
const LOOK_AGAIN_MS = 2;

export type Finished = Pick<CaptureStatus, 'errors'> & {
  /** The last status, settings as they were. */
  readonly last: DescriptorStatus;
  readonly readers: CaptureStatus['subscribers'];
};

/** Closes a descriptor; resolves with what can be said about it at the end. */
export async function finish(handle: DescriptorHandle, captures: Captures): Promise<Finished> {
  const capture = captures.of(handle);
  const before = handle.status();
  if (capture.status().subscribers.length > 0) {
    await captureNoMore(handle);
    for (const start = performance.now(); performance.now() - start < DRAIN_MS; await sleep(LOOK_AGAIN_MS)) {
      if (capture.status().ended || capture.isIdle()) break;
    }
    // What was read last is on its way to the readers.
    await eventLoopTurn();
  }
  const { subscribers, errors } = capture.status();
  await handle.close();
  const { instructions, immediate } = before;
  return { last: { ...handle.status(), instructions, immediate }, readers: subscribers, errors };
}

async function captureNoMore(handle: DescriptorHandle): Promise<void> {
  try {
    await handle.setFilter(handle.status().filter, NOTHING, true);
  } catch (error) {
    // Locked, or closed meanwhile. A locked one goes on capturing until it is closed.
    if (!(error instanceof BpfError)) throw error;
  }
  // So that a buffer is handed over that is not full.
  handle.setImmediate(true);
}
