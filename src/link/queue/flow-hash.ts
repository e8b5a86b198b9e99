/**
 * A number for the flow that a frame belongs to: protocol, addresses and ports where the frame is IP (RFC 8290,
 * section 4.1.1), addresses alone in fragments; of other frames, the addresses and type of the link header.
 */
import { ipHeader, linkHeaderBytes } from '../headers.ts';
import type { FrameTable } from '../stage.ts';

/** Protocols that begin with two ports: TCP, UDP, DCCP, SCTP and UDP-Lite. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);

/** An unsigned number of 32 bits; `perturbation` makes another hash of it. */
export function flowHash(frames: FrameTable, frame: number, linkType: number, perturbation: number): number {
  const { bytes } = frames;
  const start = frames.header(frame);
  const at = ipHeader(frames, frame, linkType);
  if (at === -1)
    return finish(mix(bytes, start, start + linkHeaderBytes(frames, frame, linkType), perturbation));
  const isIpv4 = bytes[at]! >>> 4 === 4;
  const protocol = bytes[at + (isIpv4 ? 9 : 6)]!;
  const addresses = at + (isIpv4 ? 12 : 8);
  const hash = mix(bytes, addresses, addresses + (isIpv4 ? 8 : 32), perturbation ^ protocol);
  const ports = at + (isIpv4 ? (bytes[at]! & 0x0f) * 4 : 40);
  const isFragment = isIpv4 && (((bytes[at + 6]! & 0x3f) << 8) | bytes[at + 7]!) !== 0;
  if (isFragment || !WITH_PORTS.has(protocol) || ports + 4 > start + frames.length[frame]!)
    return finish(hash);
  return finish(mix(bytes, ports, ports + 4, hash));
}

/** FNV-1a. */
function mix(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) | 0;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash;
}

/** MurmurHash3's last step: all bits depend on all. */
function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
