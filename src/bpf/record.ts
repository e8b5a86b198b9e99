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
 *   word 3  bits 0 to 7: direction, one of the DIRECTION_ bits; bits 8 to 15: why it was dropped, an index of
 *           DROP_REASONS (link/settings.ts), if it was; bits 16 to 23: time stamp, see timestampBits()
 *   word 4  time stamp, seconds: since the epoch, or since the system started; 0 if none
 *   word 5  time stamp, nanoseconds
 */
export const RECORD_HEADER = 24;
export const RECORD_ALIGN = 8;

/** Direction bits, as seen from taplab's end of the device: `in` came from the node, `out` goes to it. */
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;
/** Came in, and was then dropped by the link or the engine. */
export const DIRECTION_DROP = 4;
/** Out, and not for the interface's hardware address: seen by promiscuous descriptors only. */
export const DIRECTION_OUT_OTHER = 8;

export const DIRECTIONS = ['in', 'out', 'inout', 'drop', 'all'] as const;
/** `inout` is BPF_D_INOUT; `drop` and `all`, which is everything, are this project's own. */
export type Direction = (typeof DIRECTIONS)[number];

const BITS: Readonly<Record<Direction, number>> = {
  in: DIRECTION_IN,
  out: DIRECTION_OUT,
  inout: DIRECTION_IN | DIRECTION_OUT,
  drop: DIRECTION_DROP,
  all: DIRECTION_IN | DIRECTION_OUT | DIRECTION_DROP,
};

/** The bits of a direction's name. */
export function directionBits(direction: Direction, promiscuous = true): number {
  const bits = BITS[direction];
  return promiscuous && (bits & DIRECTION_OUT) !== 0 ? bits | DIRECTION_OUT_OTHER : bits;
}

/** What a frame that was dropped is tapped as. `reason` is an index of DROP_REASONS. */
export function droppedBecause(reason: number): number {
  return DIRECTION_DROP | (reason << REASON_SHIFT);
}

const REASON_SHIFT = 8;
export const TIMESTAMP_SHIFT = 16;

/**
 * BIOCSTSTAMP: what a bpf(4) stream shows of a time stamp, and which clock it is taken from: the time of day, or, if
 * monotonic, the time since the system started.
 */
export const TIMESTAMPS = [
  'microtime',
  'nanotime',
  'bintime',
  'none',
  'microtime-monotonic',
  'nanotime-monotonic',
  'bintime-monotonic',
] as const;
export type Timestamp = (typeof TIMESTAMPS)[number];

/** BPF_T_MICROTIME, BPF_T_NANOTIME, BPF_T_BINTIME and BPF_T_NONE; BPF_T_FORMAT_MASK. */
export const TIMESTAMP_FORMAT = 3;
export const TIMESTAMP_MICROTIME = 0;
export const TIMESTAMP_NANOTIME = 1;
export const TIMESTAMP_BINTIME = 2;
export const TIMESTAMP_NONE = 3;
/** BPF_T_MONOTONIC. */
export const TIMESTAMP_MONOTONIC = 4;

/** A time stamp's name as a number: TIMESTAMP_FORMAT, and TIMESTAMP_MONOTONIC. */
export function timestampBits(timestamp: Timestamp): number {
  return TIMESTAMPS.indexOf(timestamp);
}

/** One frame of a batch. `bytes` is a view into the batch, valid as long as the batch is. */
export type CapturedFrame = {
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Which clock seconds and nanoseconds are of; both are 0 with `none`. */
  readonly timestamp: Timestamp;
  readonly direction: 'in' | 'out' | 'drop';
  /** Of a dropped frame: why, an index of DROP_REASONS. */
  readonly dropReason?: number;
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
    const origin = view.getUint32(at + 12, true);
    yield {
      wireLength: view.getUint32(at + 8, true),
      ...fate(origin),
      timestamp: TIMESTAMPS[(origin >>> TIMESTAMP_SHIFT) & 0xff]!,
      seconds: view.getUint32(at + 16, true),
      nanoseconds: view.getUint32(at + 20, true),
      bytes: batch.subarray(at + RECORD_HEADER, at + RECORD_HEADER + captured),
    };
    at += total;
  }
}

function fate(origin: number): Pick<CapturedFrame, 'direction' | 'dropReason'> {
  if ((origin & DIRECTION_DROP) !== 0) {
    return { direction: 'drop', dropReason: (origin >>> REASON_SHIFT) & 0xff };
  }
  return { direction: (origin & DIRECTION_IN) !== 0 ? 'in' : 'out' };
}
