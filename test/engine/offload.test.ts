/**
 * Super-frames through a data plane, on devices of this test and a clock that it moves: what leaves is what came in,
 * cut where the link decides frame by frame, joined where neighbours leave together, and every frame is counted.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Arena } from '../../src/arena/arena.ts';
import { Heap } from '../../src/arena/heap.ts';
import { framesSeen } from '../../src/bpf/bpf-if.ts';
import { DescriptorTable } from '../../src/bpf/descriptor-table.ts';
import { DIRECTION_IN, DIRECTION_OUT } from '../../src/bpf/record.ts';
import { DELIVERED, OFFERED } from '../../src/decisions/decision.ts';
import { type Device, GONE, NO_CARRIER, NO_FRAME, type Parts, REFUSED } from '../../src/device/device.ts';
import { VirtualClock } from '../../src/engine/clock.ts';
import { INTERFACE_UP, RECEIVE_FRAMES, TRANSMIT_FRAMES } from '../../src/engine/counters.ts';
import { DataPlane } from '../../src/engine/data-plane.ts';
import { leave } from '../../src/engine/handover.ts';
import { NOBODY } from '../../src/engine/shares.ts';
import { DELIVERED_FRAMES, dropCounter, OFFERED_FRAMES } from '../../src/link/counters.ts';
import { CLEAR_LINK, DROP_REASONS, type DropReason, type LinkSettings } from '../../src/link/settings.ts';
import { addWords, storeChecksum } from '../../src/offload/checksum.ts';
import {
  createSuperFrame,
  cutSegment,
  isSuperFrame,
  parseSuperFrame,
  payloadOffset,
  runBytes,
  writeHeaders,
  writeVnetHeader,
} from '../../src/offload/super-frame.ts';
import { VNET_HEADER } from '../../src/offload/virtio-net.ts';
import { options as attachOptions } from '../bpf/helper.ts';
import { buildSuperFrame, type Made } from '../helpers/super-frame.ts';

const OUT = 80_000;
const TCP: Made = { ipv6: false, tcp: true, vlan: false, options: 3, payload: new Uint8Array(0), size: 1448 };

/** Offsets in a frame with an IPv4 header. */
const [IDENTIFICATION, SEQUENCE, ACKNOWLEDGEMENT, FLAGS, WINDOW] = [18, 38, 42, 47, 48];

/** Frames of any length with their virtio_net_hdr, to be read and as written. */
class FakeDevice implements Device {
  readonly fd = -1;
  readonly waiting: Uint8Array[] = [];
  readonly written: Uint8Array[] = [];
  answer: number | undefined;
  readonly #u8: Uint8Array;
  readonly offload: boolean;

  constructor(arena: Arena, offload = true) {
    this.#u8 = arena.u8;
    this.offload = offload;
  }

  read(offset: number, capacity: number): number {
    const frame = this.waiting.shift();
    if (!frame) return NO_FRAME;
    this.#u8.set(frame.subarray(0, capacity + VNET_HEADER), offset - VNET_HEADER);
    return Math.min(capacity, frame.length - VNET_HEADER);
  }

