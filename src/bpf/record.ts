/**
 * One captured frame as it stands in a descriptor's buffer, and how to walk a buffer of them.
 *
 * A record is a header of RECORD_HEADER bytes, the captured bytes, and padding to a multiple of RECORD_ALIGN. All
 * fields are little-endian 32-bit words. The layout is this project's own; capture/ turns it into bpf(4) records,
 * pcapng blocks or JSON lines when it is copied out.
 *
 *   word 0  total length of the record, padding included
 *   word 1  captured length
 *   word 2  length on the wire
 *   word 3  direction: DIRECTION_IN or DIRECTION_OUT
 *   word 4  time stamp, seconds since the epoch
 *   word 5  time stamp, nanoseconds
 */
export const RECORD_HEADER = 24;
export const RECORD_ALIGN = 8;

/** Direction bits, as seen from taplab's end of the device: `in` came from the node, `out` goes to it. */
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;
export const DIRECTION_INOUT = 3;

export type Direction = 'in' | 'out' | 'inout';

/** The bits of a direction's name. */
export function directionBits(direction: Direction): number {
  return direction === 'in' ? DIRECTION_IN : direction === 'out' ? DIRECTION_OUT : DIRECTION_INOUT;
}

/** One frame of a batch. `bytes` is a view into the batch, valid as long as the batch is. */
export type CapturedFrame = {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly direction: 'in' | 'out';
  readonly wireLength: number;
  readonly bytes: Uint8Array;
};

/** Walks a copied-out hold buffer. */
export function* frames(batch: Uint8Array): Generator<CapturedFrame> {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  for (let at = 0; at + RECORD_HEADER <= batch.byteLength; ) {
    const total = view.getUint32(at, true);
    if (total < RECORD_HEADER) throw new RangeError(`no record at ${at}: its length is ${total}`);
    const captured = view.getUint32(at + 4, true);
    yield {
      wireLength: view.getUint32(at + 8, true),
      direction: view.getUint32(at + 12, true) === DIRECTION_IN ? 'in' : 'out',
      seconds: view.getUint32(at + 16, true),
      nanoseconds: view.getUint32(at + 20, true),
      bytes: batch.subarray(at + RECORD_HEADER, at + RECORD_HEADER + captured),
    };
    at += total;
  }
}
