/**
 * The active end of a TCP connection (RFC 9293) that sends a number of bytes and closes. Congestion control is NewReno
 * (RFC 5681, RFC 6582): slow start, congestion avoidance, fast retransmit and recovery, and a retransmission timeout
 * (RFC 6298) after which it goes back to the first byte that is not acknowledged.
 *
 * Positions count from our initial sequence number: 0 is the SYN, 1 the first byte, then the FIN, then the end.
 */
import type { TcpPath } from '../host.ts';
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, type TcpSegment } from '../wire/tcp.ts';
import { RetransmissionTimer } from './retransmission-timer.ts';
import { initialSequence, WINDOW } from './tcp-parameters.ts';

/** Grows while the transfer runs. */
export type TransferStats = {
  readonly state: 'connecting' | 'open' | 'done' | 'failed';
  /** Data bytes the other end has acknowledged. */
  readonly bytes: number;
  readonly segments: number;
  readonly retransmitted: number;
  readonly startNs: number;
  /** When it was done or had failed. */
  readonly endNs: number | undefined;
};

/** RFC 6928. */
const INITIAL_WINDOW_SEGMENTS = 10;
const DUPLICATES_FOR_LOSS = 3;
/** How long a connection that is done still answers a FIN that comes again: TIME-WAIT. */
const LINGER_NS = 10e9;
const NOTHING: Uint8Array = new Uint8Array(0);
const DATA: Uint8Array = new TextEncoder().encode('taplab '.repeat(10_000));

export class TcpSender {
  readonly stats: { -readonly [Key in keyof TransferStats]: TransferStats[Key] };
  readonly #path: TcpPath;
  readonly #timer: RetransmissionTimer;
  readonly #onDone: () => void;
  readonly #onGone: () => void;
  readonly #sequence: number;
  readonly #finPosition: number;
  /** First position that is not acknowledged, the one to send next, and the end of what was ever sent. */
  #unacknowledged = 0;
  #next = 0;
  #sent = 0;
  #window: number;
  #threshold = WINDOW;
  #duplicates = 0;
  #recovering = false;
  /** Losses up to here are known: duplicates about them start no new recovery. */
  #recoverUntil = 0;
  #peerWindow = WINDOW;
  #peerNext = 0;
  #peerClosed = false;

