/**
 * Fuzzing of what reads captures, pcap and pcapng. The first byte of the input says in what pieces the rest arrives.
 *
 * What must hold: nothing is thrown but CaptureFormatError, packets are what the reader promises, and both are the
 * same however the bytes arrive.
 */
import assert from 'node:assert/strict';
import { CaptureFormatError } from '../../dist/src/capture/packet.js';
import { CaptureReader } from '../../dist/src/capture/reader.js';

/** @param {Buffer} input */
export function fuzz(input) {
  const capture = input.subarray(1);
  assert.deepEqual(readAll(capture, 1 + (input[0] ?? 0)), readAll(capture, Math.max(1, capture.length)));
}

/** Packets as text, and what is wrong with the rest, if anything. */
function readAll(capture, step) {
  const reader = new CaptureReader();
  const found = [];
  try {
    for (let at = 0; at < capture.length; at += step) {
      reader.push(capture.subarray(at, at + step));
      for (let packet = reader.next(); packet; packet = reader.next()) found.push(checked(packet, capture));
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof CaptureFormatError)) throw error;
    assert.ok(error.offset >= 0 && error.offset <= capture.length, error.message);
    found.push(error.message);
  }
  return found;
}

function checked({ bytes, ...rest }, capture) {
  const { seconds, nanoseconds, wireLength, linkType } = rest;
  assert.ok(bytes.length <= capture.length);
  for (const value of [seconds, nanoseconds, wireLength, linkType]) assert.ok(Number.isInteger(value));
  assert.ok(nanoseconds >= 0 && nanoseconds < 1e9, `${nanoseconds} ns`);
  return `${Buffer.from(bytes).toString('hex')} ${JSON.stringify(rest)}`;
}

/** Captures in each form that there is, in either byte order, as one piece and in small ones. */
export function seeds() {
  const captures = [true, false].flatMap((big) => [
    ...[0xa1b2c3d4, 0xa1b23c4d].map((magic) => pcap(big, magic)),
    pcapng(big),
  ]);
  return captures.flatMap((capture) => [255, 6].map((step) => Buffer.concat([Buffer.of(step), capture])));
}

function pcap(big, magic) {
  const packet = [1_700_000_000, 5, 6, 60, Buffer.from('frame!')];
  return pack(big, magic, [2], [4], 0, 0, 65_535, 1, ...packet, ...packet);
}

function pcapng(big) {
  const block = (type, ...body) => {
    const inside = pack(big, ...body);
    return pack(big, type, inside.length + 12, inside, inside.length + 12);
  };
  const name = [[2], [4], Buffer.from('eth0')];
  const resolution = [[9], [1], Buffer.of(9, 0, 0, 0)];
  const offset = [[14], [8], 0, 1];
  const flags = [[2], [4], 1, [0], [0]];
  return Buffer.concat([
    block(0x0a0d0d0a, 0x1a2b3c4d, [1], [0], 0xffffffff, 0xffffffff),
    block(1, [1], [0], 0, ...name, ...resolution, ...offset, [0], [0]),
    block(1, [101], [0], 96),
    block(6, 0, 1, 2, 6, 60, Buffer.from('frame!\0\0'), ...flags),
    block(3, 6, Buffer.from('simple\0\0')),
    block(2, [1], [0], 0, 5, 4, 4, Buffer.from('old!')),
    block(0x0bad, 7),
  ]);
}

/** Words of 32 bits, in brackets of 16, and bytes. */
function pack(big, ...pieces) {
  return Buffer.concat(
    pieces.map((piece) => {
      if (piece instanceof Uint8Array) return piece;
      const out = Buffer.alloc(Array.isArray(piece) ? 2 : 4);
      const view = new DataView(out.buffer, out.byteOffset);
      if (Array.isArray(piece)) view.setUint16(0, piece[0], !big);
      else view.setUint32(0, piece, !big);
      return out;
    }),
  );
}
