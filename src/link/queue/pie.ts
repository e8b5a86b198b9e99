/**
 * PIE (RFC 8033): arriving frames are dropped with a probability that a controller moves until frames wait for the
 * target. The delay is that of the frame at the front (the RFC's time stamps); the controller runs when its time has
 * come and a frame comes or goes. With `ecn`, frames that can carry a mark get it while the probability is small.
 */
import { markCongestion } from '../ecn.ts';
import type { Random } from '../random.ts';
import type { StageContext } from '../stage.ts';
import { Fifo } from './fifo.ts';
import { type Backlog, NONE } from './queue.ts';

export type PieSettings = {
  readonly discipline: 'pie';
  readonly targetNs: number;
  /** How often the probability is set. */
  readonly updateNs: number;
  /** Gains of the controller, in Hz: on the distance from the target, and on its change. */
  readonly alpha: number;
  readonly beta: number;
  readonly ecn: boolean;
};

/** Names and values of RFC 8033, section 4 and appendix A. */
const MAX_BURST_NS = 150e6;
const MARK_ECNTH = 0.1;
const MEAN_PKTSIZE = 1024;
const ACCU_PROB_LOW = 0.85;
const ACCU_PROB_HIGH = 8.5;
/** After so many updates without a frame the probability is as good as 0. */
const MAX_MISSED_UPDATES = 1000;
/** The gains are divided by so much while the probability is below. */
const GAIN_STEPS: readonly (readonly [below: number, divisor: number])[] = [
  [0.000001, 2048],
  [0.00001, 512],
  [0.0001, 128],
  [0.001, 32],
  [0.01, 8],
  [0.1, 2],
];

export class PieQueue extends Fifo {
  readonly #settings: PieSettings;
  readonly #random: Random;
  #probability = 0;
  /** Sum of the probabilities since the last drop: bounds how long none, and how many in a row, there are. */
  #accumulated = 0;
  #delayNs = 0;
  #burstAllowanceNs: number = MAX_BURST_NS;
  #nextUpdateNs = 0;

  constructor(context: StageContext, backlog: Backlog, settings: PieSettings) {
    super(context, backlog);
    this.#settings = settings;
    this.#random = context.random('pie');
  }

  override enqueue(frame: number, nowNs: number): void {
    this.#update(nowNs);
    const { frames, linkType, drop } = this.context;
    const mayMark = this.#settings.ecn && this.#probability <= MARK_ECNTH;
    if (this.#isChosen() && !(mayMark && markCongestion(frames, frame, linkType))) drop(frame, 'aqm');
    else super.enqueue(frame, nowNs);
  }

  override dequeue(nowNs: number): number {
    this.#update(nowNs);
    return super.dequeue(nowNs);
  }

  /** drop_early() of the RFC. */
  #isChosen(): boolean {
    if (this.#burstAllowanceNs > 0) return false;
    if (this.#delayNs < this.#settings.targetNs / 2 && this.#probability < 0.2) return false;
    if (this.backlog.bytes <= 2 * MEAN_PKTSIZE) return false;
    if (this.#probability === 0) this.#accumulated = 0;
    this.#accumulated += this.#probability;
    if (this.#accumulated < ACCU_PROB_LOW) return false;
    if (this.#accumulated < ACCU_PROB_HIGH && this.#random() >= this.#probability) return false;
    this.#accumulated = 0;
    return true;
  }

  #update(nowNs: number): void {
    const { updateNs } = this.#settings;
    if ((nowNs - this.#nextUpdateNs) / updateNs > MAX_MISSED_UPDATES) {
      this.#probability = 0;
      this.#delayNs = 0;
      this.#burstAllowanceNs = MAX_BURST_NS;
      this.#nextUpdateNs = nowNs;
    }
    for (; this.#nextUpdateNs <= nowNs; this.#nextUpdateNs += updateNs) this.#step(this.#nextUpdateNs);
  }

  /** calculate_drop_prob() of the RFC. */
  #step(nowNs: number): void {
    const { targetNs, updateNs, alpha, beta } = this.#settings;
    const { head } = this.list;
    const delayNs = head === NONE ? 0 : Math.max(0, nowNs - this.context.frames.queuedNs[head]!);
    const divisor = GAIN_STEPS.find(([below]) => this.#probability < below)?.[1] ?? 1;
    let change = (alpha * (delayNs - targetNs) + beta * (delayNs - this.#delayNs)) / 1e9 / divisor;
    if (this.#probability >= 0.1) change = Math.min(change, 0.02);
    this.#probability += change;
    if (delayNs === 0 && this.#delayNs === 0) this.#probability *= 0.98;
    this.#probability = Math.min(1, Math.max(0, this.#probability));
    const isCalm = this.#probability === 0 && delayNs < targetNs / 2 && this.#delayNs < targetNs / 2;
    this.#burstAllowanceNs = isCalm ? MAX_BURST_NS : Math.max(0, this.#burstAllowanceNs - updateNs);
    this.#delayNs = delayNs;
  }
}
