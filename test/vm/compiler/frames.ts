/**
 * Frames to run filters over: the Ethernet corpus of the shared vectors, when it is there, and the same frames
 * rewrapped as every other link type.
 */

import { existsSync, readFileSync } from 'node:fs';
import type { LinkTypeName } from '../../../vm/compiler/index.ts';

/** A captured frame and its length on the wire. */
export type Frame = { readonly bytes: Uint8Array; readonly wireLength: number };

/** The optional folder of test vectors. */
export const VECTORS: URL = new URL('../../../../shared/vectors/', import.meta.url);

export const hasVectors: boolean = existsSync(VECTORS);

/** Rows of a vector file: one JSON object a line. */
export function readRows<T>(name: string): T[] {
  const text = readFileSync(new URL(name, VECTORS), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

/** The distinct frames of a little-endian pcap file in the vectors. */
export function readCorpus(name: string): Frame[] {
  const file = readFileSync(new URL(name, VECTORS));
  const frames: Frame[] = [];
  let at = 24;
  while (at + 16 <= file.length) {
    const captured = file.readUInt32LE(at + 8);
    const wireLength = file.readUInt32LE(at + 12);
    frames.push({ bytes: Uint8Array.from(file.subarray(at + 16, at + 16 + captured)), wireLength });
    at += 16 + captured;
  }
  return frames;
}

/** The frames as they would look on another link type; Ethernet headers are replaced, payloads kept. */
export function rewrap(frames: readonly Frame[], linkType: LinkTypeName): readonly Frame[] {
  if (linkType === 'EN10MB') return frames;
  return frames.map((frame, index) => {
    const header = headerFor(linkType, frame.bytes, index);
    const payload = frame.bytes.subarray(14);
    const bytes = new Uint8Array(header.length + payload.length);
    bytes.set(header);
    bytes.set(payload, header.length);
    return { bytes, wireLength: frame.wireLength - 14 + header.length };
  });
}

function headerFor(linkType: LinkTypeName, ethernet: Uint8Array, index: number): Uint8Array {
  const type = ethernet.length >= 14 ? ethernet[12]! * 256 + ethernet[13]! : 0;
  const family = type === 0x0800 ? 2 : type === 0x86dd ? [10, 24, 28, 30][index % 4]! : 7;
  switch (linkType) {
    case 'NULL':
      return Uint8Array.of(family, 0, 0, 0);
    case 'LOOP':
      return Uint8Array.of(0, 0, 0, family);
    case 'LINUX_SLL': {
      const header = new DataView(new ArrayBuffer(16));
      header.setUint16(0, index % 5);
      header.setUint16(2, 1);
      header.setUint16(4, 6);
      header.setUint16(14, cookedProtocol(type, ethernet));
      return new Uint8Array(header.buffer);
    }
    case 'LINUX_SLL2': {
      const header = new DataView(new ArrayBuffer(20));
      header.setUint16(0, cookedProtocol(type, ethernet));
      header.setUint32(4, index % 3);
      header.setUint16(8, 1);
      header.setUint8(10, index % 5);
      header.setUint8(11, 6);
      return new Uint8Array(header.buffer);
    }
    default:
      return new Uint8Array(0);
  }
}

/** Linux cooked frames say 1 for raw 802.3 and 4 for 802.2 LLC. */
function cookedProtocol(type: number, ethernet: Uint8Array): number {
  if (type > 1500) return type;
  return ethernet[14] === 0xff && ethernet[15] === 0xff ? 1 : 4;
}
