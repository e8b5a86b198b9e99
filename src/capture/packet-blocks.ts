/**
 * Captured records (bpf/record.ts) as Enhanced Packet Blocks of pcapng. Each carries epb_flags with its direction, a
 * dropped frame a comment as well that says why. A dropped frame had come in, so it is inbound.
 *
 * There is no epb_dropcount: a descriptor counts the frames it had no room for, but not between which two frames that
 * was. The interface statistics at the end have the count.
 */
import { DIRECTION_DROP, DIRECTION_IN, RECORD_HEADER } from '../bpf/record.ts';
import { DROP_REASONS } from '../link/settings.ts';
import { dropComment } from './drop-comment.ts';
import { textOption, writeNanoseconds } from './pcapng.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_OVERHEAD,
  EPB_FLAGS,
  EPB_INBOUND,
  EPB_OUTBOUND,
  OPTION_COMMENT,
  OPTION_END,
  padding,
} from './pcapng-format.ts';

/** Of an Enhanced Packet Block without options: overhead, interface, time stamp (2), captured and wire length. */
const EPB_FIXED = BLOCK_OVERHEAD + 20;
/** epb_flags, and the end of options. */
const EPB_FLAGS_BYTES = 12;
/** Of word 3 of a record. */
const DROP_REASON_SHIFT = 8;
const NO_COMMENT: Uint8Array = new Uint8Array(0);

/** Bytes, and the view that reads words from them. */
export type Viewed = { readonly bytes: Uint8Array; readonly view: DataView };

export function viewed(bytes: Uint8Array): Viewed {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** Writes the blocks of one interface of a section. */
export class PacketBlocks {
  readonly #interfaceId: number;
  /** The comment option for each reason a frame was dropped for, ready to be copied. */
  readonly #comments: readonly Uint8Array[];

  /** @param link the link that carries the interface's frames, and so may drop them */
  constructor(interfaceId = 0, link?: string) {
    this.#interfaceId = interfaceId;
    this.#comments = [...DROP_REASONS, 'unknown'].map((reason) =>
      Buffer.concat(textOption(OPTION_COMMENT, dropComment(reason, link))),
    );
  }

  /** All records of a batch, in one buffer. */
  batch(records: Uint8Array): Buffer {
    const source = viewed(records);
    let length = 0;
    for (let at = 0; at + RECORD_HEADER <= records.byteLength; at += source.view.getUint32(at, true)) {
      length += this.length(source, at);
    }
    const buffer = Buffer.allocUnsafeSlow(length);
    const out = viewed(buffer);
    let to = 0;
    for (
      let from = 0;
      from + RECORD_HEADER <= records.byteLength;
      from += source.view.getUint32(from, true)
    ) {
      to = this.write(source, from, out, to);
    }
    return buffer;
  }

  /** Bytes of the block for the record at `at`. */
  length({ view }: Viewed, at: number): number {
    const captured = view.getUint32(at + 4, true);
    const comment = this.#comment(view.getUint32(at + 12, true));
    return EPB_FIXED + captured + padding(captured) + EPB_FLAGS_BYTES + comment.byteLength;
  }

  /** Writes the block of the record at `from` to `out` at `to`; returns where it ends. */
  write(source: Viewed, from: number, out: Viewed, to: number): number {
    const { view } = out;
    const origin = source.view.getUint32(from + 12, true);
    const captured = source.view.getUint32(from + 4, true);
    const comment = this.#comment(origin);
    const data = to + 28;
    const options = data + captured + padding(captured);
    const end = options + EPB_FLAGS_BYTES + comment.byteLength;
    const length = end + 4 - to;
    view.setUint32(to, BLOCK_ENHANCED_PACKET, true);
    view.setUint32(to + 4, length, true);
    view.setUint32(to + 8, this.#interfaceId, true);
    const [seconds, nanoseconds] = [
      source.view.getUint32(from + 16, true),
      source.view.getUint32(from + 20, true),
    ];
    writeNanoseconds(view, to + 12, seconds, nanoseconds);
    view.setUint32(to + 20, captured, true);
    view.setUint32(to + 24, source.view.getUint32(from + 8, true), true);
    // The padding lies in the last four bytes before the options; the frame then overwrites what is not padding.
    if (captured > 0) view.setUint32(options - 4, 0, true);
    out.bytes.set(source.bytes.subarray(from + RECORD_HEADER, from + RECORD_HEADER + captured), data);
    view.setUint16(options, EPB_FLAGS, true);
    view.setUint16(options + 2, 4, true);
    const inbound = (origin & (DIRECTION_IN | DIRECTION_DROP)) !== 0;
    view.setUint32(options + 4, inbound ? EPB_INBOUND : EPB_OUTBOUND, true);
    out.bytes.set(comment, options + 8);
    view.setUint32(end - 4, OPTION_END, true);
    view.setUint32(end, length, true);
    return end + 4;
  }

  #comment(origin: number): Uint8Array {
    if ((origin & DIRECTION_DROP) === 0) return NO_COMMENT;
    return this.#comments[Math.min((origin >>> DROP_REASON_SHIFT) & 0xff, DROP_REASONS.length)]!;
  }
}
