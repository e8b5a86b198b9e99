/**
 * Several descriptors in one stream, in the order of time: a pcapng section with all their interfaces, or JSON lines.
 *
 * Each descriptor has its pump (capture.ts), which gives its batches to an input here as to any other reader, so a
 * descriptor may have further readers. The inputs are merged (time-merge.ts). The stream ends when all descriptors
 * have ended, with the statistics of each. When the sink does not keep up, the inputs fill up, and then the
 * descriptors: frames that these have no room for are counted, in the statistics too.
 */
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { setImmediate as eventLoopTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Capture, Subscription } from './capture.ts';
import type { Encoder } from './formats.ts';
import { type MergedFormat, type MergedOutput, mergedOutput } from './merged-output.ts';
import { type InterfaceStatistics, timestampNow } from './pcapng.ts';
import { TimeMerge } from './time-merge.ts';

/**
 * How long a record is held back at least. A thread may be put aside for this long between stamping a frame and
 * storing it, and the order is still right; it also covers that the clocks of workers differ by microseconds, and that
 * the present is known to a millisecond here.
 */
const WINDOW_NS = 100_000_000;
/** How often it is looked whose turn it is. */
const TICK_MS = 20;
/** Above this, records are given out whether or not their window is over. */
const MAX_PENDING_BYTES: number = 64 * 1024 * 1024;
/** When nothing was given out for so long although there is something, the time of day has been set back. */
const MAX_HOLD_MS = 1000;
/** What may wait in the sink before the inputs have to. */
const SINK_BYTES: number = 1024 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Streams the captures to `sink`, until all of them have ended or the sink has closed; resolves then.
 *
 * @param captures in the order that the interfaces shall have; at least one
 */
export async function mergeCaptures(
  captures: readonly Capture[],
  format: MergedFormat,
  sink: Writable,
): Promise<void> {
  const merge = new TimeMerge(captures.length, WINDOW_NS);
  const inputs = captures.map((capture, index) => new Input(capture, index, format, merge));
  const output = mergedOutput(
    format,
    captures.map((capture) => capture.meta),
  );
  // An error closes the sink, which is all there is to know; without a listener it would end the process.
  sink.on('error', () => undefined);
  const gone = new AbortController();
  sink.once('close', () => gone.abort());
  if (sink.destroyed) gone.abort();
  try {
    await pump(inputs, merge, output, (bytes) => writeTo(sink, bytes, gone.signal), gone.signal);
    sink.end();
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    for (const input of inputs) input.leave();
  }
}

async function pump(
  inputs: readonly Input[],
  merge: TimeMerge,
  output: MergedOutput,
  write: (bytes: Buffer) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await write(output.header());
  let gaveOutAtMs = performance.now();
  while (inputs.some((input) => !input.ended)) {
    await sleep(TICK_MS, undefined, { signal });
    await markIdle(inputs, merge);
    const nowMs = performance.now();
    const all = merge.pendingBytes > MAX_PENDING_BYTES || nowMs - gaveOutAtMs > MAX_HOLD_MS;
    const records = merge.take(all);
    if (records.length > 0 || merge.pendingBytes === 0) gaveOutAtMs = nowMs;
    await write(output.records(records));
    for (const input of inputs) input.goOn();
  }
  await write(output.records(merge.take(true)));
  await write(
    output.trailer(inputs.map(({ statistics }, index) => ({ ...statistics!, late: merge.late(index) }))),
  );
}

async function writeTo(sink: Writable, bytes: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (bytes.byteLength > 0) sink.write(bytes);
  if (sink.writableLength > SINK_BYTES) await once(sink, 'drain', { signal });
}

/** Marks the inputs that have nothing to give: what their descriptors had when they were asked has been pushed. */
async function markIdle(inputs: readonly Input[], merge: TimeMerge): Promise<void> {
  const now = timestampNow();
  const idle = inputs.map(({ capture }) => capture.isIdle());
  await eventLoopTurn();
  for (const [index, input] of inputs.entries()) {
    if (idle[index] && input.writableLength === 0) merge.mark(index, now);
  }
}

/** Where the batches of one capture go: to the merge, as long as that does not hold too much. */
class Input extends Writable {
  readonly capture: Capture;
  /** Once it has ended. */
  statistics: InterfaceStatistics | undefined;
  ended = false;
  readonly #index: number;
  readonly #merge: TimeMerge;
  readonly #subscription: Subscription;
  #goOn: (() => void) | undefined;

  constructor(capture: Capture, index: number, format: MergedFormat, merge: TimeMerge) {
    super();
    this.capture = capture;
    this.#index = index;
    this.#merge = merge;
    const encoder: Encoder = {
      encoding: 'records',
      header: () => NOTHING,
      batch: (records) => Buffer.from(records),
      trailer: (statistics) => {
        this.statistics = statistics;
        return NOTHING;
      },
    };
    this.#subscription = capture.subscribeAs(format, encoder, this);
  }

  override _write(batch: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#merge.push(this.#index, batch);
    if (this.#merge.pendingBytes <= MAX_PENDING_BYTES) done();
    else this.#goOn = done;
  }

  override _final(done: () => void): void {
    this.#merge.end(this.#index);
    this.ended = true;
    done();
  }

  /** There is room again. */
  goOn(): void {
    const done = this.#goOn;
    this.#goOn = undefined;
    done?.();
  }

  /** Stops reading the capture, if it has not ended. */
  leave(): void {
    this.#subscription.end();
    this.goOn();
  }
}
