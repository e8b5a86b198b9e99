import { describe, expect, it } from 'vitest';
import { setHardwareAddress } from '../../src/bpf/bpf-if.ts';
import type { Descriptor } from '../../src/bpf/descriptor.ts';
import {
  DIRECTION_IN,
  DIRECTION_OUT,
  droppedBecause,
  frames,
  TIMESTAMPS,
  type Timestamp,
} from '../../src/bpf/record.ts';
import { type AttachOptions, BPF_VERSION, type DescriptorStatus } from '../../src/bpf/types.ts';
import { assemble, Program } from '../../vm/index.ts';
import { ADDRESS, options, setUp } from './helper.ts';

const all = Program.from([]);
const nothing = assemble('ret #0');
const EVERY = ['in', 'out', 'drop'] as const;

async function open(more: Partial<AttachOptions> = {}) {
  const fixture = setUp();
  const descriptor = await fixture.table.attach(fixture.attachment, { ...options, ...more });
  return { ...fixture, descriptor };
}

describe('a new descriptor', () => {
  it('has the settings that attach() was told, or else these', async () => {
    const { descriptor } = await open();
    expect(descriptor.status()).toMatchObject({
      linkType: 1,
      writeFilter: null,
      promiscuous: true,
      headerComplete: true,
      feedback: false,
      timestamp: 'microtime',
      locked: false,
    });
    const told = {
      promiscuous: false,
      headerComplete: false,
      feedback: true,
      timestamp: 'bintime-monotonic',
    } as const;
    const writeFilter = { filter: 'nothing', program: nothing };
    const { descriptor: other } = await open({ ...told, writeFilter, linkType: 1 });
    expect(other.status()).toMatchObject({ ...told, writeFilter: 'nothing' });
  });

  it('offers the link type of its interface and no other', async () => {
    const { table, attachment, descriptor } = await open();
    expect(descriptor.linkTypes()).toEqual([1]);
    descriptor.setLinkType(1);
    expect(() => descriptor.setLinkType(101)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    await expect(table.attach(attachment, { ...options, linkType: 101 })).rejects.toThrow(/only 1$/);
    await table.detachAll(0);
    expect(() => descriptor.linkTypes()).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  it.each([
    ['direction', 'up', (d: Descriptor) => d.setDirection('up' as 'in')],
    ['timestamp', 'century', (d: Descriptor) => d.setTimestamp('century' as 'none')],
    ['readTimeoutMs', -1, (d: Descriptor) => d.setReadTimeout(-1)],
    ['readTimeoutMs', Number.NaN, (d: Descriptor) => d.setReadTimeout(Number.NaN)],
    ['bufferBytes', 31, undefined],
  ] as const)('has no %s %s: EINVAL, when attaching and later', async (name, value, change) => {
    const { table, attachment, heap, descriptor } = await open();
    const used = heap.usedBytes;
    const wrong = { ...options, [name]: value } as AttachOptions;
    await expect(table.attach(attachment, wrong)).rejects.toMatchObject({ code: 'EINVAL' });
    expect(heap.usedBytes).toBe(used);
    const before = descriptor.status();
    if (change) await expect((async () => change(descriptor))()).rejects.toMatchObject({ code: 'EINVAL' });
    expect(descriptor.status()).toEqual(before);
  });

  it('speaks version 1.1 of the filter language', () => {
    expect(BPF_VERSION).toEqual({ major: 1, minor: 1 });
  });
});

/** The switch over cmd when bd_locked is set, bpfioctl() in sys/net/bpf.c: what it does not name is EPERM. */
const WHEN_LOCKED: readonly [ioctl: string, allowed: boolean, call: (descriptor: Descriptor) => unknown][] = [
  ['BIOCSETF', false, (d) => d.setFilter('', all, false)],
  ['BIOCSETFNR', false, (d) => d.setFilter('', all, true)],
  ['BIOCSETWF', false, (d) => d.setWriteFilter(undefined)],
  ['BIOCSDLT', false, (d) => d.setLinkType(1)],
  ['BIOCPROMISC', false, (d) => d.setPromiscuous(true)],
  ['BIOCSHDRCMPLT', false, (d) => d.setHeaderComplete(true)],
  ['BIOCSDIRECTION', false, (d) => d.setDirection('in')],
  ['BIOCGDLTLIST', true, (d) => d.linkTypes()],
  ['BIOCGSTATS', true, (d) => d.status()],
  ['BIOCFLUSH', true, (d) => d.flush()],
  ['BIOCSTSTAMP', true, (d) => d.setTimestamp('nanotime')],
  ['BIOCFEEDBACK', true, (d) => d.setFeedback(true)],
  ['BIOCSRTIMEOUT', true, (d) => d.setReadTimeout(1)],
  ['BIOCIMMEDIATE', true, (d) => d.setImmediate(true)],
  ['BIOCLOCK', true, (d) => d.lock()],
  ['write(2)', true, (d) => d.write(new Uint8Array(60))],
  ['poll(2)', true, (d) => d.poll(0)],
  ['close(2)', true, (d) => d.close()],
];

describe('a locked descriptor', () => {
  it.each(WHEN_LOCKED)('%s is allowed: %s', async (_ioctl, allowed, call) => {
    const { descriptor } = await open();
    descriptor.lock();
    const before = descriptor.status();
    const outcome = await (async () => call(descriptor))().then(
      () => true,
      (error: { code: string }) => error.code,
    );
    expect(outcome).toBe(allowed || 'EPERM');
    if (!allowed) expect(descriptor.status()).toEqual(before);
    expect(descriptor.status().locked).toBe(true);
  });
});

describe('direction', () => {
  const to = { in: DIRECTION_IN, out: DIRECTION_OUT, drop: droppedBecause(2) };

  it.each([
    ['in', ['in']],
    ['out', ['out']],
    ['inout', ['in', 'out']],
    ['drop', ['drop']],
    ['all', ['in', 'out', 'drop']],
  ] as const)('%s sees %j, and counts no other frame as received', async (direction, expected) => {
    const { descriptor, tap } = await open({ direction });
    for (const each of EVERY) tap(1, to[each]);
    expect(descriptor.status()).toMatchObject({ received: expected.length, accepted: expected.length });
    const seen = [...frames((await descriptor.read())!)];
    expect(seen.map((frame) => frame.direction)).toEqual(expected);
    expect(seen.find((frame) => frame.direction === 'drop')?.dropReason).toBe(
      direction === 'drop' || direction === 'all' ? 2 : undefined,
    );
  });
});

describe('promiscuous', () => {
  const addresses = {
    own: ADDRESS,
    other: Uint8Array.of(2, 0, 0, 0, 0, 2),
    otherStart: Uint8Array.of(6, 0, 0, 0, 0, 1),
    broadcast: new Uint8Array(6).fill(0xff),
    multicast: Uint8Array.of(0x33, 0x33, 0, 0, 0, 1),
  };

  async function seen(promiscuous: boolean, direction: number, address = true) {
    const { arena, descriptor, tap } = await open({ promiscuous: !promiscuous });
    if (address) setHardwareAddress(arena, 0, ADDRESS);
    await descriptor.setPromiscuous(promiscuous);
    for (const destination of Object.values(addresses)) {
      arena.u8.set(destination, arena.frames);
      tap(1, direction, destination[0]!);
    }
    const batch = await descriptor.read();
    const names = [...frames(batch!)].map(({ bytes }) =>
      Object.entries(addresses).find(([, each]) => each.every((byte, i) => byte === bytes[i])),
    );
    expect(descriptor.status().received).toBe(names.length);
    return names.map((name) => name?.[0]);
  }

  it('off, frames to the node are seen if a network card would accept them', async () => {
    expect(await seen(false, DIRECTION_OUT)).toEqual(['own', 'broadcast', 'multicast']);
  });

  it.each([
    ['on, all of them are', true, DIRECTION_OUT, true],
    ['off, everything from the node is', false, DIRECTION_IN, true],
    ['off, all are if the interface has no hardware address', false, DIRECTION_OUT, false],
  ])('%s', async (_what, promiscuous, direction, address) => {
    expect(await seen(promiscuous, direction, address)).toEqual(Object.keys(addresses));
  });

  it('cannot be changed when the interface is gone', async () => {
    const { table, descriptor } = await open();
    await table.detachAll(0);
    await expect(descriptor.setPromiscuous(false)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});

describe('a time stamp', () => {
  it.each(TIMESTAMPS)('of kind %s is of the clock it names', async (timestamp: Timestamp) => {
    const { descriptor, tap } = await open();
    await descriptor.setTimestamp(timestamp);
    tap(2);
    const [, frame] = [...frames((await descriptor.read())!)];
    const expected =
      timestamp === 'none' ? [0, 0] : timestamp.endsWith('monotonic') ? [60, 1] : [1_700_000_000, 1];
    expect(frame).toMatchObject({ timestamp, seconds: expected[0], nanoseconds: expected[1] });
  });

  it('changes with BIOCSTSTAMP from the next frame on', async () => {
    const { descriptor, tap } = await open();
    tap(1);
    await descriptor.setTimestamp('none');
    tap(1);
    expect([...frames((await descriptor.read())!)].map((frame) => frame.timestamp)).toEqual([
      'microtime',
      'none',
    ]);
  });
});

describe('write', () => {
  const frame = (length: number, type = 0x0800): Uint8Array => {
    const bytes = new Uint8Array(length).fill(7);
    if (length >= 14) bytes.set([type >> 8, type & 0xff], 12);
    return bytes;
  };
  const counts = ({ written, writeFiltered, writeDropped }: DescriptorStatus): number[] => [
    written,
    writeFiltered,
    writeDropped,
  ];

  it.each([
    ['an empty frame', 0, 0x0800, 'EINVAL'],
    ['one shorter than a link header', 13, 0x0800, 'EMSGSIZE'],
    ['the MTU and a link header', 1514, 0x0800, undefined],
    ['one byte more', 1515, 0x0800, 'EMSGSIZE'],
    ['the MTU with a VLAN tag', 1518, 0x8100, undefined],
    ['one byte more than that', 1519, 0x88a8, 'EMSGSIZE'],
  ])('%s', async (_what, length, type, code) => {
    const { descriptor, sent } = await open();
    const outcome = await descriptor
      .write(frame(length, type))
      .catch((error: { code: string }) => error.code);
    expect(outcome).toBe(code);
    expect(sent).toHaveLength(code === undefined ? 1 : 0);
    expect(counts(descriptor.status())).toEqual(code === undefined ? [1, 0, 0] : [0, 0, 1]);
  });

  it('is refused with EPERM by the write filter, which sees the frame as it was given', async () => {
    const { descriptor, sent } = await open({ headerComplete: false });
    descriptor.setWriteFilter({
      filter: 'sevens',
      program: assemble('ldb [6]\njeq #7, yes, no\nyes: ret #1\nno: ret #0'),
    });
    await descriptor.write(frame(60));
    await expect(descriptor.write(new Uint8Array(60))).rejects.toMatchObject({ code: 'EPERM' });
    expect(sent).toHaveLength(1);
    expect(counts(descriptor.status())).toEqual([1, 1, 0]);
    descriptor.setWriteFilter(undefined);
    await descriptor.write(new Uint8Array(60));
    await descriptor.flush();
    expect(counts(descriptor.status())).toEqual([0, 0, 0]);
  });

  it('fills in the source address unless the header is complete', async () => {
    const { descriptor, sent } = await open();
    const given = frame(60);
    await descriptor.write(given);
    descriptor.setHeaderComplete(false);
    await descriptor.write(given);
    expect(sent.map(({ frame: each }) => [...each.subarray(6, 12)])).toEqual([
      [7, 7, 7, 7, 7, 7],
      [...ADDRESS],
    ]);
    expect(given).toEqual(frame(60));
  });

  it.each([
    ['inout', false, { shown: true, feedback: false }],
    ['inout', true, { shown: false, feedback: true }],
    ['all', true, { shown: false, feedback: true }],
    ['in', true, { shown: true, feedback: true }],
    ['out', true, { shown: true, feedback: true }],
  ] as const)('with direction %s and feedback %s is sent %j', async (direction, feedback, expected) => {
    const { descriptor, sent } = await open({ direction });
    descriptor.setFeedback(feedback);
    await descriptor.write(frame(60));
    expect(sent[0]!.how).toEqual(expected);
  });

  it('is ENXIO once the interface is gone or the descriptor closed', async () => {
    const { table, descriptor } = await open();
    await table.detachAll(0);
    await expect(descriptor.write(frame(60))).rejects.toMatchObject({ code: 'ENXIO' });
    await descriptor.close();
    await expect(descriptor.write(frame(60))).rejects.toMatchObject({ code: 'ENXIO' });
  });
});