  constructor(path: TcpPath, bytes: number, onDone: () => void, onGone: () => void) {
    const startNs = path.clock.nowNs();
    this.stats = { state: 'connecting', bytes: 0, segments: 0, retransmitted: 0, startNs, endNs: undefined };
    this.#path = path;
    this.#onDone = onDone;
    this.#onGone = onGone;
    this.#sequence = initialSequence(startNs);
    this.#finPosition = bytes + 1;
    this.#window = INITIAL_WINDOW_SEGMENTS * path.maximumSegmentSize;
    this.#timer = new RetransmissionTimer(
      path.clock,
      () => this.#onTimeout(),
      () => this.#finish('failed'),
    );
  }

  start(): void {
    this.#fill();
  }

  receive(segment: TcpSegment): void {
    if (this.stats.state === 'failed') return;
    if ((segment.flags & TCP_RST) !== 0) {
      this.#finish('failed');
      return;
    }
    if ((segment.flags & TCP_ACK) === 0) return;
    if (this.stats.state === 'connecting' && !this.#isAccepted(segment)) return;
    this.#peerWindow = segment.window;
    this.#acknowledge((segment.acknowledgment - this.#sequence) >>> 0);
    this.#takeFin(segment);
    this.#fill();
    const finAcknowledged = this.#unacknowledged > this.#finPosition;
    if (finAcknowledged && this.#peerClosed) this.#finish('done');
  }

  #isAccepted(segment: TcpSegment): boolean {
    const isAnswer = (segment.flags & TCP_SYN) !== 0 && segment.acknowledgment === (this.#sequence + 1) >>> 0;
    if (!isAnswer) return false;
    this.stats.state = 'open';
    this.#peerNext = (segment.sequence + 1) >>> 0;
    // The handshake ends with this even when there is no data to carry the acknowledgment.
    this.#sendAcknowledgment(1);
    return true;
  }

  #acknowledge(position: number): void {
    if (position > this.#sent) return;
    if (position > this.#unacknowledged) this.#advance(position);
    else if (position === this.#unacknowledged && this.#sent > position) this.#countDuplicate();
  }

  #advance(position: number): void {
    const acknowledged = position - this.#unacknowledged;
    const mss = this.#path.maximumSegmentSize;
    this.#unacknowledged = position;
    this.#next = Math.max(this.#next, position);
    this.#duplicates = 0;
    this.stats.bytes = Math.max(0, Math.min(position, this.#finPosition) - 1);
    this.#timer.acknowledged(position, this.#sent > position);
    if (!this.#recovering) {
      const inSlowStart = this.#window < this.#threshold;
      this.#window += inSlowStart ? Math.min(acknowledged, mss) : (mss * mss) / this.#window;
    } else if (position >= this.#recoverUntil) {
      this.#recovering = false;
      this.#window = this.#threshold;
    } else {
      // A partial acknowledgment: the segment after it was lost as well.
      this.#window = Math.max(mss, this.#window - acknowledged + mss);
      this.#retransmit();
    }
  }

  #countDuplicate(): void {
    const mss = this.#path.maximumSegmentSize;
    this.#duplicates++;
    if (this.#recovering) {
      this.#window += mss;
    } else if (this.#duplicates === DUPLICATES_FOR_LOSS && this.#unacknowledged > this.#recoverUntil) {
      this.#recovering = true;
      this.#halve();
      this.#window = this.#threshold + DUPLICATES_FOR_LOSS * mss;
      this.#retransmit();
    }
  }

  #onTimeout(): void {
    this.#halve();
    this.#window = this.#path.maximumSegmentSize;
    this.#recovering = false;
    this.#duplicates = 0;
    this.#next = this.#unacknowledged;
    this.#fill();
  }

  #halve(): void {
    const mss = this.#path.maximumSegmentSize;
    this.#threshold = Math.max((this.#sent - this.#unacknowledged) / 2, 2 * mss);
    this.#recoverUntil = this.#sent;
  }

  /** Sends what the windows allow. */
  #fill(): void {
    const limit = this.#unacknowledged + Math.min(this.#window, this.#peerWindow);
    while (this.#next <= this.#finPosition && (this.stats.state !== 'connecting' || this.#next === 0)) {
      const length = this.#lengthAt(this.#next);
      if (this.#next > this.#unacknowledged && this.#next + length > limit) return;
      this.#sendAt(this.#next);
      this.#next += length;
      this.#sent = Math.max(this.#sent, this.#next);
    }
  }

  #retransmit(): void {
    this.#sendAt(this.#unacknowledged);
  }

  /** How many positions the segment there takes: SYN and FIN one each, data up to a maximum segment. */
  #lengthAt(position: number): number {
    if (position === 0 || position === this.#finPosition) return 1;
    return Math.min(this.#path.maximumSegmentSize, this.#finPosition - position);
  }

  #sendAt(position: number): void {
    const isSyn = position === 0;
    const isFin = position === this.#finPosition;
    const length = this.#lengthAt(position);
    const isLastData = position + length === this.#finPosition;
    this.stats.segments++;
    if (position < this.#sent) this.stats.retransmitted++;
    this.#timer.sent(position + length, position < this.#sent);
    this.#path.send({
      sequence: (this.#sequence + position) >>> 0,
      acknowledgment: this.#peerNext,
      flags: isSyn ? TCP_SYN : TCP_ACK | (isFin ? TCP_FIN : isLastData ? TCP_PSH : 0),
      window: WINDOW,
      ...(isSyn ? { maximumSegmentSize: this.#path.maximumSegmentSize } : {}),
      payload: isSyn || isFin ? NOTHING : DATA.subarray(0, length),
    });
  }

  /** The other end closes after we did; its FIN comes again when our acknowledgment got lost. */
  #takeFin(segment: TcpSegment): void {
    if ((segment.flags & TCP_FIN) === 0) return;
    if (!this.#peerClosed) this.#peerNext = (segment.sequence + segment.payload.length + 1) >>> 0;
    this.#peerClosed = true;
    this.#sendAcknowledgment(this.#next);
  }

  #sendAcknowledgment(position: number): void {
    this.#path.send({
      sequence: (this.#sequence + position) >>> 0,
      acknowledgment: this.#peerNext,
      flags: TCP_ACK,
      window: WINDOW,
      payload: NOTHING,
    });
  }

  #finish(state: 'done' | 'failed'): void {
    if (this.stats.endNs !== undefined) return;
    this.stats.state = state;
    this.stats.endNs = this.#path.clock.nowNs();
    this.#timer.stop();
    if (state === 'failed') this.#onGone();
    else this.#path.clock.at(this.stats.endNs + LINGER_NS, this.#onGone);
    this.#onDone();
  }
}
