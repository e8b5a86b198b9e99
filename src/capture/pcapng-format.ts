/**
 * Numbers of the pcapng file format (draft-ietf-opsawg-pcapng) that both the writer and the reader need.
 * Every block is: type, total length, body padded to 32 bits, total length again.
 */
export const BLOCK_SECTION_HEADER = 0x0a0d0d0a;
export const BLOCK_INTERFACE_DESCRIPTION = 1;
/** Obsolete, still found in old captures. */
export const BLOCK_PACKET = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_INTERFACE_STATISTICS = 5;
export const BLOCK_ENHANCED_PACKET = 6;

/** Says in which byte order a section was written. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const VERSION_MAJOR = 1;
export const VERSION_MINOR = 0;

/** Type, total length, and the total length at the end. */
export const BLOCK_OVERHEAD = 12;

export const OPTION_END = 0;
export const OPTION_COMMENT = 1;

export const SHB_HARDWARE = 2;
export const SHB_OS = 3;
export const SHB_USER_APPLICATION = 4;

export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const IF_TIMESTAMP_RESOLUTION = 9;
export const IF_FILTER = 11;
export const IF_TIMESTAMP_OFFSET = 14;

export const EPB_FLAGS = 2;
/** Bits 0 and 1 of epb_flags: which way the frame went, as seen from the captured interface. */
export const EPB_INBOUND = 1;
export const EPB_OUTBOUND = 2;

export const ISB_START_TIME = 2;
export const ISB_END_TIME = 3;
export const ISB_INTERFACE_RECEIVED = 4;
export const ISB_INTERFACE_DROPPED = 5;
export const ISB_FILTER_ACCEPTED = 6;
export const ISB_OS_DROPPED = 7;
export const ISB_USER_DELIVERED = 8;

/** The first byte of if_filter: the filter that follows is a string. */
export const IF_FILTER_STRING = 0;

/** Bytes that fill `length` up to a multiple of four. */
export function padding(length: number): number {
  return -length & 3;
}