  write(offset: number, length: number): number {
    if (this.answer !== undefined) return this.answer;
    this.written.push(this.#u8.slice(offset - (this.offload ? VNET_HEADER : 0), offset + length));
    return length;
  }

  writeParts(headers: number, headerBytes: number, { count, offsets, bytes }: Parts): number {
    if (this.answer !== undefined) return this.answer;
    const parts = [this.#u8.slice(headers - VNET_HEADER, headers + headerBytes)];
    for (let i = 0; i < count; i++) parts.push(this.#u8.slice(offsets[i]!, offsets[i]! + bytes[i]!));
    this.written.push(Buffer.concat(parts));
    return Buffer.concat(parts).length - VNET_HEADER;
  }
}

/** @param after a number under which another worker carries the direction */
function setUp(
  settings: Partial<LinkSettings> = {},
  farOffload = true,
  superFramesPerWorker = 8,
  after?: number,
) {
  // Worker 1 does nothing: its memory is what lies behind that of worker 0.
  const counts = { workers: 2, interfaces: 2, directions: 2, descriptors: 1, superFramesPerWorker };
  const arena = Arena.create({ ...counts, slotsPerWorker: 300, slotBytes: 1600, heapBytes: 65_536 });
  const clock = new VirtualClock();
  const plane = new DataPlane(arena, 0, clock, () => {});
  const [near, far] = [new FakeDevice(arena), new FakeDevice(arena, farOffload)];
  for (const [index, device] of [near, far].entries()) {
    plane.addPort(index, 1500, true, [0]).device = device;
    arena.f64[arena.interfaceCounters(index) + INTERFACE_UP] = 1;
  }
  plane.addLink(0, 0, 1, { ...CLEAR_LINK, ...settings }, 1, 'ab/forward', after);
  const counters = arena.directionCounters(0);
  const run = (): void => {
    while (plane.receive(plane.port(0)!) > 0);
    plane.runDue(clock.nowNs());
    while (plane.scheduler.nextDeadlineNs !== Number.POSITIVE_INFINITY) {
      clock.moveTo(plane.scheduler.nextDeadlineNs);
      plane.runDue(clock.nowNs());
    }
  };
  const drops = (reason: DropReason): number => counters[dropCounter(reason)]!;
  return { arena, plane, near, far, run, counters, drops };
}

function superFrame(payloadBytes: number, made: Partial<Made> = {}): Uint8Array {
  const payload = Uint8Array.from({ length: payloadBytes }, (_, i) => (i * 7) ^ (i >>> 8));
  const u8 = new Uint8Array(70_000);
  const length = buildSuperFrame(u8, 0, { ...TCP, ...made, payload });
  return u8.slice(0, VNET_HEADER + length);
}

/** The frames on a wire that a written or read buffer stands for. */
function onWire(buffer: Uint8Array): string[] {
  const u8 = new Uint8Array(160_000);
  u8.set(buffer);
  if (!isSuperFrame(u8, 0) && u8[0] === 0) return [Buffer.from(buffer.subarray(VNET_HEADER)).toString('hex')];
  const shape = createSuperFrame();
  // One segment alone has no segment size; any that is not smaller will do.
  if (!isSuperFrame(u8, 0)) {
    const network =
      VNET_HEADER + (((buffer[VNET_HEADER + 12]! << 8) | buffer[VNET_HEADER + 13]!) === 0x8100 ? 18 : 14);
    u8[1] = u8[network]! >>> 4 === 6 ? 4 : 1;
    new DataView(u8.buffer).setUint16(4, 60_000, true);
  }
  expect(parseSuperFrame(u8, 0, VNET_HEADER, buffer.length - VNET_HEADER, true, shape)).toBe(true);
  return Array.from({ length: shape.segments }, (_, i) => {
    const length = cutSegment(u8, VNET_HEADER, shape, i, OUT);
    return Buffer.from(u8.subarray(OUT, OUT + length)).toString('hex');
  });
}

it('passes a super-frame on as it came, where the link treats all its segments alike', () => {
  const rule = { match: 'tcp port 8080', impair: { delayNs: 1e6 }, verdict: 'pass' as const };
  for (const settings of [{}, { delayNs: 5e6 }, { mtuBytes: 1500 }, { rules: [rule] }]) {
    const { near, far, run, counters } = setUp(settings);
    const frame = superFrame(40_000);
    near.waiting.push(frame);
    run();
    expect(far.written).toEqual([frame]);
    expect(counters[DELIVERED_FRAMES]).toBe(Math.ceil(40_000 / 1448));
  }
});

it('has a super-frame wait behind a frame that waits for another worker to leave', () => {
  const { arena, plane, near, far, run } = setUp({}, true, 8, 1);
  const frames = [superFrame(100), superFrame(40_000)];
  near.waiting.push(...frames);
  while (plane.receive(plane.port(0)!) > 0);
  plane.flush();
  expect(far.written).toEqual([]);
  leave(arena, 1, 0);
  run();
  expect(far.written.flatMap(onWire)).toEqual(frames.flatMap(onWire));
});

it.each([
  [0, DIRECTION_IN],
  [1, DIRECTION_OUT],
])(
  'shows the segments of a super-frame that passes whole one by one at interface %s',
  async (index, direction) => {
    const { arena, near, far, run } = setUp();
    const table = new DescriptorTable(arena, new Heap(arena.heap, arena.capacity.heapBytes));
    const attachment = { name: 'eth0', index, generation: 0, linkType: 1, mtu: 1500 };
    await table.attach({ ...attachment, write: async () => {} }, attachOptions);
    const frame = superFrame(40_000);
    near.waiting.push(frame);
    run();
    expect(framesSeen(arena, index, direction)).toBe(28);
    expect(far.written).toEqual([frame]);
  },
);

it('records what becomes of each segment of a super-frame that passes whole', () => {
  const { plane, near, far, run } = setUp();
  const events: number[] = [];
  plane.record({ put: (_time, _direction, event) => events.push(event) });
  const frame = superFrame(40_000);
  near.waiting.push(frame);
  run();
  expect(events.filter((event) => event === OFFERED)).toHaveLength(28);
  expect(events.filter((event) => event === DELIVERED)).toHaveLength(28);
  expect(far.written).toEqual([frame]);
});

it('drops segments that are too long for the far interface', () => {
  const { near, far, run, drops } = setUp();
  near.waiting.push(superFrame(6000, { size: 1500 }));
  run();
  expect([drops('mtu'), far.written.length]).toEqual([4, 0]);
});

it('joins no more segments than it takes itself', () => {
  const { near, far, run } = setUp();
  const frames = [0, 1500].map((first) => {
    const frame = Buffer.from(superFrame(1500 * 20, { size: 20 }));
    frame.writeUInt16BE(0x1000 + first, VNET_HEADER + IDENTIFICATION);
    frame.writeUInt32BE(first * 20, VNET_HEADER + SEQUENCE);
    frame.writeUInt8(0x10, VNET_HEADER + FLAGS);
    return frame;
  });
  near.waiting.push(...frames);
  run();
  expect(far.written.map((each) => onWire(each).length)).toEqual([1500, 1500]);
});

it('serializes each segment by itself', () => {
  const { near, far, run } = setUp({ rateBitsPerSecond: 1e9 });
  const frame = superFrame(10_000);
  near.waiting.push(frame);
  run();
  expect(far.written).toHaveLength(7);
  expect(far.written.flatMap(onWire)).toEqual(onWire(frame));
});

it('loses segments, not super-frames, and joins only neighbours', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 4 }), (sizes) => {
      const { near, far, run, counters, drops, plane } = setUp({ loss: 0.3 });
      const frames = sizes.map((size) => superFrame(size));
      near.waiting.push(...frames);
      run();
      const sent = frames.flatMap(onWire);
      const arrived = far.written.flatMap(onWire);
      expect(arrived.length + drops('loss')).toBe(sent.length);
      let from = 0;
      for (const frame of arrived) {
        const at = sent.indexOf(frame, from);
        expect(at).not.toBe(-1);
        from = at + 1;
      }
      expect(counters[OFFERED_FRAMES]).toBe(sent.length);
      expect(plane.pool.used).toBe(0);
    }),
    { numRuns: 40 },
  );
});

