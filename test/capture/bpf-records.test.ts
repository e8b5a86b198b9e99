import { describe, expect, it } from 'vitest';
import { bpfHeaderLength, bpfRecords } from '../../src/capture/bpf-records.ts';
import { JsonLines } from '../../src/capture/json-lines.ts';
import { batchOf, ethernetFrame } from './helper.ts';

describe('bpf(4) records, as FreeBSD writes them on amd64', () => {
  it.each([
    [1, 'EN10MB', 26],
    [101, 'RAW', 32],
    [228, 'IPV4', 32],
  ])('for link type %i (%s) bh_hdrlen is %i, as bpf_hdrlen() computes it', (linkType, _name, expected) => {
    expect(bpfHeaderLength(linkType)).toBe(expected);
  });

  it('a record has timeval in microseconds, both lengths, and zeros up to the next word', () => {
    const batch = batchOf({
      seconds: 1_700_000_000,
      nanoseconds: 123_456_789,
      wireLength: 1514,
      bytes: Uint8Array.of(1, 2, 3),
    });
    expect(bpfRecords(batch, 1).toString('hex')).toBe(
      ['00f1536500000000', '40e2010000000000', '03000000', 'ea050000', '1a00', '010203', '000000'].join(''),
    );
  });

  // bh_tstamp of 1,700,000,000.123456789 s, written by hand: tv_sec or bt_sec, then tv_usec or bt_frac.
  it.each([
    ['microtime', 123_456_789, '00f1536500000000 40e2010000000000'],
    ['nanotime', 123_456_789, '00f1536500000000 15cd5b0700000000'],
    ['bintime', 123_456_789, '00f1536500000000 325f633937dd9a1f'],
    ['bintime', 500_000_000, '00f1536500000000 0000000000000080'],
    ['bintime', 1, '00f1536500000000 0afa824b04000000'],
    ['bintime', 0, '00f1536500000000 0000000000000000'],
    ['bintime', 999_999_999, '00f1536500000000 f7057db4fbffffff'],
    ['microtime-monotonic', 999_999_999, '00f1536500000000 3f420f0000000000'],
    ['nanotime-monotonic', 999_999_999, '00f1536500000000 ffc99a3b00000000'],
    ['none', 0, '00f1536500000000 0000000000000000'],
  ] as const)('a time stamp of kind %s and %i ns reads %s', (timestamp, nanoseconds, expected) => {
    const batch = batchOf({ seconds: 1_700_000_000, nanoseconds, bytes: Uint8Array.of(1), timestamp });
    const record = bpfRecords(batch, 1);
    expect(record.toString('hex', 0, 16)).toBe(expected.replace(' ', ''));
    // bpf_hdr and bpf_xhdr look alike from here on.
    expect(record.toString('hex', 16)).toBe(['01000000', '01000000', '1a00', '01', '0000000000'].join(''));
  });

  it('a binary fraction rounded down to nanoseconds is the time stamp again', () => {
    for (const nanoseconds of [1, 2, 3, 333_333_333, 123_456_789, 999_999_998]) {
      const batch = batchOf({ nanoseconds, bytes: new Uint8Array(0), timestamp: 'bintime' });
      const fraction = bpfRecords(batch, 1).readBigUInt64LE(8);
      expect(Number((fraction * 1_000_000_000n) >> 64n)).toBe(nanoseconds);
    }
  });

  it('without a link header the frame begins on the word after the header', () => {
    const record = bpfRecords(batchOf({ bytes: Uint8Array.of(0x45) }), 101);
    expect(record.readUInt16LE(24)).toBe(32);
    expect(record.subarray(26, 32)).toEqual(Buffer.alloc(6));
    expect(record[32]).toBe(0x45);
    expect(record.length).toBe(40);
  });

  it('a reader that steps by BPF_WORDALIGN(bh_hdrlen + bh_caplen) meets every frame', () => {
    const lengths = [14, 15, 21, 22, 23, 60, 1514];
    const records = bpfRecords(batchOf(...lengths.map((length) => ({ bytes: ethernetFrame(length) }))), 1);
    const seen: number[] = [];
    for (let at = 0; at < records.length; ) {
      const captured = records.readUInt32LE(at + 16);
      const header = records.readUInt16LE(at + 24);
      expect(records.subarray(at + header, at + header + captured)).toEqual(
        Buffer.from(ethernetFrame(captured)),
      );
      seen.push(captured);
      at += (header + captured + 7) & ~7;
    }
    expect(seen).toEqual(lengths);
  });
});

describe('JSON lines', () => {
  it('one frame a line, time to the nanosecond, data in base64', () => {
    const batch = batchOf(
      { seconds: 1_700_000_000, nanoseconds: 7, wireLength: 1514, bytes: Uint8Array.of(1, 2, 3) },
      { seconds: 1_700_000_001, nanoseconds: 123_456_789, direction: 'out', bytes: new Uint8Array(0) },
    );
    const lines = new JsonLines('knoten-ä:eth0').batch(batch).toString('utf8').split('\n');
    expect(lines.pop()).toBe('');
    const common = { interface: 'knoten-ä:eth0' };
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        ...common,
        time: '2023-11-14T22:13:20.000000007Z',
        direction: 'in',
        length: 1514,
        captured: 3,
        data: 'AQID',
      },
      {
        ...common,
        time: '2023-11-14T22:13:21.123456789Z',
        direction: 'out',
        length: 0,
        captured: 0,
        data: '',
      },
    ]);
  });
});
