/** What reading a capture yields, and how it fails. Shared by reader.ts and the parsers of the two formats. */
import type { ByteQueue } from './byte-queue.ts';

export type CapturePacket = {
  /** Link type as in pcap: 1 is EN10MB, 101 is RAW. */
  readonly linkType: number;
  /** Since the epoch; 0 where the format has no time stamp (Simple Packet Block). */
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly wireLength: number;
  /** The captured bytes: a view that stays valid. */
  readonly bytes: Uint8Array;
  /** Place of a pcapng packet's interface among those of its section, from 0. */
  readonly interfaceId: number | undefined;
  /** if_name of a pcapng interface. */
  readonly interfaceName: string | undefined;
  /** epb_flags of a pcapng packet; bits 0 and 1 are the direction, 1 inbound and 2 outbound. */
  readonly flags: number | undefined;
};

/** What is not a capture, or not one any more from `offset` on. */
export class CaptureFormatError extends Error {
  /** Byte in the file where the offending record begins. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(`at byte ${offset}: ${message}`);
    this.name = 'CaptureFormatError';
    this.offset = offset;
  }
}

/** What reads one format. */
export interface PacketParser {
  /** What is expected next, for the message about a file that ends too early. */
  readonly expecting: string;
  /** The next packet of the queue, undefined when it has to grow first. */
  next(queue: ByteQueue): CapturePacket | undefined;
}
