import { createReadStream, existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CaptureFormatError, type CapturePacket } from '../../src/capture/packet.ts';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap-writer.ts';
import { enhancedPacket, interfaceDescription, sectionHeader } from '../../src/capture/pcapng.ts';
import { CaptureReader, readCapture } from '../../src/capture/reader.ts';
import { ethernetFrame, haveTshark, tsharkFields } from './helper.ts';

const CORPUS = '../shared/vectors/corpus-en10mb.pcap';
const MIB = 1024 * 1024;

/** Words of either byte order, or raw bytes, one after the other. */
type Piece = number | { u16: number } | { u64: bigint } | Uint8Array;

function bytesOf(bigEndian: boolean, ...pieces: Piece[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => {
      if (piece instanceof Uint8Array) return piece;
      const out = Buffer.alloc(typeof piece === 'number' ? 4 : 'u16' in piece ? 2 : 8);
      if (typeof piece === 'number') bigEndian ? out.writeUInt32BE(piece) : out.writeUInt32LE(piece);
      else if ('u16' in piece) bigEndian ? out.writeUInt16BE(piece.u16) : out.writeUInt16LE(piece.u16);
      else bigEndian ? out.writeBigUInt64BE(piece.u64) : out.writeBigUInt64LE(piece.u64);
      return out;
    }),
  );
}

function blockOf(bigEndian: boolean, type: number, ...body: Piece[]): Buffer {
  const inside = bytesOf(bigEndian, ...body);
  return bytesOf(bigEndian, type, inside.length + 12, inside, inside.length + 12);
}

function sectionOf(bigEndian: boolean): Buffer {
  return blockOf(bigEndian, 0x0a0d0d0a, 0x1a2b3c4d, { u16: 1 }, { u16: 0 }, { u64: 2n ** 64n - 1n });
}

function interfaceOf(bigEndian: boolean, linkType: number, snapLength: number, ...options: Piece[]): Buffer {
  return blockOf(bigEndian, 1, { u16: linkType }, { u16: 0 }, snapLength, ...options);
}

/** Everything a capture holds, given to the reader `step` bytes at a time. */
function readAll(capture: Uint8Array, step: number = capture.length): CapturePacket[] {
  const reader = new CaptureReader();
  const packets: CapturePacket[] = [];
  for (let at = 0; at < capture.length; at += step) {
    reader.push(capture.subarray(at, at + step));
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet);
  }
  reader.end();
  return packets;
}

const FRAME = ethernetFrame(21, 7);
const PADDED = Buffer.concat([FRAME, Buffer.alloc(3)]);

describe('classic pcap', () => {
  const cases = [
    { name: 'microseconds', magic: 0xa1b2c3d4, fraction: 123_456, nanoseconds: 123_456_000 },
    { name: 'nanoseconds', magic: 0xa1b23c4d, fraction: 123_456_789, nanoseconds: 123_456_789 },
  ].flatMap((each) => [true, false].map((bigEndian) => ({ ...each, bigEndian })));

  it.each(cases)('$name, big-endian: $bigEndian', ({ magic, fraction, nanoseconds, bigEndian }) => {
    const head = [magic, { u16: 2 }, { u16: 4 }, 0, 0, 65_535, 101];
    const file = bytesOf(bigEndian, ...head, 1_700_000_000, fraction, FRAME.length, 1514, FRAME);
    expect(readAll(file)).toEqual([
      {
        linkType: 101,
        seconds: 1_700_000_000,
        nanoseconds,
        wireLength: 1514,
        bytes: FRAME,
        interfaceName: undefined,
        flags: undefined,
      },
    ]);
  });

  it('what the writer writes, the reader reads, and tshark too', () => {
    const packet = {
      seconds: 1_700_000_000,
      nanoseconds: 987_654_321,
      wireLength: 60,
      bytes: ethernetFrame(60),
    };
    const file = Buffer.concat([
      pcapHeader(1),
      pcapRecord(packet),
      pcapRecord({ ...packet, wireLength: 1514 }),
    ]);
    expect(readAll(file).map(({ nanoseconds, wireLength }) => [nanoseconds, wireLength])).toEqual([
      [987_654_321, 60],
      [987_654_321, 1514],
    ]);
    if (haveTshark()) {
      expect(tsharkFields(file, ['frame.time_epoch', 'frame.len'])).toEqual([
        ['1700000000.987654321', '60'],
        ['1700000000.987654321', '1514'],
      ]);
    }
  });
});

