/**
 * Serialization at a given rate, behind a queue: `rate RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]]` of
 * tc-netem(8), with `burst` and `peakrate` as in tc-tbf(8).
 *
 *   push ─▶ [ queue: queue/ ] ─▶ one frame on the wire ─▶ due ─▶ next
 *
 * One frame at a time is on the wire. Each starts at the exact moment the one before it ended, whenever the call
 * comes, so that the rate holds over any length of time. Without a burst that takes length × 8 / rate seconds. With
 * one, the wire runs at the peak rate (or takes no time), as long as the tokens of a bucket of that size last; the
 * bucket fills at the rate. A frame larger than the bucket waits for the missing tokens (tc-tbf drops it).
 */

import { linkHeaderBytes } from './headers.ts';
import { createQueue } from './queue/create.ts';
import { DEFAULT_LIMIT, formatLimit, type LimitSettings, readLimit } from './queue/limit.ts';
import { Backlog, NONE, type Queue } from './queue/queue.ts';
import { formatQueue, QUEUE_SYNTAX, type QueueSettings, readQueue } from './queue/words.ts';
import {
  type Impairment,
  type ImpairmentStage,
  NOWHERE,
  type Stage,
  type StageContext,
  type StageTimers,
  type TimedStage,
} from './stage.ts';
import { Opportunities, parseTrace, type Trace } from './trace.ts';
import { formatRate, formatSize, parseRate, parseSize, UnitError } from './units.ts';
import { type Arguments, positional, quote, type Word } from './words.ts';

export type RateSettings = LimitSettings & {
  /** Serialization rate; 0 means unlimited. */
  readonly rateBitsPerSecond: number;
  /** Added to the length of each frame; may be negative. */
  readonly frameOverheadBytes: number;
  /** Frames are carried in cells of so many bytes, the last one filled up; 0 is none. */
  readonly cellBytes: number;
  readonly cellOverheadBytes: number;
  /** Size of the token bucket; 0 is none. */
  readonly burstBytes: number;
  /** How fast a burst is; 0 means at once. */
  readonly peakBitsPerSecond: number;
  readonly queue: QueueSettings;
  /** When frames may leave, instead of a rate. */
  readonly trace: Trace | null;
};

export const NO_RATE: RateSettings = {
  ...DEFAULT_LIMIT,
  rateBitsPerSecond: 0,
  frameOverheadBytes: 0,
  cellBytes: 0,
  cellOverheadBytes: 0,
  burstBytes: 0,
  peakBitsPerSecond: 0,
  queue: { discipline: 'droptail' },
  trace: null,
};

const MAX_OVERHEAD_BYTES = 65_535;

