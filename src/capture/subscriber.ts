/**
 * One reader of a capture: where its bytes go, and what it lost.
 *
 * A reader that does not keep up loses whole batches of its own: while more than `limitBytes` wait in its sink,
 * nothing is added, and what was not added is counted. Nobody waits for it. A sink that closes or fails is done with.
 */
import type { Writable } from 'node:stream';
import type { CaptureFormat, Encoder } from './formats.ts';
import { type InterfaceStatistics, type Timestamp, timestampNow } from './pcapng.ts';

/** What the descriptor had counted; statistics are differences to the counts at the start. */
export type DescriptorCounts = {
  readonly received: number;
  readonly accepted: number;
  readonly dropped: number;
};

export type SubscriberStatus = {
  readonly format: CaptureFormat;
  /** The file written, when it is one. */
  readonly path?: string;
  readonly frames: number;
  readonly bytes: number;
  /** Frames this reader was too slow for. */
  readonly lostFrames: number;
  /** Bytes that wait for the reader. */
  readonly queuedBytes: number;
};

export type SubscriberOptions = {
  readonly format: CaptureFormat;
  readonly encoder: Encoder;
  readonly sink: Writable;
  readonly limitBytes: number;
  readonly counts: DescriptorCounts;
  readonly path?: string;
  /** Called once, when the reader is done with: its sink closed or failed, or it was ended. */
  readonly onGone: (subscriber: Subscriber) => void;
};

export class Subscriber {
  readonly format: CaptureFormat;
  readonly encoder: Encoder;
  /** Resolves when the sink has closed; with the error that made it close, if one did. */
  readonly closed: Promise<Error | undefined>;
  readonly #sink: Writable;
  readonly #limitBytes: number;
  readonly #onGone: (subscriber: Subscriber) => void;
  readonly #path: string | undefined;
  readonly #start: Timestamp = timestampNow();
  readonly #countsAtStart: DescriptorCounts;
  #gone = false;
  #frames = 0;
  #bytes = 0;
  #lostFrames = 0;

  constructor(options: SubscriberOptions) {
    this.format = options.format;
    this.encoder = options.encoder;
    this.#sink = options.sink;
    this.#limitBytes = options.limitBytes;
    this.#onGone = options.onGone;
    this.#path = options.path;
    this.#countsAtStart = options.counts;
    this.closed = new Promise((resolve) => {
      let failure: Error | undefined;
      // The listener stays for as long as the sink does: an error without one would end the process.
      this.#sink.on('error', (error) => {
        failure ??= error;
        this.#leave();
      });
      this.#sink.once('close', () => {
        this.#leave();
        resolve(failure);
      });
      if (this.#sink.destroyed) {
        this.#leave();
        resolve(failure);
      }
    });
    const header = this.encoder.header();
    if (!this.#gone && header.byteLength > 0) this.#sink.write(header);
  }

  /** True once the sink closed, failed or was ended. */
  get gone(): boolean {
    return this.#gone;
  }

  /** True while more waits in the sink than may: the next batch is to be lost. */
  get isBehind(): boolean {
    return this.#sink.writableLength > this.#limitBytes;
  }

  /** Counts a batch of `frames` frames that is not given to this reader. */
  lose(frames: number): void {
    if (!this.#gone) this.#lostFrames += frames;
  }

  /** Queues an encoded batch of `frames` frames. */
  deliver(encoded: Buffer, frames: number): void {
    if (this.#gone) return;
    this.#frames += frames;
    this.#bytes += encoded.byteLength;
    this.#sink.write(encoded);
  }

  /** Writes the trailer and ends the sink; what is queued is still delivered. */
  end(counts: DescriptorCounts): void {
    if (this.#gone) return;
    const trailer = this.encoder.trailer(this.#statistics(counts));
    this.#leave();
    if (trailer.byteLength > 0) this.#sink.write(trailer);
    this.#sink.end();
  }

  status(): SubscriberStatus {
    return {
      format: this.format,
      ...(this.#path === undefined ? {} : { path: this.#path }),
      frames: this.#frames,
      bytes: this.#bytes,
      lostFrames: this.#lostFrames,
      queuedBytes: this.#sink.writableLength,
    };
  }

  #statistics(counts: DescriptorCounts): InterfaceStatistics {
    return {
      start: this.#start,
      end: timestampNow(),
      received: since(counts.received, this.#countsAtStart.received),
      interfaceDropped: 0,
      accepted: since(counts.accepted, this.#countsAtStart.accepted),
      dropped: since(counts.dropped, this.#countsAtStart.dropped) + this.#lostFrames,
      delivered: this.#frames,
    };
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onGone(this);
  }
}

/** A count that is lower than at the start was reset with the filter, and counts from then. */
function since(now: number, start: number): number {
  return now >= start ? now - start : now;
}