describe.each([true, false])('pcapng, big-endian: %s', (bigEndian) => {
  const section = sectionOf(bigEndian);
  const packetWords = (high: number, low: number) => [high, low, FRAME.length, 1514, PADDED];

  it.each([
    { name: 'by default microseconds', resolution: [], high: 0, low: 1_500_000, time: [1, 500_000_000] },
    { name: '10^-9', resolution: [9], high: 1, low: 5, time: [4, 294_967_301] },
    { name: '10^0', resolution: [0], high: 0, low: 77, time: [77, 0] },
    { name: '10^-12', resolution: [12], high: 1_000, low: 7_999, time: [4, 294_967_303] },
    { name: '2^-10', resolution: [0x8a], high: 0, low: 1024 + 256, time: [1, 250_000_000] },
  ])('a time stamp in units of $name', ({ resolution, high, low, time }) => {
    const option = resolution.map((value) =>
      bytesOf(bigEndian, { u16: 9 }, { u16: 1 }, Uint8Array.of(value, 0, 0, 0)),
    );
    const file = Buffer.concat([
      section,
      interfaceOf(bigEndian, 1, 0, ...option),
      blockOf(bigEndian, 6, 0, ...packetWords(high, low)),
    ]);
    expect(readAll(file).map(({ seconds, nanoseconds }) => [seconds, nanoseconds])).toEqual([time]);
  });

  it('if_tsoffset is added to the seconds', () => {
    const offset = [{ u16: 14 }, { u16: 8 }, { u64: 1_700_000_000n }];
    const file = Buffer.concat([
      section,
      interfaceOf(bigEndian, 1, 0, ...offset),
      blockOf(bigEndian, 6, 0, ...packetWords(0, 2_000_000)),
    ]);
    expect(readAll(file)[0]?.seconds).toBe(1_700_000_002);
  });

  it('packets of all three kinds, names, flags, and unknown blocks between them', () => {
    const name = [{ u16: 2 }, { u16: 4 }, Buffer.from('eth0'), 0];
    const comment = [{ u16: 1 }, { u16: 2 }, Buffer.from('hi\0\0')];
    const flags = [{ u16: 2 }, { u16: 4 }, 2, 0];
    const file = Buffer.concat([
      section,
      interfaceOf(bigEndian, 101, 20, ...name),
      interfaceOf(bigEndian, 1, 0),
      blockOf(bigEndian, 0x0bad, 1, 2, 3),
      blockOf(bigEndian, 6, 1, ...packetWords(0, 1), ...comment, ...flags),
      blockOf(bigEndian, 3, 1514, FRAME.subarray(0, 20)),
      blockOf(bigEndian, 2, { u16: 0 }, { u16: 9 }, ...packetWords(0, 1)),
    ]);
    expect(
      readAll(file).map((packet) => [
        packet.linkType,
        packet.interfaceName,
        packet.flags,
        packet.bytes.length,
        packet.wireLength,
      ]),
    ).toEqual([
      [1, undefined, 2, 21, 1514],
      [101, 'eth0', undefined, 20, 1514],
      [101, 'eth0', undefined, 21, 1514],
    ]);
  });

  it('a second section has its own byte order and interfaces', () => {
    const packet = (order: boolean) => blockOf(order, 6, 0, ...packetWords(0, 1));
    const file = Buffer.concat([
      section,
      interfaceOf(bigEndian, 1, 0),
      packet(bigEndian),
      sectionOf(!bigEndian),
      interfaceOf(!bigEndian, 101, 0),
      packet(!bigEndian),
    ]);
    expect(readAll(file).map(({ linkType }) => linkType)).toEqual([1, 101]);
  });
});

