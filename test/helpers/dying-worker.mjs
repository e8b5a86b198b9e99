/**
 * For `node --import`, which every thread of a process inherits: a data-plane worker that meets a frame with MAGIC in
 * it dies while it copies that into a descriptor's buffer, in the middle of a delivery and with the bpf_if lock held.
 * What a bug or a lack of memory there would do, at a moment of the test's choosing.
 */
import { isMainThread } from 'node:worker_threads';

const MAGIC = Buffer.from('this frame is fatal');

if (!isMainThread) {
  const { copyWithin } = Uint8Array.prototype;
  // The worker is compiled code that offers no place for a fault; this is where a record is stored.
  Uint8Array.prototype.copyWithin = function (target, start, end) {
    if (Buffer.from(this.buffer, start, end - start).includes(MAGIC)) throw new Error('met its fate');
    return copyWithin.call(this, target, start, end);
  };
}