/** A frame that came by itself, from bytes as on a wire, with its virtio_net_hdr. */
function alone(hex: string, change?: (frame: Buffer) => void, keepChecksums = false): Uint8Array {
  const frame = Buffer.from(hex, 'hex');
  change?.(frame);
  if (!keepChecksums) {
    frame.fill(0, 24, 26).fill(0, 50, 52);
    storeChecksum(frame, 24, addWords(frame, 14, 34, 0));
    const pseudo = addWords(frame, 26, 34, 6 + frame.length - 34);
    storeChecksum(frame, 50, addWords(frame, 34, frame.length, pseudo));
  }
  return Buffer.concat([new Uint8Array(VNET_HEADER), frame]);
}

/** A super-frame of `segments` full segments without flags at its end, so that others may follow. */
function openEnded(segments: number, made: Partial<Made> = {}): Uint8Array {
  const frame = superFrame(segments * TCP.size, made);
  const at = VNET_HEADER + 14 + (made.vlan ? 4 : 0) + (made.ipv6 ? 40 : 20) + 13;
  frame[at] = 0x10;
  return frame;
}

/** Segments of a super-frame as a super-frame of their own. */
function part(frame: Uint8Array, first: number, count: number): Uint8Array {
  const u8 = new Uint8Array(150_000);
  u8.set(frame);
  const shape = createSuperFrame();
  parseSuperFrame(u8, 0, VNET_HEADER, frame.length - VNET_HEADER, true, shape);
  writeHeaders(u8, VNET_HEADER, shape, first, count, OUT);
  writeVnetHeader(u8, shape, count, OUT - VNET_HEADER);
  const from = VNET_HEADER + payloadOffset(shape, first);
  u8.copyWithin(OUT + shape.headerBytes, from, from + runBytes(shape, first, count));
  return u8.slice(OUT - VNET_HEADER, OUT + shape.headerBytes + runBytes(shape, first, count));
}

