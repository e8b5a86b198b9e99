import { describe, expect, it } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap-writer.ts';
import { parseEthernet } from '../../src/demo/wire/ethernet.ts';
import { parseIpv4Packet } from '../../src/demo/wire/ipv4.ts';
import { parseTcp, TCP_FIN, TCP_SYN, type TcpSegment } from '../../src/demo/wire/tcp.ts';
import { haveTshark, tsharkFields } from '../capture/helper.ts';
import { seededRandom, twoHosts } from './helper.ts';

const B = '198.18.0.2';
const MS = 1e6;
const SECOND = 1e9;

/** The TCP segment in a frame, if there is one. */
function tcpOf(frame: Uint8Array): TcpSegment | undefined {
  const ethernet = parseEthernet(frame);
  const packet = ethernet?.type === 0x0800 ? parseIpv4Packet(ethernet.payload) : undefined;
  return packet?.protocol === 6 ? parseTcp(packet.payload, packet.source, packet.destination) : undefined;
}

/** Loses the first frame for which the test holds. */
function losesFirst(
  matches: (segment: TcpSegment) => boolean,
): (number: number, frame: Uint8Array) => boolean {
  let lost = false;
  return (_number, frame) => {
    const segment = tcpOf(frame);
    if (lost || segment === undefined || !matches(segment)) return false;
    lost = true;
    return true;
  };
}

describe('ARP and ping', () => {
  it('the first ping asks for the address; every reply takes one round trip', () => {
    const { clock, a, sent } = twoHosts({ delayNs: 20 * MS });
    const stats = a.ping(B, { count: 3, intervalNs: 100 * MS });
    clock.run(SECOND);
    expect(stats).toEqual({ sent: 3, received: 3, roundTripsNs: [80 * MS, 40 * MS, 40 * MS] });
    expect(sent.map(({ frame }) => parseEthernet(frame)?.type)).toEqual([
      0x0806, 0x0806, 0x0800, 0x0800, 0x0800, 0x0800, 0x0800, 0x0800,
    ]);
  });

  it('a lost ARP request is sent again', () => {
    const { clock, a } = twoHosts({ loses: (number) => number === 0 });
    const stats = a.ping(B, { count: 1, intervalNs: SECOND });
    clock.run(3 * SECOND);
    expect(stats.received).toBe(1);
  });

  it('nobody is there: three requests, nothing else, and no reply', () => {
    const { clock, a, sent } = twoHosts();
    const stats = a.ping('198.18.0.9', { count: 2, intervalNs: SECOND });
    clock.run(2.5 * SECOND);
    expect(sent).toHaveLength(3);
    expect(stats.received).toBe(0);
  });

  it('lost requests and replies are counted as lost', () => {
    const { clock, a } = twoHosts({ loses: (number) => number === 2 || number === 5 });
    const stats = a.ping(B, { count: 5, intervalNs: 100 * MS });
    clock.run(2 * SECOND);
    expect([stats.sent, stats.received]).toEqual([5, 3]);
  });

  it('frames that are damaged or for others are ignored', () => {
    const { clock, a, b, sent } = twoHosts();
    a.ping(B, { count: 1, intervalNs: SECOND });
    clock.run(SECOND);
    const request = sent[2]?.frame ?? new Uint8Array(0);
    const before = sent.length;
    for (let byte = 0; byte < request.length; byte++) {
      // The source addresses of Ethernet carry no checksum, and are not looked at.
      if (byte >= 6 && byte < 12) continue;
      const damaged = request.slice();
      damaged[byte] = (damaged[byte] ?? 0) ^ 0x40;
      b.receive(damaged);
    }
    for (let length = 0; length < request.length; length++) b.receive(request.subarray(0, length));
    expect(sent.length).toBe(before);
  });
});

