/**
 * FQ-CoDel (RFC 8290): a queue for each flow, found by a hash of addresses, protocol and ports; deficit round robin
 * between them, flows that just began first; CoDel in each. What does not fit is dropped at the front of the flow
 * that holds most bytes, so a flow that fills the queue pays for it itself.
 */
import type { StageContext } from '../stage.ts';
import { Codel } from './codel.ts';
import { flowHash } from './flow-hash.ts';
import { type Backlog, FrameList, NONE, type Queue } from './queue.ts';

export type FqCodelSettings = {
  readonly discipline: 'fq_codel';
  /** Queues; flows whose hash is the same share one. */
  readonly flows: number;
  /** Bytes that a flow may send in its turn. */
  readonly quantumBytes: number;
  readonly targetNs: number;
  readonly intervalNs: number;
  readonly ecn: boolean;
};

/** Frames that are dropped at once when the queue is full, so that the search for the largest flow pays. */
const DROP_BATCH = 64;

type Flow = {
  readonly list: FrameList;
  readonly codel: Codel;
  deficit: number;
  /** Next in the list of new or old flows. */
  next: Flow | undefined;
  isListed: boolean;
};

/** Flows in the order of their turns. */
class FlowList {
  head: Flow | undefined;
  #tail: Flow | undefined;

  append(flow: Flow): void {
    flow.next = undefined;
    flow.isListed = true;
    if (this.head === undefined) this.head = flow;
    else this.#tail!.next = flow;
    this.#tail = flow;
  }

  shift(): Flow {
    const flow = this.head!;
    this.head = flow.next;
    flow.isListed = false;
    return flow;
  }
}

export class FqCodelQueue implements Queue {
  readonly #context: StageContext;
  readonly #backlog: Backlog;
  readonly #settings: FqCodelSettings;
  readonly #flows: readonly Flow[];
  readonly #new: FlowList = new FlowList();
  readonly #old: FlowList = new FlowList();
  readonly #perturbation: number;

  constructor(context: StageContext, backlog: Backlog, settings: FqCodelSettings) {
    this.#context = context;
    this.#backlog = backlog;
    this.#settings = settings;
    this.#perturbation = Math.floor(context.random('flow-hash')() * 2 ** 32);
    this.#flows = Array.from({ length: settings.flows }, () => {
      const list = new FrameList(context.frames);
      const codel = new Codel(context, backlog, list, settings);
      return { list, codel, deficit: 0, next: undefined, isListed: false };
    });
  }

  enqueue(frame: number, nowNs: number): void {
    while (!this.#backlog.fits(frame) && this.#dropFromLargest());
    if (!this.#backlog.fits(frame)) {
      this.#context.drop(frame, 'queue');
      return;
    }
    this.#backlog.add(frame, nowNs);
    this.put(frame);
  }

  dequeue(nowNs: number): number {
    for (;;) {
      const isNew = this.#new.head !== undefined;
      const turns = isNew ? this.#new : this.#old;
      const flow = turns.head;
      if (flow === undefined) return NONE;
      if (flow.deficit <= 0) {
        flow.deficit += this.#settings.quantumBytes;
        this.#old.append(turns.shift());
        continue;
      }
      const frame = flow.codel.dequeue(nowNs);
      if (frame !== NONE) {
        flow.deficit -= this.#context.frames.length[frame]!;
        return frame;
      }
      // A new flow that ran empty goes to the old ones first, lest it come back as new at once.
      turns.shift();
      if (isNew && this.#old.head !== undefined) this.#old.append(flow);
    }
  }

  put(frame: number): void {
    const { frames, linkType } = this.#context;
    const flow = this.#flows[flowHash(frames, frame, linkType, this.#perturbation) % this.#flows.length]!;
    flow.list.append(frame);
    if (flow.isListed) return;
    flow.deficit = this.#settings.quantumBytes;
    this.#new.append(flow);
  }

  take(): number {
    for (const { list } of this.#flows) if (list.head !== NONE) return list.shift();
    return NONE;
  }

  /** Drops half of what the largest flow holds, at most a batch. Returns whether there was any. */
  #dropFromLargest(): boolean {
    let largest = this.#flows[0]!.list;
    for (const { list } of this.#flows) if (list.bytes > largest.bytes) largest = list;
    const enough = largest.bytes / 2;
    for (let i = 0; i < DROP_BATCH && largest.bytes > enough; i++) {
      this.#backlog.discard(largest.shift(), 'queue');
    }
    return enough > 0;
  }
}
