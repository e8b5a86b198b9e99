/**
 * The passive end of a TCP connection (RFC 9293): takes bytes in, keeps what arrives early, acknowledges every
 * segment, and closes when the other end does. It sends no data of its own.
 *
 * Positions count from the peer's initial sequence number: 0 is its SYN, its first byte 1, its FIN comes last.
 */
import type { TcpPath } from '../host.ts';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, type TcpSegment } from '../wire/tcp.ts';
import { initialSequence, MOST_RETRIES, WINDOW } from './tcp-parameters.ts';

/** Grows while connections run. */
export type SinkStats = {
  connections: number;
  /** Received in order. */
  bytes: number;
};

const FIN_RETRY_NS = 1e9;
const NOTHING: Uint8Array = new Uint8Array(0);

export class TcpReceiver {
  readonly #path: TcpPath;
  readonly #stats: SinkStats;
  readonly #onGone: () => void;
  readonly #ownSequence: number;
  #peerSequence = 0;
  /** The position expected next; 0 before the SYN. */
  #next = 0;
  /** Segments that came early: their length by position. */
  readonly #early = new Map<number, number>();
  #finPosition: number | undefined;
  #gone = false;

  constructor(path: TcpPath, stats: SinkStats, onGone: () => void) {
    this.#path = path;
    this.#stats = stats;
    this.#onGone = onGone;
    this.#ownSequence = initialSequence(path.clock.nowNs());
  }

  receive(segment: TcpSegment): void {
    if ((segment.flags & TCP_RST) !== 0) {
      this.#leave();
      return;
    }
    if ((segment.flags & TCP_SYN) !== 0) {
      this.#accept(segment);
      return;
    }
    if (this.#isClosedBy(segment)) {
      this.#leave();
      return;
    }
    const position = (segment.sequence - this.#peerSequence) >>> 0;
    if ((segment.flags & TCP_FIN) !== 0) this.#finPosition = position + segment.payload.length;
    if (segment.payload.length > 0) this.#take(position, segment.payload.length);
    else if ((segment.flags & TCP_FIN) === 0) return;
    if (this.#next !== this.#finPosition) {
      this.#send(TCP_ACK, 1);
      return;
    }
    this.#next++;
    this.#close(0);
  }

  /** A SYN that comes again was answered with something that got lost. */
  #accept(segment: TcpSegment): void {
    if (this.#next === 0) {
      this.#peerSequence = segment.sequence;
      this.#next = 1;
      this.#stats.connections++;
    }
    this.#send(TCP_SYN | TCP_ACK, 0);
  }

  #take(position: number, length: number): void {
    const isOld = position + length <= this.#next;
    const isBeyond = position + length > this.#next + WINDOW;
    if (isOld || isBeyond) return;
    this.#early.set(position, Math.max(length, this.#early.get(position) ?? 0));
    // The sender cuts its bytes the same way each time, so that positions meet.
    for (let run = this.#early.get(this.#next); run !== undefined; run = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      this.#next += run;
      this.#stats.bytes += run;
    }
  }

  /** Sends our FIN with the acknowledgment of theirs, until that is acknowledged. */
  #close(retries: number): void {
    if (this.#gone) return;
    if (retries > MOST_RETRIES) {
      this.#leave();
      return;
    }
    this.#send(TCP_FIN | TCP_ACK, 1);
    this.#path.clock.at(this.#path.clock.nowNs() + FIN_RETRY_NS, () => this.#close(retries + 1));
  }

  #isClosedBy(segment: TcpSegment): boolean {
    const closing = this.#finPosition !== undefined && this.#next > this.#finPosition;
    return closing && segment.acknowledgment === (this.#ownSequence + 2) >>> 0;
  }

  #send(flags: number, ownPosition: number): void {
    this.#path.send({
      sequence: (this.#ownSequence + ownPosition) >>> 0,
      acknowledgment: (this.#peerSequence + this.#next) >>> 0,
      flags,
      window: WINDOW,
      ...((flags & TCP_SYN) === 0 ? {} : { maximumSegmentSize: this.#path.maximumSegmentSize }),
      payload: NOTHING,
    });
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onGone();
  }
}