describe('TCP', () => {
  it('a transfer arrives whole, and both ends close', () => {
    const { clock, a, b, sent } = twoHosts({ delayNs: 20 * MS });
    const sink = b.listen(80);
    let done = 0;
    const stats = a.transfer(B, 80, 100_000, () => done++);
    clock.run(20 * SECOND);
    expect(stats).toMatchObject({ state: 'done', bytes: 100_000, retransmitted: 0 });
    expect([sink, done]).toEqual([{ connections: 1, bytes: 100_000 }, 1]);
    const fins = sent.filter(({ frame }) => ((tcpOf(frame)?.flags ?? 0) & TCP_FIN) !== 0);
    expect(fins).toHaveLength(2);
  });

  it.each([0, 1, 1460, 1461, 2920])('%i bytes', (bytes) => {
    const { clock, a, b } = twoHosts();
    const sink = b.listen(80);
    const stats = a.transfer(B, 80, bytes);
    clock.run(SECOND);
    expect([stats.state, sink.bytes]).toEqual(['done', bytes]);
  });

  it('a port nobody listens on refuses', () => {
    const { clock, a } = twoHosts();
    const stats = a.transfer(B, 81, 1000);
    clock.run(SECOND);
    expect(stats).toMatchObject({ state: 'failed', bytes: 0 });
  });

  it('a host that does not answer is given up', () => {
    const { clock, a } = twoHosts({ loses: (_number, frame) => tcpOf(frame) !== undefined });
    let done = 0;
    const stats = a.transfer(B, 80, 1000, () => done++);
    clock.run(600 * SECOND);
    expect([stats.state, stats.segments, done]).toEqual(['failed', 9, 1]);
  });

  const handshakeAndEnd: [string, (segment: TcpSegment) => boolean][] = [
    ['SYN', ({ flags }) => flags === TCP_SYN],
    ['SYN-ACK', ({ flags }) => (flags & TCP_SYN) !== 0 && flags !== TCP_SYN],
    ['acknowledgment of the SYN-ACK', ({ flags, payload }) => flags === 16 && payload.length === 0],
    ['first data', ({ payload }) => payload.length > 0],
    ['last data', ({ flags }) => (flags & 8) !== 0],
    ['FIN', ({ flags, destinationPort }) => (flags & TCP_FIN) !== 0 && destinationPort === 80],
    ['FIN of the other end', ({ flags, sourcePort }) => (flags & TCP_FIN) !== 0 && sourcePort === 80],
  ];
  it.each(handshakeAndEnd)('a lost %s is made up for', (_name, matches) => {
    const { clock, a, b } = twoHosts({ delayNs: 10 * MS, loses: losesFirst(matches) });
    const sink = b.listen(80);
    const stats = a.transfer(B, 80, 50_000);
    clock.run(30 * SECOND);
    expect([stats.state, stats.bytes, sink.bytes]).toEqual(['done', 50_000, 50_000]);
  });

  it('one loss in the middle costs one retransmission and no timeout', () => {
    const lost = losesFirst(({ payload, sequence }) => payload.length > 0 && sequence % 3 === 0);
    let count = 0;
    const { clock, a, b } = twoHosts({
      delayNs: 20 * MS,
      loses: (n, frame) => ++count > 100 && lost(n, frame),
    });
    b.listen(80);
    const stats = a.transfer(B, 80, 1_000_000);
    clock.run(20 * SECOND);
    expect([stats.state, stats.retransmitted]).toEqual(['done', 1]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('5 %% loss each way, seed %i: everything arrives, once', (seed) => {
    const random = seededRandom(seed);
    const { clock, a, b } = twoHosts({ delayNs: 20 * MS, loses: () => random() < 0.05 });
    const sink = b.listen(80);
    const stats = a.transfer(B, 80, 500_000);
    clock.run(300 * SECOND);
    expect([stats.state, stats.bytes, sink.bytes]).toEqual(['done', 500_000, 500_000]);
    expect(stats.retransmitted).toBeGreaterThan(0);
  });

  it('1 % loss at 20 ms each way costs what Mathis et al. predict, within a factor of two', () => {
    const random = seededRandom(7);
    const { clock, a, b } = twoHosts({ delayNs: 20 * MS, loses: () => random() < 0.01 });
    b.listen(80);
    const stats = a.transfer(B, 80, 10_000_000);
    clock.run(300 * SECOND);
    const seconds = ((stats.endNs ?? Number.NaN) - stats.startNs) / SECOND;
    const predicted = (1460 / 0.04) * Math.sqrt(1.5 / 0.01);
    expect(10_000_000 / seconds).toBeGreaterThan(predicted / 2);
    expect(10_000_000 / seconds).toBeLessThan(predicted * 2);
  });

  it('a rate limit with a short queue is filled to at least 80 percent', () => {
    const { clock, a, b } = twoHosts({ delayNs: 10 * MS, rateBitsPerSecond: 10e6, limitBytes: 30_000 });
    b.listen(80);
    const stats = a.transfer(B, 80, 5_000_000);
    clock.run(60 * SECOND);
    const seconds = ((stats.endNs ?? Number.NaN) - stats.startNs) / SECOND;
    expect((5_000_000 * 8) / seconds).toBeGreaterThan(8e6);
  });

  it('transfers one after the other, each begun when the one before is done', () => {
    const { clock, a, b } = twoHosts();
    const sink = b.listen(80);
    let left = 20;
    const next = (): void => {
      if (left-- > 0) a.transfer(B, 80, 10_000, next);
    };
    next();
    clock.run(60 * SECOND);
    expect(sink).toEqual({ connections: 20, bytes: 200_000 });
  });
});

it.runIf(haveTshark())('tshark finds every checksum right, and nothing malformed', () => {
  const random = seededRandom(1);
  const { clock, a, b, sent } = twoHosts({ loses: () => random() < 0.02 });
  b.listen(80);
  a.ping(B, { count: 20, intervalNs: 10 * MS, size: 57 });
  a.transfer(B, 80, 99_999);
  a.transfer(B, 81, 1);
  clock.run(20 * SECOND);
  const file = Buffer.concat([
    pcapHeader(1),
    ...sent.map(({ nowNs, frame }) =>
      pcapRecord({
        seconds: Math.floor(nowNs / SECOND),
        nanoseconds: nowNs % SECOND,
        wireLength: frame.length,
        bytes: frame,
      }),
    ),
  ]);
  const checks = ['ip.check_checksum', 'tcp.check_checksum'].flatMap((each) => ['-o', `${each}:TRUE`]);
  const fields = [
    '_ws.col.Protocol',
    'ip.checksum.status',
    'icmp.checksum.status',
    'tcp.checksum.status',
    '_ws.malformed',
  ];
  const kinds = new Set(tsharkFields(file, fields, checks).map((row) => row.join(' ')));
  expect([...kinds].sort()).toEqual(['ARP    ', 'ICMP 1 1  ', 'TCP 1  1 ']);
});
