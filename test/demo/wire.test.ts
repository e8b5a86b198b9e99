import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIpv4, parseIpv4, parseMac } from '../../src/demo/wire/address.ts';
import { emitArp, parseArp } from '../../src/demo/wire/arp.ts';
import { checksum, sum } from '../../src/demo/wire/checksum.ts';
import { emitEthernet, parseEthernet } from '../../src/demo/wire/ethernet.ts';
import { emitIcmpEcho, parseIcmpEcho } from '../../src/demo/wire/icmp.ts';
import { emitIpv4Packet, parseIpv4Packet } from '../../src/demo/wire/ipv4.ts';
import { emitTcp, parseTcp } from '../../src/demo/wire/tcp.ts';

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);
const mac = fc.nat(0xffff_ffff_ffff);
const payload = fc.uint8Array({ maxLength: 64 });

describe('what is emitted is parsed again', () => {
  it('Ethernet', () => {
    fc.assert(
      fc.property(fc.record({ destination: mac, source: mac, type: u16, payload }), (frame) => {
        expect(parseEthernet(emitEthernet(frame))).toEqual(frame);
      }),
    );
  });
  it('ARP', () => {
    const packet = { operation: u16, senderMac: mac, senderAddress: u32, targetMac: mac, targetAddress: u32 };
    fc.assert(fc.property(fc.record(packet), (each) => void expect(parseArp(emitArp(each))).toEqual(each)));
  });
  it('IPv4', () => {
    const packet = { source: u32, destination: u32, protocol: fc.nat(255), identification: u16, payload };
    fc.assert(
      fc.property(fc.record(packet), (each) => {
        expect(parseIpv4Packet(emitIpv4Packet(each))).toEqual(each);
      }),
    );
  });
  it('ICMP echo', () => {
    const echo = { type: fc.constantFrom(0 as const, 8 as const), identifier: u16, sequence: u16, payload };
    fc.assert(
      fc.property(fc.record(echo), (each) => void expect(parseIcmpEcho(emitIcmpEcho(each))).toEqual(each)),
    );
  });
  it('TCP', () => {
    const words = { sourcePort: u16, destinationPort: u16, sequence: u32, acknowledgment: u32 };
    const segment = fc.record({ ...words, flags: fc.nat(63), window: u16, payload });
    fc.assert(
      fc.property(segment, u32, u32, fc.option(u16, { nil: undefined }), (each, from, to, mss) => {
        const option = mss === undefined ? {} : { maximumSegmentSize: mss };
        expect(parseTcp(emitTcp({ ...each, ...option }, from, to), from, to)).toEqual(each);
      }),
    );
  });
});

describe('a damaged or shortened packet is refused', () => {
  const parsers: [string, (bytes: Uint8Array) => unknown, Uint8Array][] = [
    [
      'IPv4 header',
      (bytes) => parseIpv4Packet(bytes),
      emitIpv4Packet({
        source: 1,
        destination: 2,
        protocol: 3,
        identification: 4,
        payload: new Uint8Array(0),
      }),
    ],
    [
      'ICMP',
      (bytes) => parseIcmpEcho(bytes),
      emitIcmpEcho({ type: 8, identifier: 1, sequence: 2, payload: Uint8Array.of(1, 2, 3) }),
    ],
    [
      'TCP',
      (bytes) => parseTcp(bytes, 1, 2),
      emitTcp(
        {
          sourcePort: 1,
          destinationPort: 2,
          sequence: 3,
          acknowledgment: 4,
          flags: 16,
          window: 5,
          payload: Uint8Array.of(1, 2, 3),
        },
        1,
        2,
      ),
    ],
  ];
  it.each(parsers)('%s: any bit flipped, any length cut', (_name, parse, bytes) => {
    expect(parse(bytes)).toBeDefined();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(parse(damaged), `bit ${bit}`).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(parse(bytes.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
  });
  it('TCP for another address', () => {
    const segment = emitTcp(
      {
        sourcePort: 1,
        destinationPort: 2,
        sequence: 3,
        acknowledgment: 4,
        flags: 16,
        window: 5,
        payload: new Uint8Array(0),
      },
      1,
      2,
    );
    expect(parseTcp(segment, 1, 3)).toBeUndefined();
  });
});

it('the checksum is that of RFC 1071, section 3', () => {
  const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  expect(checksum(sum(example))).toBe(~0xddf2 & 0xffff);
});

describe('addresses', () => {
  it('are read and written', () => {
    expect(formatIpv4(parseIpv4('198.18.0.255'))).toBe('198.18.0.255');
    expect(parseMac('02:00:00:00:00:0a')).toBe(0x02_00_00_00_00_0a);
  });
  it.each(['1.2.3', '1.2.3.4.5', '1.2.3.256', '1.2.3.-4', 'a.b.c.d', ''])(
    '"%s" is no IPv4 address',
    (text) => {
      expect(() => parseIpv4(text)).toThrow(TypeError);
    },
  );
  it.each(['02:00:00:00:00', '02-00-00-00-00-01', 'gg:00:00:00:00:00', ''])(
    '"%s" is no MAC address',
    (text) => {
      expect(() => parseMac(text)).toThrow(TypeError);
    },
  );
});
