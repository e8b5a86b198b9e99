/**
 * Captured batches as NDJSON, one frame a line:
 *
 *   {"time":"2026-01-31T12:00:00.123456789Z","interface":"a:eth0","direction":"in","length":60,"captured":60,"data":"<base64>"}
 *
 * `length` is the length on the wire, `captured` that of `data`. A frame that was dropped has direction `drop`,
 * `dropReason`, and the `link` that dropped it.
 */
import { type CapturedFrame, frames } from '../bpf/record.ts';
import { dropReasonName } from './drop-comment.ts';

/** Writes the lines of one interface. */
export class JsonLines {
  readonly #interface: string;
  readonly #link: string;
  /** The second that was written last, and how: formatting a date is dear. */
  #second = -1;
  #date = '';

  /** @param link the link that carries the interface's frames, and so may drop them */
  constructor(interfaceName: string, link?: string) {
    this.#interface = JSON.stringify(interfaceName);
    this.#link = link === undefined ? '' : `"link":${JSON.stringify(link)},`;
  }

  /** A batch of records (bpf/record.ts) as lines of JSON, each ended by a newline. */
  batch(records: Uint8Array): Buffer {
    let lines = '';
    for (const frame of frames(records)) lines += this.line(frame);
    return Buffer.from(lines, 'utf8');
  }

  line(frame: CapturedFrame): string {
    if (frame.seconds !== this.#second) {
      this.#second = frame.seconds;
      this.#date = new Date(frame.seconds * 1000).toISOString().slice(0, 19);
    }
    const { bytes, direction, dropReason } = frame;
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    const dropped =
      dropReason === undefined ? '' : `"dropReason":"${dropReasonName(dropReason)}",${this.#link}`;
    return (
      `{"time":"${this.#date}.${String(frame.nanoseconds).padStart(9, '0')}Z","interface":${this.#interface},` +
      `"direction":"${direction}",${dropped}"length":${frame.wireLength},"captured":${bytes.byteLength},"data":"${data}"}\n`
    );
  }
}
