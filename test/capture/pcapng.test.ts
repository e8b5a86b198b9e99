import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encoder } from '../../src/capture/formats.ts';
import { PacketBlocks } from '../../src/capture/packet-blocks.ts';
import { enhancedPacket, interfaceDescription, sectionHeader } from '../../src/capture/pcapng.ts';
import { CaptureReader } from '../../src/capture/reader.ts';
import { batchOf, ethernetFrame, haveTshark, tsharkFields, withFile } from './helper.ts';

const META = { application: 'taplab 1.2.3', interface: 'a:eth0', linkType: 1, filter: 'tcp port 80' };
const AT = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const STATISTICS = {
  start: AT,
  end: { seconds: 1_700_000_009, nanoseconds: 5 },
  received: 5_000_000_000,
  interfaceDropped: 0,
  accepted: 7,
  dropped: 3,
  delivered: 4,
};

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('blocks, byte by byte', () => {
  it('a section header has the byte-order magic, version 1.0, an open length, and its options padded', () => {
    expect(hex(sectionHeader({ application: 'taplab' }))).toBe(
      ['0a0d0d0a', '2c000000', '4d3c2b1a', '0100', '0000', 'ffffffffffffffff'].join('') +
        ['0400', '0600', '7461706c61620000', '00000000', '2c000000'].join(''),
    );
  });

  it('an interface description has link type, snap length, nanosecond resolution, and the filter as a string', () => {
    expect(hex(interfaceDescription({ linkType: 101, snapLength: 96, filter: 'ip' }))).toBe(
      ['01000000', '28000000', '6500', '0000', '60000000'].join('') +
        ['0900', '0100', '09000000', '0b00', '0300', '00697000', '00000000', '28000000'].join(''),
    );
  });

  it('an enhanced packet has its time in nanoseconds, both lengths, padding of zeros and the direction', () => {
    const batch = batchOf({ ...AT, bytes: Uint8Array.of(1, 2, 3, 4, 5), wireLength: 60, direction: 'out' });
    // printf %x 1700000000123456789 = 17979cfe3d85cd15
    expect(hex(new PacketBlocks(1).batch(batch))).toBe(
      ['06000000', '34000000', '01000000', 'fe9c9717', '15cd853d'].join('') +
        ['05000000', '3c000000', '0102030405000000', '0200', '0400', '02000000', '00000000', '34000000'].join(
          '',
        ),
    );
  });

  it('a frame without bytes is a packet without data', () => {
    const batch = batchOf({ ...AT, bytes: new Uint8Array(0), wireLength: 60, direction: 'in' });
    expect(hex(new PacketBlocks().batch(batch)).slice(40)).toBe(
      '000000003c000000020004000100000000000000' + '2c000000',
    );
  });

  it('text longer than an option can hold is cut, and the block stays whole', () => {
    const long = interfaceDescription({ linkType: 1, snapLength: 0, name: 'n'.repeat(70_000) });
    expect(long.readUInt32LE(long.length - 4)).toBe(long.length);
    expect(long.readUInt16LE(18)).toBe(65_535);
  });
});

it('a batch gives the same blocks as its frames one by one', () => {
  const lengths = [0, 1, 2, 3, 4, 5, 60, 1514];
  const framesOf = lengths.map((length, index) => ({
    seconds: 1_700_000_000 + index,
    nanoseconds: 999_999_999 - index,
    direction: index % 2 === 0 ? ('in' as const) : ('out' as const),
    wireLength: length + index,
    bytes: new Uint8Array(length).fill(index + 1),
  }));
  expect(hex(new PacketBlocks().batch(batchOf(...framesOf)))).toBe(
    hex(Buffer.concat(framesOf.map((frame) => enhancedPacket(frame)))),
  );
});

it('time stamps survive to the nanosecond over the whole range of 32-bit seconds', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(999_999_999), (seconds, nanoseconds) => {
      const block = new PacketBlocks().batch(batchOf({ seconds, nanoseconds, bytes: ethernetFrame(20) }));
      const written = (BigInt(block.readUInt32LE(12)) << 32n) | BigInt(block.readUInt32LE(16));
      expect(written).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
    }),
  );
});

it('what the encoder writes, the reader reads', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          seconds: fc.nat(0xffff_ffff),
          nanoseconds: fc.nat(999_999_999),
          direction: fc.constantFrom('in' as const, 'out' as const),
          wireLength: fc.nat(70_000),
          bytes: fc.uint8Array({ maxLength: 100 }),
        }),
      ),
      (framesOf) => {
        const format = encoder('pcapng', META);
        const reader = new CaptureReader();
        reader.push(format.header());
        reader.push(format.batch(batchOf(...framesOf)));
        reader.push(format.trailer(STATISTICS));
        const packets = [];
        for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet);
        reader.end();
        expect(
          packets.map(({ bytes, flags, ...rest }) => ({
            ...rest,
            bytes: hex(bytes),
            direction: flags === 1 ? 'in' : 'out',
          })),
        ).toEqual(
          framesOf.map(({ bytes, ...rest }) => ({
            ...rest,
            bytes: hex(bytes),
            linkType: 1,
            interfaceId: 0,
            interfaceName: 'a:eth0',
          })),
        );
      },
    ),
  );
});

describe.runIf(haveTshark())('as tshark reads it', () => {
  const format = encoder('pcapng', META);
  const batch = batchOf(
    { ...AT, direction: 'in', bytes: ethernetFrame(60), wireLength: 1514 },
    { seconds: 1_700_000_001, nanoseconds: 1, direction: 'out', bytes: ethernetFrame(61) },
  );
  const commented = enhancedPacket({
    ...AT,
    bytes: ethernetFrame(60),
    wireLength: 60,
    direction: 'in',
    comment: 'lost by the link',
  });
  const file = Buffer.concat([format.header(), format.batch(batch), commented, format.trailer(STATISTICS)]);

  it('times, lengths, directions, interface and comment are what was written', () => {
    const fields = ['frame.time_epoch', 'frame.len', 'frame.cap_len', 'frame.packet_flags_direction'];
    const rows = tsharkFields(file, [...fields, 'frame.interface_name', 'frame.comment']);
    const direction = (text: string | undefined) => Number(text);
    expect(
      rows.map(([time, length, captured, flags, name, comment]) => [
        time,
        length,
        captured,
        direction(flags),
        name,
        comment,
      ]),
    ).toEqual([
      ['1700000000.123456789', '1514', '60', 1, 'a:eth0', ''],
      ['1700000001.000000001', '61', '61', 2, 'a:eth0', ''],
      ['1700000000.123456789', '60', '60', 1, 'a:eth0', 'lost by the link'],
    ]);
  });

  it('capinfos shows the application, the filter and the drops', () => {
    const text = withFile(file, (path) => spawnSync('capinfos', [path]).stdout.toString());
    expect(text).toContain('taplab 1.2.3');
    expect(text).toContain('Filter string = tcp port 80');
    expect(text).toContain('Time precision = nanoseconds (9)');
    expect(text).toMatch(/Number of stat entries = 1/);
  });

  it('a file without its statistics, as after a kill, opens all the same', () => {
    const unfinished = Buffer.concat([format.header(), format.batch(batch)]);
    expect(tsharkFields(unfinished, ['frame.len'])).toEqual([['1514'], ['61']]);
  });
});