export const RATE_WORDS: readonly Word<RateSettings>[] = [
  {
    name: 'rate',
    syntax: 'RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]]',
    help: 'Bits per second, as 50mbit; 0 is unlimited. Then bytes of overhead, as in tc-netem(8).',
    read: (args) => {
      const rateBitsPerSecond = args.value(parseRate, 'a rate such as 50mbit');
      const frameOverheadBytes = args.optional(parseOverhead, 'packet overhead') ?? 0;
      const cellBytes = args.optional(parseCell, 'cell size') ?? 0;
      const cellOverheadBytes = args.optional(parseOverhead, 'cell overhead') ?? 0;
      if (cellBytes > 0 && cellBytes + cellOverheadBytes < 1)
        args.refuse('cell overhead leaves nothing of a cell');
      return { rateBitsPerSecond, frameOverheadBytes, cellBytes, cellOverheadBytes, trace: null };
    },
    write: ({ rateBitsPerSecond, frameOverheadBytes, cellBytes, cellOverheadBytes }) =>
      positional(
        '',
        [formatRate(rateBitsPerSecond), rateBitsPerSecond === 0],
        [`${frameOverheadBytes}`, frameOverheadBytes === 0],
        [`${cellBytes}`, cellBytes === 0],
        [`${cellOverheadBytes}`, cellOverheadBytes === 0],
      ).trimStart() || undefined,
  },
  {
    name: 'trace',
    syntax: 'FILE | none',
    help: 'Instead of a rate: a trace of packet-delivery opportunities, as mahimahi has them.',
    read: (args) => {
      if (args.take('none') !== undefined) return { trace: null };
      return {
        trace: args.value((text) => readTrace(text, args), 'the path of a trace'),
        rateBitsPerSecond: 0,
      };
    },
    write: ({ trace }) => (trace === null ? undefined : quote(trace.name)),
  },
  {
    name: 'burst',
    syntax: 'SIZE',
    help: 'Token bucket: bytes that may pass at once (or at the peak rate) after a pause, as 32kb; 0 is none.',
    read: (args) => ({ burstBytes: args.value(parseSizeOrNone, 'a size such as 32kb') }),
    write: ({ burstBytes }) => (burstBytes === 0 ? undefined : formatSize(burstBytes)),
  },
  {
    name: 'peakrate',
    syntax: 'RATE',
    help: 'Token bucket: how fast a burst is, as 100mbit; 0 is at once.',
    read: (args) => ({ peakBitsPerSecond: args.value(parseRate, 'a rate such as 100mbit') }),
    write: ({ peakBitsPerSecond }) => (peakBitsPerSecond === 0 ? undefined : formatRate(peakBitsPerSecond)),
  },
  {
    name: 'limit',
    syntax: 'SIZE | COUNTpackets | TIME ... | auto | none',
    help: 'What may wait in front of the rate: bytes as 256kb, frames as 100packets, time as 50ms; or several of them. auto suits the rate.',
    read: readLimit,
    write: formatLimit,
  },
  {
    name: 'queue',
    syntax: QUEUE_SYNTAX,
    help: 'How frames wait in front of the rate: droptail, drophead, red, codel, fq_codel, pie, prio or drr.',
    read: (args) => ({ queue: readQueue(args) }),
    write: ({ queue }) => formatQueue(queue),
  },
];

function readTrace(path: string, { readText }: Arguments): Trace {
  if (readText === undefined)
    throw new UnitError(`"${path.slice(0, 200)}": traces are read from lab files only`);
  return parseTrace(readText(path), path);
}

function parseOverhead(text: string): number {
  const value = Number(text);
  if (!/^[-+]?\d+$/.test(text) || Math.abs(value) > MAX_OVERHEAD_BYTES) {
    throw new UnitError(
      `"${text.slice(0, 40)}": expected bytes, from -${MAX_OVERHEAD_BYTES} to ${MAX_OVERHEAD_BYTES}`,
    );
  }
  return value + 0;
}

function parseCell(text: string): number {
  if (text.startsWith('-')) throw new UnitError(`"${text.slice(0, 40)}": must not be negative`);
  return parseOverhead(text);
}

function parseSizeOrNone(text: string): number {
  return text === '0' ? 0 : parseSize(text);
}

export const rate: Impairment<RateSettings> = {
  isOn: ({ rateBitsPerSecond, trace }) => rateBitsPerSecond > 0 || trace !== null,
  create: (context) => new Rate(context),
};

/** A bucket that has filled since then is full. */
const LONG_AGO: number = -Number.MAX_SAFE_INTEGER;

class Rate implements ImpairmentStage<RateSettings>, TimedStage {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  readonly #timers: StageTimers;
  readonly #backlog: Backlog;
  #queue: Queue;
  #settings: RateSettings = NO_RATE;
  /** Those of the trace, if there is one. */
  #opportunities: Opportunities | undefined;
  /** The frame on the wire. */
  #wire = NONE;
  /** When that will have left. A timer with another deadline is one that a change of rate outdated. */
  #finishNs = 0;
  /**
   * The token bucket as a time: the moment at which it would have been empty had it filled ever since. Later than
   * now when frames have gone ahead of their tokens.
   */
  #emptyNs: number = LONG_AGO;

  constructor(context: StageContext) {
    this.#context = context;
    this.#timers = context.timers.for(this);
    this.#backlog = new Backlog(context);
    this.#queue = createQueue(NO_RATE.queue, context, this.#backlog);
  }