describe('what is not a capture is refused with its offset', () => {
  const section = sectionOf(false);
  const described = Buffer.concat([section, interfaceOf(false, 1, 0)]);
  const at = described.length;
  const pcap = pcapHeader(1);
  it.each([
    ['nothing', new Uint8Array(0), 0, /the file is empty/],
    ['three bytes', Buffer.from('abc'), 0, /no capture: it has only 3 bytes/],
    ['text', Buffer.from('hello, world'), 0, /neither pcap nor pcapng: it begins with 68 65 6c 6c/],
    [
      'an old pcap version',
      bytesOf(false, 0xa1b2c3d4, { u16: 1 }, { u16: 9 }, 0, 0, 0, 1),
      4,
      /version 1\.9/,
    ],
    [
      'a pcap record of 4 GB',
      Buffer.concat([pcap, bytesOf(false, 0, 0, 0xffff_ffff, 60)]),
      24,
      /4294967295 captured/,
    ],
    [
      'half a pcap record',
      Buffer.concat([pcap, bytesOf(false, 0, 0, 60, 60, 1)]),
      24,
      /cut short.*20 bytes of a packet/,
    ],
    ['half a pcap header', pcap.subarray(0, 10), 0, /cut short.*10 bytes of a file header/],
    [
      'no byte-order magic',
      Buffer.concat([section, blockOf(false, 0x0a0d0d0a, 1, 2)]),
      28,
      /byte-order magic/,
    ],
    [
      'another major version',
      blockOf(false, 0x0a0d0d0a, 0x1a2b3c4d, { u16: 2 }, { u16: 0 }, 0, 0),
      0,
      /version 2/,
    ],
    ['a block of 4 GB', Buffer.concat([section, bytesOf(false, 6, 0xffff_fffc, 0)]), 28, /length 4294967292/],
    ['an odd block length', Buffer.concat([section, bytesOf(false, 6, 33, 0)]), 28, /length 33/],
    [
      'lengths that disagree',
      Buffer.concat([section, bytesOf(false, 9, 16, 0, 12)]),
      28,
      /length 16 and ends with length 12/,
    ],
    [
      'a packet of no interface',
      Buffer.concat([section, blockOf(false, 6, 0, 0, 0, 0, 0)]),
      28,
      /names interface 0/,
    ],
    [
      'a packet larger than its block',
      Buffer.concat([described, blockOf(false, 6, 0, 0, 0, 5, 5, 0)]),
      at,
      /5 captured bytes, its block has room for 4/,
    ],
    [
      'a packet block without its fields',
      Buffer.concat([described, blockOf(false, 6, 0)]),
      at,
      /at least 32/,
    ],
    [
      'an option past the end',
      Buffer.concat([described, blockOf(false, 6, 0, 0, 0, 0, 0, { u16: 2 }, { u16: 9 })]),
      at + 28,
      /option 2 has length 9/,
    ],
    [
      'a resolution below 64 bits',
      Buffer.concat([section, interfaceOf(false, 1, 0, { u16: 9 }, { u16: 1 }, 127)]),
      28,
      /if_tsresol 0x7f/,
    ],
    ['half a block', described.subarray(0, at - 4), 28, /cut short.*16 bytes of a block/],
  ])('%s', (_name, capture, offset, message) => {
    let caught: unknown;
    try {
      readAll(capture);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CaptureFormatError);
    expect(caught).toMatchObject({ offset, message: expect.stringMatching(message) });
  });

  it('the packets before the damage are given out', async () => {
    const packet = { seconds: 1, nanoseconds: 2, wireLength: 21, bytes: FRAME };
    const file = Buffer.concat([pcapHeader(1), pcapRecord(packet), pcapRecord(packet).subarray(0, 20)]);
    const seen: CapturePacket[] = [];
    const reading = (async () => {
      for await (const each of readCapture(
        (async function* () {
          yield file;
        })(),
      ))
        seen.push(each);
    })();
    await expect(reading).rejects.toThrow(/at byte 61: the file is cut short/);
    expect(seen).toHaveLength(1);
  });
});

it('chunks of any size give the same packets', () => {
  const file = Buffer.concat([
    sectionHeader({}),
    interfaceDescription({ linkType: 1, snapLength: 0, name: 'a:eth0' }),
    ...[0, 1, 60, 1514].map((length) =>
      enhancedPacket({
        seconds: length,
        nanoseconds: 1,
        wireLength: length,
        bytes: new Uint8Array(length).fill(length),
      }),
    ),
  ]);
  const whole = readAll(file);
  expect(whole).toHaveLength(4);
  for (const step of [1, 3, 4, 7, 100, 1000]) expect(readAll(file, step)).toEqual(whole);
});

it('random bytes, alone or behind a header, never do anything but give packets or a CaptureFormatError', () => {
  const heads = [
    new Uint8Array(0),
    pcapHeader(1),
    Buffer.concat([sectionOf(true), interfaceOf(true, 1, 0)]),
    sectionOf(false),
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...heads),
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      (head, tail, step) => {
        try {
          readAll(Buffer.concat([head, tail]), step);
        } catch (error) {
          expect(error).toBeInstanceOf(CaptureFormatError);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

it('a large block that arrives in small chunks is read in a time that grows with its size only', () => {
  const file = Buffer.concat([sectionOf(false), blockOf(false, 0x0bad, Buffer.alloc(15 * MIB))]);
  const begin = performance.now();
  expect(readAll(file, 4096)).toEqual([]);
  expect(performance.now() - begin).toBeLessThan(2000);
});

it.runIf(existsSync(CORPUS))('the capture corpus gives the packets tshark finds', async () => {
  const packets: CapturePacket[] = [];
  for await (const packet of readCapture(createReadStream(CORPUS))) packets.push(packet);
  expect(packets.length).toBeGreaterThan(0);
  if (!haveTshark()) return;
  const { readFileSync } = await import('node:fs');
  const rows = tsharkFields(readFileSync(CORPUS), ['frame.time_epoch', 'frame.len', 'frame.cap_len']);
  expect(
    packets.map(({ seconds, nanoseconds, wireLength, bytes }) => [
      `${seconds}.${String(nanoseconds).padStart(9, '0')}`,
      String(wireLength),
      String(bytes.length),
    ]),
  ).toEqual(rows);
});
if (!existsSync(CORPUS)) console.log(`skipped: the capture corpus, ${CORPUS} is not there`);
