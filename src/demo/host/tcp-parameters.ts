/** What both ends of a TCP connection agree on here. */

/** Receive window in bytes, without window scaling. */
export const WINDOW = 65_535;
/** Retransmissions of the same segment before a connection is given up. */
export const MOST_RETRIES = 8;

/** Initial sequence numbers count up by one every 4 µs (RFC 9293, 3.4.1). */
export function initialSequence(nowNs: number): number {
  return Math.floor(nowNs / 4000) >>> 0;
}
