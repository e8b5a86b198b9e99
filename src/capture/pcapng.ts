/**
 * Writes pcapng: pure functions that return whole blocks, little-endian, time stamps in nanoseconds.
 *
 * A file is one section header, a description of each interface, any number of packet blocks (packet-blocks.ts) and
 * at the end the statistics of each interface. Blocks are self-contained, so a file that ends after any of them opens in Wireshark.
 */
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE_DESCRIPTION,
  BLOCK_INTERFACE_STATISTICS,
  BLOCK_OVERHEAD,
  BLOCK_SECTION_HEADER,
  BYTE_ORDER_MAGIC,
  EPB_FLAGS,
  EPB_INBOUND,
  EPB_OUTBOUND,
  IF_DESCRIPTION,
  IF_FILTER,
  IF_FILTER_STRING,
  IF_NAME,
  IF_TIMESTAMP_RESOLUTION,
  ISB_END_TIME,
  ISB_FILTER_ACCEPTED,
  ISB_INTERFACE_DROPPED,
  ISB_INTERFACE_RECEIVED,
  ISB_OS_DROPPED,
  ISB_START_TIME,
  ISB_USER_DELIVERED,
  OPTION_COMMENT,
  padding,
  SHB_HARDWARE,
  SHB_OS,
  SHB_USER_APPLICATION,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './pcapng-format.ts';

export type SectionInfo = { readonly hardware?: string; readonly os?: string; readonly application?: string };

export type InterfaceInfo = {
  /** Link type as in pcap: 1 is EN10MB, 101 is RAW. */
  readonly linkType: number;
  /** Most bytes kept of a frame; 0 is no limit. */
  readonly snapLength: number;
  readonly name?: string;
  readonly description?: string;
  /** Text of the capture filter. */
  readonly filter?: string;
};

export type Timestamp = { readonly seconds: number; readonly nanoseconds: number };

export type Packet = Timestamp & {
  readonly wireLength: number;
  readonly bytes: Uint8Array;
  readonly direction?: 'in' | 'out';
  readonly interfaceId?: number;
  readonly comment?: string;
};

/** Counts of one interface since the capture began, as in the Interface Statistics Block. */
export type InterfaceStatistics = {
  readonly start: Timestamp;
  readonly end: Timestamp;
  /** Frames seen before the filter. */
  readonly received: number;
  /** Frames the interface itself could not deliver. */
  readonly interfaceDropped: number;
  readonly accepted: number;
  /** Accepted frames that are not in the file for want of buffer space. */
  readonly dropped: number;
  /** Frames that are in the file. */
  readonly delivered: number;
  readonly comment?: string;
};

const U32 = 0x1_0000_0000;
const NS_PER_SECOND = 1_000_000_000;
const MAX_OPTION_BYTES = 0xffff;

/** Section Header Block; the section's length is left open (-1), as it is not known when a stream begins. */
export function sectionHeader(info: SectionInfo): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  fixed.writeUInt16LE(VERSION_MAJOR, 4);
  fixed.writeUInt16LE(VERSION_MINOR, 6);
  fixed.writeBigInt64LE(-1n, 8);
  return block(BLOCK_SECTION_HEADER, fixed, [
    ...textOption(SHB_HARDWARE, info.hardware),
    ...textOption(SHB_OS, info.os),
    ...textOption(SHB_USER_APPLICATION, info.application),
  ]);
}

/** Interface Description Block, time stamps in nanoseconds. The first one of a section is interface 0. */
export function interfaceDescription(info: InterfaceInfo): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(info.linkType, 0);
  fixed.writeUInt32LE(info.snapLength, 4);
  const filter = info.filter === undefined || info.filter === '' ? [] : [filterOption(info.filter)];
  return block(BLOCK_INTERFACE_DESCRIPTION, fixed, [
    ...textOption(IF_NAME, info.name),
    ...textOption(IF_DESCRIPTION, info.description),
    option(IF_TIMESTAMP_RESOLUTION, Uint8Array.of(9)),
    ...filter,
  ]);
}

/** Enhanced Packet Block of one frame. For captured batches there is packet-blocks.ts, which allocates once. */
export function enhancedPacket(packet: Packet): Buffer {
  const captured = packet.bytes.byteLength;
  const fixed = Buffer.alloc(20 + captured + padding(captured));
  const [high, low] = nanosecondWords(packet.seconds, packet.nanoseconds);
  fixed.writeUInt32LE(packet.interfaceId ?? 0, 0);
  fixed.writeUInt32LE(high, 4);
  fixed.writeUInt32LE(low, 8);
  fixed.writeUInt32LE(captured, 12);
  fixed.writeUInt32LE(packet.wireLength, 16);
  fixed.set(packet.bytes, 20);
  const options = [...textOption(OPTION_COMMENT, packet.comment)];
  if (packet.direction !== undefined) {
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(packet.direction === 'in' ? EPB_INBOUND : EPB_OUTBOUND);
    options.push(option(EPB_FLAGS, flags));
  }
  return block(BLOCK_ENHANCED_PACKET, fixed, options);
}

