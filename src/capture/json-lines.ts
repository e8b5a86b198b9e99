/**
 * Captured batches as NDJSON, one frame a line:
 *
 *   {"time":"2026-01-31T12:00:00.123456789Z","interface":"a:eth0","direction":"in","length":60,"captured":60,"data":"<base64>"}
 *
 * `length` is the length on the wire, `captured` that of `data`.
 */
import { frames } from '../bpf/record.ts';

/** A batch of records (bpf/record.ts) as lines of JSON, each ended by a newline. */
export function jsonLines(records: Uint8Array, interfaceName: string): Buffer {
  const name = JSON.stringify(interfaceName);
  let lines = '';
  let second = -1;
  let date = '';
  for (const frame of frames(records)) {
    if (frame.seconds !== second) {
      second = frame.seconds;
      date = new Date(second * 1000).toISOString().slice(0, 19);
    }
    const { bytes } = frame;
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    lines +=
      `{"time":"${date}.${String(frame.nanoseconds).padStart(9, '0')}Z","interface":${name},` +
      `"direction":"${frame.direction}","length":${frame.wireLength},"captured":${bytes.byteLength},"data":"${data}"}\n`;
  }
  return Buffer.from(lines, 'utf8');
}