it('joins what one connection sent in several super-frames and frames, and never across a loss', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 8 }),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom({}, { delayNs: 1e6 }, { loss: 0.2 }, { rateBitsPerSecond: 1e9 }),
      (counts, ipv6, vlan, settings) => {
        const made = { ipv6, vlan, size: 700 };
        const total = counts.reduce((sum, count) => sum + count, 0);
        const whole = superFrame(total * 700 - 300, made);
        whole[VNET_HEADER + 14 + (vlan ? 4 : 0) + (ipv6 ? 40 : 20) + 13] = 0x18;
        const sent = onWire(whole);
        const { near, far, run, plane, counters, drops } = setUp(settings);
        let first = 0;
        for (const count of counts) {
          if (count === 1 && !ipv6 && !vlan) near.waiting.push(alone(sent[first]!));
          else near.waiting.push(part(whole, first, count));
          first += count;
        }
        run();
        const arrived = far.written.flatMap(onWire);
        expect(arrived).toEqual(sent.filter((each) => arrived.includes(each)));
        expect(arrived.length + drops('loss')).toBe(total);
        expect(counters[DELIVERED_FRAMES]).toBe(arrived.length);
        // A row without a gap is one write, unless the rate keeps its frames apart.
        const gaps = arrived.filter(
          (each, i) => i > 0 && sent[sent.indexOf(each) - 1] !== arrived[i - 1],
        ).length;
        if (!('rateBitsPerSecond' in settings))
          expect(far.written).toHaveLength(Math.min(arrived.length, 1 + gaps));
        expect(plane.pool.used).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

it.each<[string, number, (frame: Buffer) => void, boolean?]>([
  ['nothing', 1, () => {}],
  ['a gap in its sequence', 2, (frame) => frame.writeUInt32BE(frame.readUInt32BE(SEQUENCE) + 1, SEQUENCE)],
  ['another acknowledgement', 2, (frame) => frame.writeUInt32BE(7, ACKNOWLEDGEMENT)],
  ['another window', 2, (frame) => frame.writeUInt16BE(7, WINDOW)],
  ['another time stamp', 2, (frame) => frame.writeUInt32BE(7, 58)],
  ['a push', 1, (frame) => frame.writeUInt8(0x18, FLAGS)],
  ['a reset', 2, (frame) => frame.writeUInt8(0x14, FLAGS)],
  ['a congestion window reduced', 2, (frame) => frame.writeUInt8(0x90, FLAGS)],
  ['an echo of congestion', 2, (frame) => frame.writeUInt8(0x50, FLAGS)],
  ['a congestion mark', 2, (frame) => frame.writeUInt8(3, 15)],
  ['another time to live', 2, (frame) => frame.writeUInt8(9, 22)],
  ['a gap in its identification', 2, (frame) => frame.writeUInt16BE(7, IDENTIFICATION)],
  ['another source', 2, (frame) => frame.writeUInt8(9, 6)],
  ['another port', 2, (frame) => frame.writeUInt16BE(9, 34)],
  ['a wrong checksum', 2, (frame) => frame.writeUInt8(frame[100]! ^ 1, 100), true],
  ['a wrong header checksum', 2, (frame) => frame.writeUInt8(frame[24]! ^ 1, 24), true],
])('a segment that goes on with %s makes %s writes', (_, writes, change, keepChecksums) => {
  for (const precededBy of ['super-frame', 'frame']) {
    const { near, far, run, plane } = setUp();
    const sent = onWire(openEnded(5));
    const before =
      precededBy === 'frame' ? sent.slice(0, 4).map((each) => alone(each)) : [part(openEnded(5), 0, 4)];
    const last = alone(sent[4]!, change, keepChecksums);
    near.waiting.push(...before, last);
    run();
    expect(far.written).toHaveLength(writes);
    expect(far.written.flatMap(onWire)).toEqual([
      ...sent.slice(0, 4),
      Buffer.from(last.subarray(VNET_HEADER)).toString('hex'),
    ]);
    expect(plane.pool.used).toBe(0);
  }
});

it('passes on every frame of a flood of damaged ones as it came, joined or not', () => {
  const sent = onWire(openEnded(6));
  const change = fc.tuple(fc.nat({ max: 75 }), fc.nat({ max: 255 }));
  const frame = fc.record({
    index: fc.nat({ max: 5 }),
    changes: fc.array(change, { maxLength: 2 }),
    keepChecksums: fc.boolean(),
    isInRow: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(frame, { minLength: 2, maxLength: 12 }), (row) => {
      const { near, far, run, plane } = setUp();
      for (const [i, { index, changes, keepChecksums, isInRow }] of row.entries()) {
        const damage = (bytes: Buffer): void => {
          for (const [at, value] of changes) bytes[at] = value;
        };
        near.waiting.push(alone(sent[isInRow ? i % 6 : index]!, damage, keepChecksums));
      }
      const came = near.waiting.map((each) => Buffer.from(each.subarray(VNET_HEADER)).toString('hex'));
      run();
      expect(far.written.flatMap(onWire)).toEqual(came);
      expect(plane.pool.used).toBe(0);
    }),
    { numRuns: 500 },
  );
});

it('joins nothing to a frame whose checksum is wrong', () => {
  const { near, far, run } = setUp();
  const sent = onWire(openEnded(3));
  const damaged = alone(sent[0]!, (frame) => frame.writeUInt8(frame[100]! ^ 1, 100), true);
  near.waiting.push(damaged, alone(sent[1]!), alone(sent[2]!));
  run();
  expect(far.written.map((each) => each.length)).toEqual([damaged.length, damaged.length + 1448]);
  expect(far.written[0]).toEqual(Uint8Array.from(damaged));
});

it('cuts for a device that takes no super-frames, with all checksums', () => {
  const { near, far, run } = setUp({}, false);
  const frames = [superFrame(9000), superFrame(100, { tcp: false, ipv6: true, size: 60 })];
  near.waiting.push(...frames);
  run();
  expect(far.written.map((each) => Buffer.from(each).toString('hex'))).toEqual(frames.flatMap(onWire));
});

it('completes the checksum of a frame that left it open, for a device that wants it done', () => {
  for (const farOffload of [true, false]) {
    const { near, far, run } = setUp({}, farOffload);
    const frame = superFrame(500);
    const partial = frame.slice();
    partial.fill(0, 1, 2);
    partial.fill(0, 4, 6);
    near.waiting.push(partial);
    run();
    if (farOffload) expect(far.written).toEqual([partial]);
    else expect(far.written.map((each) => Buffer.from(each).toString('hex'))).toEqual(onWire(frame));
  }
});

it.each<[number, DropReason]>([
  [NO_CARRIER, 'carrier'],
  [GONE, 'carrier'],
  [REFUSED, 'device'],
])('a device that answers %s to a super-frame has all its segments dropped: %s', (answer, reason) => {
  const { arena, near, far, run, counters, drops, plane } = setUp();
  far.answer = answer;
  near.waiting.push(superFrame(5000));
  run();
  expect(drops(reason)).toBe(4);
  expect(counters[DELIVERED_FRAMES]).toBe(0);
  expect(arena.f64[arena.interfaceCounters(1) + TRANSMIT_FRAMES]).toBe(0);
  expect(plane.pool.used).toBe(0);
});

it('gives segments bytes of their own when no area is left for their super-frame', () => {
  const { near, far, run, counters, drops, plane } = setUp({ delayNs: 1e6 }, true, 2);
  const frames = [superFrame(14_480), superFrame(14_480), superFrame(14_480)];
  near.waiting.push(...frames);
  run();
  // One area is always kept free for landing.
  expect([counters[OFFERED_FRAMES], drops('pool'), counters[DELIVERED_FRAMES]]).toEqual([30, 0, 30]);
  expect(far.written.flatMap(onWire)).toEqual(frames.flatMap(onWire));
  expect(plane.pool.used).toBe(0);
});

it('counts segments for which there is no slot: of 299 one direction gets 240', () => {
  const { near, run, counters, drops, plane } = setUp({ delayNs: 1e6 });
  near.waiting.push(superFrame(350, { size: 1 }));
  run();
  expect([counters[OFFERED_FRAMES], drops('pool'), counters[DELIVERED_FRAMES]]).toEqual([350, 110, 240]);
  expect(plane.pool.used).toBe(0);
});

it.each([1600, 5000, 60_000])('drops a super-frame whose segments of %s bytes fit no slot', async (size) => {
  const { arena, plane, near, far, run, counters, drops } = setUp();
  const table = new DescriptorTable(arena, new Heap(arena.heap, arena.capacity.heapBytes));
  const attachment = { name: 'a:eth0', index: 0, generation: 0, linkType: 1, mtu: 1500 };
  await table.attach({ ...attachment, write: async () => {} }, attachOptions);
  near.waiting.push(superFrame(63_000, { size }));
  run();
  expect([counters[OFFERED_FRAMES], drops('mtu'), far.written.length]).toEqual([1, 1, 0]);
  expect(framesSeen(arena, 0, DIRECTION_IN)).toBe(1);
  expect(plane.pool.used).toBe(0);
  const behind = plane.pool.place(plane.pool.scratch) + plane.pool.slotBytes;
  expect(arena.u8.slice(behind, behind + 65_536).every((byte) => byte === 0)).toBe(true);
});

it('has nothing of a frame that found no slot hold for the next that finds none', async () => {
  const { arena, plane, near, run } = setUp({ delayNs: 1e6 });
  const partial = superFrame(500);
  partial.fill(0, 1, 2);
  partial.fill(0, 4, 6);
  while (plane.pool.take(NOBODY) !== -1);
  near.waiting.push(partial);
  run();
  const { scratch } = plane.pool;
  const whole = Uint8Array.from({ length: 600 }, (_, i) => i);
  plane.inject(0, whole);
  plane.pool.length[scratch] = whole.length;
  const at = plane.pool.offset(scratch);
  expect(arena.u8.slice(at, at + whole.length)).toEqual(whole);
});

it('takes from one device no more segments at a time than of frames of their size', () => {
  const { near, plane } = setUp();
  near.waiting.push(...Array.from({ length: 8 }, () => superFrame(20_000, { size: 10 })));
  plane.receive(plane.port(0)!);
  expect(near.waiting.length).toBe(6);
});

it('lives through whatever a device hands over', () => {
  const bytes = fc.uint8Array({ minLength: VNET_HEADER + 1, maxLength: 200 });
  const damaged = fc
    .tuple(fc.integer({ min: 1, max: 9000 }), fc.array(fc.tuple(fc.nat({ max: 80 }), fc.nat({ max: 255 }))))
    .map(([size, changes]) => {
      const frame = superFrame(size);
      for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
      return frame;
    });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(bytes, damaged), { maxLength: 20 }),
      fc.boolean(),
      fc.constantFrom({}, { loss: 0.5 }, { rateBitsPerSecond: 1e8, limitBytes: 5000 }),
      (frames, farOffload, settings) => {
        const { arena, near, far, run, counters, plane } = setUp(settings, farOffload);
        near.waiting.push(...frames);
        run();
        const dropped = DROP_REASONS.reduce((sum, reason) => sum + counters[dropCounter(reason)]!, 0);
        expect(counters[OFFERED_FRAMES]).toBe(counters[DELIVERED_FRAMES]! + dropped);
        expect(arena.f64[arena.interfaceCounters(0) + RECEIVE_FRAMES]).toBe(counters[OFFERED_FRAMES]);
        expect(plane.pool.used).toBe(0);
        if (!farOffload) for (const { length } of far.written) expect(length).toBeLessThanOrEqual(1518);
      },
    ),
    { numRuns: 300 },
  );
});
