/**
 * The pump of one descriptor: reads its batches, encodes each once per format in use, and gives the same buffer to
 * every reader of that format.
 *
 * It reads while somebody listens who keeps up: when every reader has more waiting than it may, the descriptor is left
 * to fill up, which counts what it then has no room for. A batch that arrives after the last reader has left is kept for the next one, so
 * that what was captured is delivered, however readers come and go. When the descriptor is closed, or its interface
 * is gone and everything captured has been read, every reader gets the trailer of its format and the end.
 *
 * Only one Capture may read a descriptor: get it from `Captures`.
 */
import type { Writable } from 'node:stream';
import { setImmediate as eventLoopTurn, setTimeout as sleep } from 'node:timers/promises';
import { RECORD_HEADER } from '../bpf/record.ts';
import type { DescriptorHandle, HeldBatch } from '../bpf/types.ts';
import { openCaptureFile } from './capture-file.ts';
import { type CaptureFormat, type CaptureMeta, type Encoder, encoder } from './formats.ts';
import { Subscriber, type SubscriberStatus } from './subscriber.ts';

/** What may wait for a slow reader before it loses frames. */
export const DEFAULT_LIMIT_BYTES: number = 8 * 1024 * 1024;

const MAX_ERRORS_KEPT = 10;
/** How often it is looked whether a reader has caught up. The default limit lasts longer than that. */
const LOOK_AGAIN_MS = 5;

export type CaptureEvents = {
  /** The last reader has left. Not called when that is because the descriptor ended. */
  readonly onIdle?: () => void;
  /** A capture file could not be written any further (the others go on), or the descriptor could not be read. */
  readonly onError?: (error: Error) => void;
};

export type CaptureStatus = {
  readonly subscribers: readonly SubscriberStatus[];
  /** What went wrong, at most the last ten: files that were given up, and why. */
  readonly errors: readonly string[];
  /** True once the descriptor has nothing more to give. */
  readonly ended: boolean;
};

export type Subscription = {
  status(): SubscriberStatus;
  /** Writes the trailer and ends the sink. The other readers go on. Idempotent. */
  end(): void;
  /** Resolves when the sink has closed, with the error that closed it, if one did. */
  readonly closed: Promise<Error | undefined>;
};

export class Capture {
  readonly #handle: DescriptorHandle;
  readonly #application: string;
  readonly #link: string | undefined;
  readonly #subscribers = new Set<Subscriber>();
  readonly #idleListeners = new Set<() => void>();
  readonly #errorListeners = new Set<(error: Error) => void>();
  readonly #errors: string[] = [];
  readonly #files = new Set<Promise<unknown>>();
  #pumping = false;
  #ended = false;
  /** A batch that was read when nobody listened any more. */
  #kept: Uint8Array | undefined;
  /**
   * Where batches are copied to from shared memory, again and again. To encode them where they are would take longer:
   * there V8 copies byte by byte what is not aligned alike. A new copy of each would take longer, too.
   */
  #scratch: Uint8Array = new Uint8Array(0);

  /** @param link the link that carries the frames of the descriptor's interface */
  constructor(handle: DescriptorHandle, application: string, link?: string) {
    this.#handle = handle;
    this.#application = application;
    this.#link = link;
  }

