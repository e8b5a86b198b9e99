/**
 * Captured batches as FreeBSD's bpf(4) hands them out on amd64: `struct bpf_hdr` (sys/net/bpf.h), time stamps as
 * `struct timeval` in microseconds, which is BPF_T_MICROTIME, the default of BIOCSTSTAMP.
 *
 *   0   int64   bh_tstamp.tv_sec
 *   8   int64   bh_tstamp.tv_usec
 *   16  uint32  bh_caplen
 *   20  uint32  bh_datalen
 *   24  uint16  bh_hdrlen
 *   26  padding, so that the network header of the frame that follows is aligned
 *
 * A record's frame begins bh_hdrlen bytes after its header, the next record at BPF_WORDALIGN(bh_hdrlen + bh_caplen).
 * Padding is zero. read(2) leaves out the padding behind the last record of a buffer; here it is written, because
 * a stream is many buffers one after the other.
 */
import { RECORD_HEADER } from '../bpf/record.ts';

/** offsetof(struct bpf_hdr, bh_hdrlen) + sizeof(u_short): what SIZEOF_BPF_HDR is, without trailing padding. */
const SIZEOF_BPF_HDR = 26;
const LINK_EN10MB = 1;
const ETHERNET_HEADER = 14;

/** BPF_WORDALIGN: up to a multiple of sizeof(long). */
function wordAlign(length: number): number {
  return (length + 7) & ~7;
}

/** bh_hdrlen, as bpf_hdrlen() in sys/net/bpf.c computes it: 26 for Ethernet, 32 where there is no link header. */
export function bpfHeaderLength(linkType: number): number {
  const linkHeader = linkType === LINK_EN10MB ? ETHERNET_HEADER : 0;
  return wordAlign(linkHeader + SIZEOF_BPF_HDR) - linkHeader;
}

/** A batch of records (bpf/record.ts) as bpf(4) records, in one buffer. */
export function bpfRecords(records: Uint8Array, linkType: number): Buffer {
  const source = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const headerLength = bpfHeaderLength(linkType);
  let length = 0;
  for (let at = 0; at + RECORD_HEADER <= records.byteLength; at += source.getUint32(at, true)) {
    length += wordAlign(headerLength + source.getUint32(at + 4, true));
  }
  const out = Buffer.alloc(length);
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  let to = 0;
  for (let from = 0; from + RECORD_HEADER <= records.byteLength; from += source.getUint32(from, true)) {
    const captured = source.getUint32(from + 4, true);
    // Seconds are 32 bits wide in a record, microseconds always are: the upper halves stay zero.
    view.setUint32(to, source.getUint32(from + 16, true), true);
    view.setUint32(to + 8, Math.floor(source.getUint32(from + 20, true) / 1000), true);
    view.setUint32(to + 16, captured, true);
    view.setUint32(to + 20, source.getUint32(from + 8, true), true);
    view.setUint16(to + 24, headerLength, true);
    out.set(records.subarray(from + RECORD_HEADER, from + RECORD_HEADER + captured), to + headerLength);
    to += wordAlign(headerLength + captured);
  }
  return out;
}
