/** Numbers of the classic pcap file format (draft-ietf-opsawg-pcap) that both the writer and the reader need. */

/** Time stamps in microseconds. */
export const PCAP_MAGIC_US = 0xa1b2c3d4;
/** Time stamps in nanoseconds. */
export const PCAP_MAGIC_NS = 0xa1b23c4d;
export const PCAP_VERSION_MAJOR = 2;
export const PCAP_VERSION_MINOR = 4;
export const PCAP_FILE_HEADER = 24;
export const PCAP_RECORD_HEADER = 16;
/** libpcap's MAXIMUM_SNAPLEN: nothing writes more of a packet. */
export const MAX_CAPTURED_BYTES = 262_144;
