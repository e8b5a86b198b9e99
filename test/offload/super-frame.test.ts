import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { completeChecksum } from '../../src/offload/checksum.ts';
import {
  createSuperFrame,
  cutSegment,
  MAX_HEADER_BYTES,
  MAX_SEGMENTS,
  parseSuperFrame,
  payloadOffset,
  runBytes,
  writeHeaders,
  writeVnetHeader,
} from '../../src/offload/super-frame.ts';
import { VNET_HEADER } from '../../src/offload/virtio-net.ts';
import { buildSuperFrame, isIntact, type Made } from '../helpers/super-frame.ts';

const HEADER = 16;
const FRAME = HEADER + VNET_HEADER;
const OUT = 70_000;

const build = (u8: Uint8Array, made: Made): number => buildSuperFrame(u8, HEADER, made);

const frames = fc.record({
  ipv6: fc.boolean(),
  tcp: fc.boolean(),
  vlan: fc.boolean(),
  options: fc.nat({ max: 10 }),
  payload: fc.uint8Array({ minLength: 1, maxLength: 9000 }),
  size: fc.integer({ min: 1, max: 1500 }),
});

describe('a super-frame', () => {
  it('is cut into segments whose payloads join to its own, with lengths, numbers and checksums right', () => {
    fc.assert(
      fc.property(frames, (made) => {
        const u8 = new Uint8Array(150_000);
        const view = new DataView(u8.buffer);
        const length = build(u8, made);
        const shape = createSuperFrame();
        expect(parseSuperFrame(u8, HEADER, FRAME, length, true, shape)).toBe(true);
        const joined: number[] = [];
        for (let i = 0; i < shape.segments; i++) {
          const cut = cutSegment(u8, FRAME, shape, i, OUT);
          const bytes = runBytes(shape, i, 1);
          expect(cut).toBe(shape.headerBytes + bytes);
          expect(isIntact(u8, OUT, cut, made)).toBe(true);
          joined.push(...u8.subarray(OUT + shape.headerBytes, OUT + cut));
          const ip = OUT + shape.network;
          const l4 = OUT + shape.transport;
          if (made.ipv6) expect(view.getUint16(ip + 4)).toBe(cut - shape.network - 40);
          else {
            expect(view.getUint16(ip + 2)).toBe(cut - shape.network);
            expect(view.getUint16(ip + 4)).toBe((0xfffe + i) & 0xffff);
          }
          if (!made.tcp) expect(view.getUint16(l4 + 4)).toBe(8 + bytes);
          else {
            expect(view.getUint32(l4 + 4)).toBe((0xfffffff0 + i * made.size) % 2 ** 32);
            const last = i === shape.segments - 1;
            expect(u8[l4 + 13]).toBe(0x10 | (last ? 0x09 : 0) | (i === 0 ? 0x80 : 0));
          }
        }
        expect(joined).toEqual([...made.payload]);
      }),
      { numRuns: 60 },
    );
  });

  it('goes on in runs that cut to the same segments', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.nat(), (made, a, b) => {
        const u8 = new Uint8Array(250_000);
        const length = build(u8, made);
        const whole = createSuperFrame();
        parseSuperFrame(u8, HEADER, FRAME, length, true, whole);
        fc.pre(whole.segments > 1);
        const first = a % (whole.segments - 1);
        const count = 2 + (b % (whole.segments - first - 1));
        const [runHeader, run] = [OUT, OUT + VNET_HEADER];
        writeHeaders(u8, FRAME, whole, first, count, run);
        writeVnetHeader(u8, whole, count, runHeader);
        const bytes = runBytes(whole, first, count);
        const from = FRAME + payloadOffset(whole, first);
        u8.copyWithin(run + whole.headerBytes, from, from + bytes);
        const part = createSuperFrame();
        expect(parseSuperFrame(u8, runHeader, run, whole.headerBytes + bytes, true, part)).toBe(true);
        expect(part.segments).toBe(count);
        const [x, y] = [150_000, 200_000];
        for (let i = 0; i < count; i++) {
          const direct = cutSegment(u8, FRAME, whole, first + i, x);
          const again = cutSegment(u8, run, part, i, y);
          expect(u8.slice(y, y + again)).toEqual(u8.slice(x, x + direct));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('with one segment left needs no cutting, only its checksum', () => {
    const made = {
      ipv6: false,
      tcp: true,
      vlan: false,
      options: 3,
      payload: new Uint8Array(3000).fill(7),
      size: 1448,
    };
    const u8 = new Uint8Array(150_000);
    const shape = createSuperFrame();
    parseSuperFrame(u8, HEADER, FRAME, build(u8, made), true, shape);
    writeHeaders(u8, FRAME, shape, 2, 1, OUT + VNET_HEADER);
    writeVnetHeader(u8, shape, 1, OUT);
    const bytes = runBytes(shape, 2, 1);
    const to = OUT + VNET_HEADER + shape.headerBytes;
    u8.copyWithin(to, FRAME + payloadOffset(shape, 2), FRAME + payloadOffset(shape, 2) + bytes);
    expect(completeChecksum(u8, OUT, OUT + VNET_HEADER, shape.headerBytes + bytes)).toBe(true);
    expect(isIntact(u8, OUT + VNET_HEADER, shape.headerBytes + bytes, made)).toBe(true);
    expect(u8[OUT]).toBe(0);
  });

  it.each<[string, (u8: Uint8Array, view: DataView) => void]>([
    ['no segment size', (_, view) => view.setUint16(HEADER + 4, 0)],
    ['no checksum left to do', (u8) => u8.fill(0, HEADER, HEADER + 1)],
    ['a type nobody knows', (u8) => u8.fill(9, HEADER + 1, HEADER + 2)],
    ['the other IP version', (u8) => u8.fill(4, HEADER + 1, HEADER + 2)],
    ['a transport header beyond its end', (_, view) => view.setUint16(HEADER + 6, 5000, true)],
    ['a transport header before the network header', (_, view) => view.setUint16(HEADER + 6, 20, true)],
    ['a TCP header that is too short', (u8) => u8.fill(0x10, FRAME + 46, FRAME + 47)],
    ['a TCP header beyond its end', (_, view) => view.setUint16(FRAME + 46, 0xf010)],
    ['another protocol than said', (u8) => u8.fill(17, FRAME + 23, FRAME + 24)],
  ])('is refused that has %s', (_, damage) => {
    const payload = new Uint8Array(10);
    const u8 = new Uint8Array(150_000);
    const length = build(u8, { ipv6: false, tcp: true, vlan: false, options: 0, payload, size: 5 });
    damage(u8, new DataView(u8.buffer));
    expect(parseSuperFrame(u8, HEADER, FRAME, length, true, createSuperFrame())).toBe(false);
  });

  it('is refused that asks for more segments than Linux ever sends', () => {
    const u8 = new Uint8Array(150_000);
    const parse = (bytes: number): boolean => {
      const payload = new Uint8Array(bytes);
      const length = build(u8, { ipv6: false, tcp: true, vlan: false, options: 0, payload, size: 8 });
      return parseSuperFrame(u8, HEADER, FRAME, length, true, createSuperFrame());
    };
    expect([parse(8 * MAX_SEGMENTS), parse(8 * MAX_SEGMENTS + 1)]).toEqual([true, false]);
  });

  it('of any bytes whatever is refused or cut inside of what it has', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: FRAME, maxLength: 300 }), (bytes) => {
        const u8 = new Uint8Array(150_000);
        u8.set(bytes);
        const shape = createSuperFrame();
        const length = bytes.length - FRAME;
        if (!parseSuperFrame(u8, HEADER, FRAME, length, true, shape)) return;
        expect(shape.headerBytes).toBeLessThanOrEqual(Math.min(length - 1, MAX_HEADER_BYTES));
        for (let i = 0; i < shape.segments; i++) {
          expect(cutSegment(u8, FRAME, shape, i, OUT)).toBeLessThanOrEqual(length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

it.each([
  ['before the frame ends', 40, 16, true],
  ['beyond its end', 58, 16, false],
  ['at its very end', 42, 16, true],
])('a checksum to complete %s: %s + %s', (_, start, offset, possible) => {
  const u8 = new Uint8Array(100);
  const view = new DataView(u8.buffer);
  u8[0] = 1;
  view.setUint16(6, start, true);
  view.setUint16(8, offset, true);
  const before = u8.slice();
  expect(completeChecksum(u8, 0, VNET_HEADER, 60)).toBe(possible);
  if (!possible) expect(u8).toEqual(before);
});
