/**
 * Captured batches as FreeBSD's bpf(4) hands them out on amd64: `struct bpf_hdr` for BPF_T_MICROTIME, the default of
 * BIOCSTSTAMP, and for BPF_T_NONE, else `struct bpf_xhdr` (sys/net/bpf.h). Where long has 64 bits both look alike:
 *
 *   0   int64   bh_tstamp: tv_sec, or bt_sec
 *   8   uint64  bh_tstamp: tv_usec, or bt_frac: nanoseconds (BPF_T_NANOTIME) or 2^-64 s (BPF_T_BINTIME)
 *   16  uint32  bh_caplen
 *   20  uint32  bh_datalen
 *   24  uint16  bh_hdrlen
 *   26  padding, so that the network header of the frame that follows is aligned
 *
 * A record's frame begins bh_hdrlen bytes after its header, the next record at BPF_WORDALIGN(bh_hdrlen + bh_caplen).
 * Padding is zero. read(2) leaves out the padding behind the last record of a buffer; here it is written, because
 * a stream is many buffers one after the other. Every record says itself how it is stamped: BIOCSTSTAMP takes effect
 * between two records.
 */
import {
  RECORD_HEADER,
  TIMESTAMP_BINTIME,
  TIMESTAMP_FORMAT,
  TIMESTAMP_MICROTIME,
  TIMESTAMP_NANOTIME,
  TIMESTAMP_NONE,
  TIMESTAMP_SHIFT,
} from '../bpf/record.ts';

/** offsetof(struct bpf_hdr, bh_hdrlen) + sizeof(u_short): SIZEOF_BPF_HDR of either header, without trailing padding. */
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
    const timestamp = source.getUint32(from + 12, true) >>> TIMESTAMP_SHIFT;
    // Seconds are 32 bits wide in a record: the upper half stays zero.
    view.setUint32(to, source.getUint32(from + 16, true), true);
    setFraction(view, to + 8, timestamp & TIMESTAMP_FORMAT, source.getUint32(from + 20, true));
    view.setUint32(to + 16, captured, true);
    view.setUint32(to + 20, source.getUint32(from + 8, true), true);
    view.setUint16(to + 24, headerLength, true);
    out.set(records.subarray(from + RECORD_HEADER, from + RECORD_HEADER + captured), to + headerLength);
    to += wordAlign(headerLength + captured);
  }
  return out;
}

/** The second half of bh_tstamp. */
function setFraction(view: DataView, at: number, format: number, nanoseconds: number): void {
  switch (format) {
    case TIMESTAMP_MICROTIME:
      view.setUint32(at, Math.floor(nanoseconds / 1000), true);
      break;
    case TIMESTAMP_NANOTIME:
      view.setUint32(at, nanoseconds, true);
      break;
    case TIMESTAMP_BINTIME:
      setBinaryFraction(view, at, nanoseconds);
      break;
    case TIMESTAMP_NONE:
      break;
  }
}

/**
 * Nanoseconds in units of 2^-64 s, rounded up, so that what is read back and rounded down is the same again. A long
 * division, sixteen bits at a time: the quotient does not fit into a number.
 */
function setBinaryFraction(view: DataView, at: number, nanoseconds: number): void {
  let rest = nanoseconds;
  for (let word = 6; word >= 0; word -= 2) {
    const digit = Math.floor((rest * 0x1_0000) / 1e9);
    rest = rest * 0x1_0000 - digit * 1e9;
    view.setUint16(at + word, digit, true);
  }
  if (rest === 0) return;
  const low = view.getUint32(at, true) + 1;
  view.setUint32(at, low, true);
  if (low === 0x1_0000_0000) view.setUint32(at + 4, view.getUint32(at + 4, true) + 1, true);
}