  get busy(): boolean {
    return this.#backlog.frames > 0;
  }

  /** What is left of the frame on the wire continues at the new rate; frames that wait move to the new queue. */
  set(settings: RateSettings, nowNs: number): void {
    const old = this.#settings;
    this.#settings = settings;
    if (settings.trace?.data !== old.trace?.data) {
      this.#opportunities = settings.trace === null ? undefined : new Opportunities(settings.trace, nowNs);
    }
    this.#backlog.set(settings, this.#opportunities?.rate ?? settings.rateBitsPerSecond);
    if (JSON.stringify(settings.queue) !== JSON.stringify(old.queue)) {
      const queue = createQueue(settings.queue, this.#context, this.#backlog);
      for (let frame = this.#queue.take(); frame !== NONE; frame = this.#queue.take()) queue.put(frame);
      this.#queue = queue;
    }
    const [before, after] = [old.rateBitsPerSecond, settings.rateBitsPerSecond];
    if (before === after) {
      if (settings.trace?.data !== old.trace?.data && this.#wire !== NONE) this.#serialize(this.#wire, nowNs);
      return;
    }
    const scale = after === 0 ? 0 : before / after;
    this.#emptyNs = before === 0 ? LONG_AGO : nowNs + (this.#emptyNs - nowNs) * scale;
    if (this.#wire !== NONE) this.#finishAt(nowNs + Math.max(0, this.#finishNs - nowNs) * scale);
  }

  push(frame: number, nowNs: number): void {
    if (this.#settings.rateBitsPerSecond === 0 && this.#opportunities === undefined && !this.busy) {
      this.next.push(frame, nowNs);
      return;
    }
    this.#queue.enqueue(frame, nowNs);
    if (this.#wire === NONE) this.#startNext(nowNs);
  }

  due(frame: number, deadlineNs: number): void {
    if (frame !== this.#wire || deadlineNs !== this.#finishNs) return;
    this.#wire = NONE;
    this.#backlog.remove(frame);
    this.#startNext(deadlineNs);
    this.next.push(frame, deadlineNs);
  }

  #startNext(nowNs: number): void {
    const frame = this.#queue.dequeue(nowNs);
    if (frame === NONE) return;
    this.#wire = frame;
    // A timer that ran late may find a frame that came after its deadline.
    this.#serialize(frame, Math.max(nowNs, this.#context.frames.queuedNs[frame]!));
  }

  #serialize(frame: number, startNs: number): void {
    if (this.#opportunities !== undefined) {
      const { frames, linkType } = this.#context;
      const bytes = frames.length[frame]! - linkHeaderBytes(frames, frame, linkType);
      this.#finishAt(this.#opportunities.use(bytes, startNs));
      return;
    }
    const { rateBitsPerSecond, burstBytes, peakBitsPerSecond } = this.#settings;
    if (rateBitsPerSecond === 0) {
      this.#finishAt(startNs);
      return;
    }
    const bits = this.#wireBits(this.#context.frames.length[frame]!);
    const bucketNs = (burstBytes * 8e9) / rateBitsPerSecond;
    const wireNs = peakBitsPerSecond === 0 ? 0 : (bits * 1e9) / peakBitsPerSecond;
    this.#emptyNs = Math.max(this.#emptyNs, startNs - bucketNs) + (bits * 1e9) / rateBitsPerSecond;
    this.#finishAt(Math.max(startNs + wireNs, this.#emptyNs));
  }

  /** packet_time_ns() of net/sched/sch_netem.c. */
  #wireBits(length: number): number {
    const { frameOverheadBytes, cellBytes, cellOverheadBytes } = this.#settings;
    const bytes = Math.max(0, length + frameOverheadBytes);
    return 8 * (cellBytes === 0 ? bytes : Math.ceil(bytes / cellBytes) * (cellBytes + cellOverheadBytes));
  }

  #finishAt(finishNs: number): void {
    this.#finishNs = finishNs;
    this.#timers.at(finishNs, this.#wire);
  }
}