/** Interface Statistics Block of interface `interfaceId`. */
export function interfaceStatistics(statistics: InterfaceStatistics, interfaceId = 0): Buffer {
  const fixed = Buffer.alloc(12);
  const [high, low] = nanosecondWords(statistics.end.seconds, statistics.end.nanoseconds);
  fixed.writeUInt32LE(interfaceId, 0);
  fixed.writeUInt32LE(high, 4);
  fixed.writeUInt32LE(low, 8);
  return block(BLOCK_INTERFACE_STATISTICS, fixed, [
    ...textOption(OPTION_COMMENT, statistics.comment),
    timeOption(ISB_START_TIME, statistics.start),
    timeOption(ISB_END_TIME, statistics.end),
    countOption(ISB_INTERFACE_RECEIVED, statistics.received),
    countOption(ISB_INTERFACE_DROPPED, statistics.interfaceDropped),
    countOption(ISB_FILTER_ACCEPTED, statistics.accepted),
    countOption(ISB_OS_DROPPED, statistics.dropped),
    countOption(ISB_USER_DELIVERED, statistics.delivered),
  ]);
}

/** The present, as precise as Date is: milliseconds. */
export function timestampNow(): Timestamp {
  const nowMs = Date.now();
  return { seconds: Math.floor(nowMs / 1000), nanoseconds: (nowMs % 1000) * 1_000_000 };
}

/** Type and length around `fixed` (already padded) and the options; no options, no end-of-options either. */
function block(type: number, fixed: Buffer, options: readonly Buffer[]): Buffer {
  const end = options.length === 0 ? [] : [Buffer.alloc(4)];
  const head = Buffer.alloc(8);
  const tail = Buffer.alloc(4);
  const body = Buffer.concat([fixed, ...options, ...end]);
  const length = body.byteLength + BLOCK_OVERHEAD;
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  tail.writeUInt32LE(length, 0);
  return Buffer.concat([head, body, tail]);
}

/** Code, length, value, padding. A value too long for the 16-bit length is cut. */
function option(code: number, value: Uint8Array): Buffer {
  const kept = value.subarray(0, MAX_OPTION_BYTES);
  const out = Buffer.alloc(4 + kept.byteLength + padding(kept.byteLength));
  out.writeUInt16LE(code, 0);
  out.writeUInt16LE(kept.byteLength, 2);
  out.set(kept, 4);
  return out;
}

/** An option of text, or none for an empty one. */
export function textOption(code: number, text: string | undefined): Buffer[] {
  return text === undefined || text === '' ? [] : [option(code, Buffer.from(text, 'utf8'))];
}

function filterOption(filter: string): Buffer {
  return option(IF_FILTER, Buffer.concat([Uint8Array.of(IF_FILTER_STRING), Buffer.from(filter, 'utf8')]));
}

function countOption(code: number, count: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(count));
  return option(code, value);
}

function timeOption(code: number, time: Timestamp): Buffer {
  const value = Buffer.alloc(8);
  const [high, low] = nanosecondWords(time.seconds, time.nanoseconds);
  value.writeUInt32LE(high, 0);
  value.writeUInt32LE(low, 4);
  return option(code, value);
}

function nanosecondWords(seconds: number, nanoseconds: number): [high: number, low: number] {
  const words = new DataView(new ArrayBuffer(8));
  writeNanoseconds(words, 0, seconds, nanoseconds);
  return [words.getUint32(0, true), words.getUint32(4, true)];
}

/**
 * Nanoseconds since the epoch as two words, the high one first. They exceed 2^53, and a BigInt for each frame would
 * be the dearest part of writing it, so the product is formed in halves that a double holds exactly.
 */
export function writeNanoseconds(view: DataView, at: number, seconds: number, nanoseconds: number): void {
  const upper = (seconds >>> 16) * NS_PER_SECOND;
  const lower = (seconds & 0xffff) * NS_PER_SECOND + nanoseconds;
  const low = (upper % 0x1_0000) * 0x1_0000 + (lower % U32);
  const high = Math.floor(upper / 0x1_0000) + Math.floor(lower / U32) + (low >= U32 ? 1 : 0);
  view.setUint32(at, high, true);
  view.setUint32(at + 4, low, true);
}
