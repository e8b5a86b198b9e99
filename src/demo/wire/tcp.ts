/** TCP segments (RFC 9293); the only option emitted is the maximum segment size, others are passed over. */
import type { Ipv4Address } from './address.ts';
import { checksum, pseudoHeaderSum, sum } from './checksum.ts';
import { PROTOCOL_TCP } from './ipv4.ts';

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const SEQUENCE = 4;
const ACKNOWLEDGMENT = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
const CHECKSUM = 16;
const OPTIONS = 20;
export const TCP_HEADER = 20;

const OPTION_MSS = 2;
const OPTION_MSS_LENGTH = 4;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;

export type TcpSegment = {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  /** Counts with TCP_ACK only. */
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** Sent with TCP_SYN only. */
  readonly maximumSegmentSize?: number;
  readonly payload: Uint8Array;
};

/** Undefined when it is too short or the checksum is wrong. */
export function parseTcp(
  bytes: Uint8Array,
  source: Ipv4Address,
  destination: Ipv4Address,
): TcpSegment | undefined {
  if (bytes.length < TCP_HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const headerLength = (view.getUint8(DATA_OFFSET) >>> 4) * 4;
  if (headerLength < TCP_HEADER || headerLength > bytes.length) return undefined;
  if (checksum(sum(bytes, pseudoHeaderSum(source, destination, PROTOCOL_TCP, bytes.length))) !== 0)
    return undefined;
  return {
    sourcePort: view.getUint16(SOURCE_PORT),
    destinationPort: view.getUint16(DESTINATION_PORT),
    sequence: view.getUint32(SEQUENCE),
    acknowledgment: view.getUint32(ACKNOWLEDGMENT),
    flags: view.getUint8(FLAGS),
    window: view.getUint16(WINDOW),
    payload: bytes.subarray(headerLength),
  };
}

export function emitTcp(segment: TcpSegment, source: Ipv4Address, destination: Ipv4Address): Uint8Array {
  const mss = segment.maximumSegmentSize;
  const headerLength = TCP_HEADER + (mss === undefined ? 0 : OPTION_MSS_LENGTH);
  const bytes = new Uint8Array(headerLength + segment.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(SOURCE_PORT, segment.sourcePort);
  view.setUint16(DESTINATION_PORT, segment.destinationPort);
  view.setUint32(SEQUENCE, segment.sequence);
  view.setUint32(ACKNOWLEDGMENT, segment.acknowledgment);
  view.setUint8(DATA_OFFSET, (headerLength / 4) << 4);
  view.setUint8(FLAGS, segment.flags);
  view.setUint16(WINDOW, segment.window);
  if (mss !== undefined) {
    view.setUint8(OPTIONS, OPTION_MSS);
    view.setUint8(OPTIONS + 1, OPTION_MSS_LENGTH);
    view.setUint16(OPTIONS + 2, mss);
  }
  bytes.set(segment.payload, headerLength);
  const total = sum(bytes, pseudoHeaderSum(source, destination, PROTOCOL_TCP, bytes.length));
  view.setUint16(CHECKSUM, checksum(total));
  return bytes;
}