  /** What a reader that begins now is told about the descriptor. */
  get meta(): CaptureMeta {
    const { filter, linkType } = this.#handle.status();
    return {
      application: this.#application,
      interface: this.#handle.interface,
      linkType,
      filter,
      ...(this.#link !== undefined && { link: this.#link }),
    };
  }

  /** Adds listeners; there may be several, as the server and the lab both have an interest. */
  on(events: CaptureEvents): this {
    if (events.onIdle !== undefined) this.#idleListeners.add(events.onIdle);
    if (events.onError !== undefined) this.#errorListeners.add(events.onError);
    return this;
  }

  /**
   * Adds a reader. The header of the format is written at once. `limitBytes` is what may wait in the sink before
   * the reader loses batches. A descriptor that has ended gives header, trailer and end.
   */
  subscribe(format: CaptureFormat, sink: Writable, options: { limitBytes?: number } = {}): Subscription {
    return this.#add(format, encoder(format, this.meta), sink, options.limitBytes);
  }

  /** As subscribe(), with an encoder of the caller's own; `format` is what is shown of it. */
  subscribeAs(format: CaptureFormat, own: Encoder, sink: Writable): Subscription {
    return this.#add(format, own, sink);
  }

  /**
   * Whether everything that the descriptor had stored when this was asked has been read: then it is with the readers
   * in a turn of the event loop, for a buffer is not given back before the turn in which its batch is distributed.
   */
  isIdle(): boolean {
    // In this order: records move from the store to the hold buffer, and from there to the readers.
    return this.#handle.status().storeBytes === 0 && this.#handle.status().holdBytes === 0 && !this.#kept;
  }

  /**
   * Writes the frames to a pcapng file, which is created or replaced before this returns.
   * Throws CaptureFileError when the file cannot be made; a later error ends this file only, and goes to onError.
   */
  async toFile(path: string, options: { limitBytes?: number } = {}): Promise<Subscription> {
    const sink = await openCaptureFile(path);
    const subscription = this.#add('pcapng', encoder('pcapng', this.meta), sink, options.limitBytes, path);
    const closed = subscription.closed.then((error) => {
      this.#files.delete(closed);
      if (error !== undefined) this.#tellError(error);
    });
    this.#files.add(closed);
    return subscription;
  }

  status(): CaptureStatus {
    const subscribers = [...this.#subscribers].map((each) => each.status());
    return { subscribers, errors: [...this.#errors], ended: this.#ended };
  }

  /** Who reads now. Each can say how far it came when it is gone, too. */
  subscribers(): readonly Pick<Subscription, 'status'>[] {
    return [...this.#subscribers];
  }

  /** Resolves when every file that was begun is written to its end and closed. */
  async filesClosed(): Promise<void> {
    await Promise.all(this.#files);
  }

  #add(
    format: CaptureFormat,
    encoder: Encoder,
    sink: Writable,
    limitBytes: number = DEFAULT_LIMIT_BYTES,
    path?: string,
  ): Subscription {
    const { received, accepted, dropped } = this.#handle.status();
    const subscriber = new Subscriber({
      format,
      encoder,
      sink,
      limitBytes,
      counts: { received, accepted, dropped },
      ...(path === undefined ? {} : { path }),
      onGone: (gone) => this.#remove(gone),
    });
    if (this.#ended) {
      subscriber.end(this.#handle.status());
    } else if (!subscriber.gone) {
      this.#subscribers.add(subscriber);
      if (!this.#pumping) void this.#pump();
    } else {
      this.#tellIfIdle();
    }
    return {
      status: () => subscriber.status(),
      end: () => subscriber.end(this.#handle.status()),
      closed: subscriber.closed,
    };
  }

  #remove(subscriber: Subscriber): void {
    if (this.#subscribers.delete(subscriber)) this.#tellIfIdle();
  }

  #tellIfIdle(): void {
    if (this.#ended || this.#subscribers.size > 0) return;
    for (const listener of this.#idleListeners) listener();
  }

  /** Runs while there are readers, and until the read under way has returned. Never two at a time. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    while (this.#subscribers.size > 0) {
      if (this.#allAreBehind()) {
        await sleep(LOOK_AGAIN_MS);
        continue;
      }
      const kept = this.#kept;
      this.#kept = undefined;
      const held = kept === undefined ? await this.#take() : undefined;
      const batch = kept ?? (held && this.#copied(held.bytes));
      if (batch === undefined) {
        this.#end();
        break;
      }
      const released = held?.release();
      // The last reader may have left meanwhile.
      if (this.#subscribers.size === 0) this.#kept = batch.slice();
      else this.#distribute(batch);
      await released;
      // A descriptor that always has a batch ready would otherwise never let the sinks write.
      await eventLoopTurn();
    }
    this.#pumping = false;
  }

  /** Whether to read would only be to lose. What a descriptor that captures no more still has is read all the same. */
  #allAreBehind(): boolean {
    for (const subscriber of this.#subscribers) if (!subscriber.isBehind) return false;
    return this.#handle.status().attached;
  }

  /** A descriptor that fails has nothing more to give, like one that is closed. */
  async #take(): Promise<HeldBatch | undefined> {
    try {
      return await this.#handle.take();
    } catch (error) {
      this.#tellError(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
  }

  /** Valid until the next one is copied. */
  #copied(bytes: Uint8Array): Uint8Array {
    if (this.#scratch.byteLength < bytes.byteLength) this.#scratch = new Uint8Array(bytes.byteLength);
    const copy = this.#scratch.subarray(0, bytes.byteLength);
    copy.set(bytes);
    return copy;
  }

  #tellError(error: Error): void {
    this.#errors.push(error.message);
    if (this.#errors.length > MAX_ERRORS_KEPT) this.#errors.shift();
    for (const listener of this.#errorListeners) listener(error);
  }

  #distribute(batch: Uint8Array): void {
    const count = countRecords(batch);
    const encoded = new Map<string, Buffer>();
    for (const subscriber of this.#subscribers) {
      if (subscriber.isBehind) {
        // Encoding what nobody takes would keep the thread from sending what waits.
        subscriber.lose(count);
        continue;
      }
      const { encoding, batch: encode } = subscriber.encoder;
      let buffer = encoded.get(encoding);
      if (buffer === undefined) {
        buffer = encode(batch);
        encoded.set(encoding, buffer);
      }
      subscriber.deliver(buffer, count);
    }
  }

  #end(): void {
    this.#ended = true;
    const counts = this.#handle.status();
    for (const subscriber of [...this.#subscribers]) subscriber.end(counts);
  }
}

function countRecords(batch: Uint8Array): number {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  let count = 0;
  for (let at = 0; at + RECORD_HEADER <= batch.byteLength; at += view.getUint32(at, true)) count++;
  return count;
}
