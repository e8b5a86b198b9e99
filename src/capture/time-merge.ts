/**
 * Records of several interfaces in the order of their time stamps. Pure: what time it is comes from outside.
 *
 * A frame is stamped before it waits for the bpf_if lock and is stored, so records reach a buffer, and one buffer
 * earlier than another, in an order that may differ from that of their stamps. Therefore a record is held back until
 * every source has been seen, by `mark()`, to have nothing older: that is, until the oldest mark is `windowNs` later
 * than its stamp. Within the window the order is exact, whatever threads the records come from. A record that took
 * longer than the window from its stamp to its buffer is given out all the same, and counted as late.
 */
import { RECORD_HEADER } from '../bpf/record.ts';
import { type Viewed, viewed } from './packet-blocks.ts';

const NS_PER_SECOND = 1_000_000_000;

/** A record where it stands in its batch, and the number of the source it came from. */
export type MergedRecord = {
  readonly source: number;
  readonly batch: Viewed;
  readonly at: number;
  readonly seconds: number;
  readonly nanoseconds: number;
};

type Moment = { readonly seconds: number; readonly nanoseconds: number };

export class TimeMerge {
  readonly #windowNs: number;
  /** Up to when each source has been seen to hold nothing back; undefined once it has ended. */
  readonly #marks: (Moment | undefined)[];
  readonly #late: number[];
  #pending: MergedRecord[] = [];
  #pendingBytes = 0;
  #last: Moment = { seconds: 0, nanoseconds: 0 };

  constructor(sources: number, windowNs: number) {
    this.#windowNs = windowNs;
    this.#marks = Array.from({ length: sources }, () => ({ seconds: 0, nanoseconds: 0 }));
    this.#late = Array.from({ length: sources }, () => 0);
  }

  /** Bytes of the records that are held back. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Records of a source that were given out after later ones. */
  late(source: number): number {
    return this.#late[source] ?? 0;
  }

  /** Takes a batch in; the newest of its records is a mark of the source. */
  push(source: number, records: Uint8Array): void {
    const batch = viewed(records);
    const { view } = batch;
    let newest: Moment | undefined;
    for (let at = 0; at + RECORD_HEADER <= records.byteLength; at += view.getUint32(at, true)) {
      const record = {
        source,
        batch,
        at,
        seconds: view.getUint32(at + 16, true),
        nanoseconds: view.getUint32(at + 20, true),
      };
      if (newest === undefined || compare(record, newest) > 0) newest = record;
      this.#pending.push(record);
    }
    this.#pendingBytes += records.byteLength;
    if (newest !== undefined) this.mark(source, newest);
  }

  /** Everything that a source had stored by this moment has been pushed. */
  mark(source: number, { seconds, nanoseconds }: Moment): void {
    if (this.#marks[source] !== undefined) this.#marks[source] = { seconds, nanoseconds };
  }

  /** Nothing more comes from a source. */
  end(source: number): void {
    this.#marks[source] = undefined;
  }

  /** The records whose turn it is, in order; with `all`, those that are held back as well. */
  take(all = false): MergedRecord[] {
    // Sorting finds the runs that are in order already and merges them: each batch is one, or nearly so.
    this.#pending.sort(compare);
    const limit = all ? undefined : this.#limit();
    let count = this.#pending.length;
    if (limit !== undefined) {
      count = this.#pending.findIndex((record) => compare(record, limit) > 0);
      if (count === -1) count = this.#pending.length;
    }
    const taken = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    for (const record of taken) {
      this.#pendingBytes -= record.batch.view.getUint32(record.at, true);
      if (compare(record, this.#last) < 0) this.#late[record.source]!++;
      else this.#last = record;
    }
    return taken;
  }

  /** The oldest mark, less the window; undefined when all sources have ended. */
  #limit(): Moment | undefined {
    let oldest: Moment | undefined;
    for (const mark of this.#marks) {
      if (mark !== undefined && (oldest === undefined || compare(mark, oldest) < 0)) oldest = mark;
    }
    return oldest && before(oldest, this.#windowNs);
  }
}

function compare(a: Moment, b: Moment): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

function before({ seconds, nanoseconds }: Moment, ns: number): Moment {
  const difference = nanoseconds - ns;
  const borrowed = Math.max(0, Math.ceil(-difference / NS_PER_SECOND));
  return { seconds: seconds - borrowed, nanoseconds: difference + borrowed * NS_PER_SECOND };
}
