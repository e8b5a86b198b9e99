import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addWords, completeChecksum, fold } from '../../src/offload/checksum.ts';
import {
  createSuperFrame,
  cutSegment,
  MAX_HEADER_BYTES,
  parseSuperFrame,
  payloadOffset,
  runBytes,
  writeHeaders,
  writeVnetHeader,
} from '../../src/offload/super-frame.ts';
import { VNET_HEADER } from '../../src/offload/virtio-net.ts';

type Made = {
  ipv6: boolean;
  tcp: boolean;
  vlan: boolean;
  options: number;
  payload: Uint8Array;
  size: number;
};

const HEADER = 16;
const FRAME = HEADER + VNET_HEADER;
const OUT = 70_000;

/** A super-frame as the kernel hands it over, at FRAME, its virtio_net_hdr at HEADER. Returns its length. */
function build(u8: Uint8Array, { ipv6, tcp, vlan, options, payload, size }: Made): number {
  const view = new DataView(u8.buffer);
  const network = vlan ? 18 : 14;
  const transport = network + (ipv6 ? 40 : 20);
  const headers = transport + (tcp ? 20 + 4 * options : 8);
  const length = headers + payload.length;
  u8.fill(0, 0, FRAME + headers);
  u8[HEADER] = 1;
  u8[HEADER + 1] = tcp ? (ipv6 ? 4 : 1) : 5;
  view.setUint16(HEADER + 2, headers, true);
  view.setUint16(HEADER + 4, size, true);
  view.setUint16(HEADER + 6, transport, true);
  view.setUint16(HEADER + 8, tcp ? 16 : 6, true);
  if (vlan) view.setUint32(FRAME + 12, 0x81000005);
  view.setUint16(FRAME + network - 2, ipv6 ? 0x86dd : 0x0800);
  const ip = FRAME + network;
  if (ipv6) {
    u8[ip] = 0x60;
    view.setUint16(ip + 4, length - transport);
    u8[ip + 6] = tcp ? 6 : 17;
    for (let i = 8; i < 40; i++) u8[ip + i] = i * 7;
  } else {
    u8[ip] = 0x45;
    view.setUint16(ip + 2, length - network);
    view.setUint16(ip + 4, 0xfffe);
    u8[ip + 9] = tcp ? 6 : 17;
    view.setUint32(ip + 12, 0xc6120001);
    view.setUint32(ip + 16, 0xc6120002);
  }
  const l4 = FRAME + transport;
  view.setUint32(l4, 0x1f901f91);
  if (tcp) {
    view.setUint32(l4 + 4, 0xfffffff0);
    u8[l4 + 12] = (5 + options) << 4;
    u8[l4 + 13] = 0x99; // CWR, ACK, PSH, FIN
  } else view.setUint16(l4 + 4, length - transport);
  u8.set(payload, FRAME + headers);
  return length;
}

const frames = fc.record({
  ipv6: fc.boolean(),
  tcp: fc.boolean(),
  vlan: fc.boolean(),
  options: fc.nat({ max: 10 }),
  payload: fc.uint8Array({ minLength: 1, maxLength: 9000 }),
  size: fc.integer({ min: 1, max: 1500 }),
});

/** The checksums of a frame as it would go over a wire: true when all hold. */
function isIntact(u8: Uint8Array, at: number, length: number, { ipv6, tcp, vlan }: Made): boolean {
  const ip = at + (vlan ? 18 : 14);
  const l4 = ip + (ipv6 ? 40 : 20);
  const pseudo = (tcp ? 6 : 17) + (at + length - l4);
  const addresses = ipv6 ? addWords(u8, ip + 8, ip + 40, pseudo) : addWords(u8, ip + 12, ip + 20, pseudo);
  const transport = fold(addWords(u8, l4, at + length, addresses)) === 0xffff;
  return transport && (ipv6 || fold(addWords(u8, ip, l4, 0)) === 0xffff);
}

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
