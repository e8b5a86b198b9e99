/**
 * Congestion marks (RFC 3168): CE in the ECN field of IPv4 and IPv6, directly in a frame.
 */
import { ipHeader } from './headers.ts';
import type { FrameTable } from './stage.ts';

const CE = 3;

/** Sets CE in a frame whose sender knows ECN. Returns whether it did: false leaves the frame as it was. */
export function markCongestion(frames: FrameTable, frame: number, linkType: number): boolean {
  const { bytes } = frames;
  // It is to be changed, so its headers are not to be a super-frame's.
  frames.offset(frame);
  const at = ipHeader(frames, frame, linkType);
  if (at === -1) return false;
  if (bytes[at]! >>> 4 === 4) {
    const field = bytes[at + 1]! & CE;
    if (field === 0) return false;
    if (field === CE) return true;
    frames.changed[frame] = 1;
    bytes[at + 1]! |= CE;
    // RFC 1624: HC' = ~(~HC + ~m + m'); the word's high byte is unchanged, so m' - m is what was added.
    const checksum = (bytes[at + 10]! << 8) | bytes[at + 11]!;
    let sum = (~checksum & 0xffff) + (CE - field);
    sum = (sum & 0xffff) + (sum >>> 16);
    bytes[at + 10] = (~sum >>> 8) & 0xff;
    bytes[at + 11] = ~sum & 0xff;
    return true;
  }
  // IPv6: the traffic class is bits 4 to 11 of the header; its lower two are the ECN field.
  const field = (bytes[at + 1]! >>> 4) & CE;
  if (field === 0) return false;
  if (field !== CE) frames.changed[frame] = 1;
  bytes[at + 1]! |= CE << 4;
  return true;
}
