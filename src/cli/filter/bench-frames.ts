/** The frames `taplab filter bench` measures with: a fixed mixture of what an Ethernet segment carries. Pure. */

const FRAME_COUNT = 256;
const SEED = 7;
const MIN_FRAME = 60;
const MAX_FRAME = 1514;
/** Ports that filters ask for, on a quarter of the packets' ends. */
const KNOWN_PORTS: readonly number[] = [22, 53, 80, 123, 443, 5353, 8080];
/** 198.18.0.0, the network for benchmarks (RFC 2544). */
const NETWORK = 0xc6120000;

type Random = (limit: number) => number;

/** EtherType, IP protocol and weight of each kind: TCP and UDP make up most of it, over IPv4 more than over IPv6. */
const KINDS: readonly (readonly [etherType: number, protocol: number, weight: number])[] = [
  [0x0800, 6, 9],
  [0x0800, 17, 5],
  [0x86dd, 6, 2],
  [0x86dd, 17, 2],
  [0x0800, 1, 1],
  [0x0806, 0, 1],
];

/** The frames, in order; always the same. */
export function benchFrames(): Uint8Array[] {
  const random = xorshift(SEED);
  const bag = KINDS.flatMap((kind) => Array.from({ length: kind[2] }, () => kind));
  return Array.from({ length: FRAME_COUNT }, () => {
    const [etherType, protocol] = bag[random(bag.length)]!;
    return frame(etherType, protocol, random);
  });
}

function xorshift(seed: number): Random {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function frame(etherType: number, protocol: number, random: Random): Uint8Array {
  const bytes = new Uint8Array(random(3) === 0 ? MAX_FRAME : MIN_FRAME + random(200));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 12; i++) bytes[i] = i % 6 === 0 ? 0x02 : random(256);
  view.setUint16(12, etherType);
  if (etherType === 0x0806) writeArp(view, random);
  else if (etherType === 0x0800) writeIpv4(view, protocol, random);
  else writeIpv6(view, protocol, random);
  return bytes;
}

function writeArp(view: DataView, random: Random): void {
  view.setUint32(14, 0x00010800);
  view.setUint32(18, 0x06040001);
  view.setUint32(28, NETWORK + random(512));
  view.setUint32(38, NETWORK + random(512));
}

function writeIpv4(view: DataView, protocol: number, random: Random): void {
  view.setUint8(14, 0x45);
  view.setUint16(16, view.byteLength - 14);
  // One in twenty is a later fragment, the others must not be fragmented.
  view.setUint16(20, random(20) === 0 ? 0x00b9 : 0x4000);
  view.setUint8(22, 64);
  view.setUint8(23, protocol);
  view.setUint32(26, NETWORK + random(512));
  view.setUint32(30, NETWORK + random(512));
  writeTransport(view, 34, protocol, random);
}

function writeIpv6(view: DataView, protocol: number, random: Random): void {
  view.setUint8(14, 0x60);
  view.setUint16(18, view.byteLength - 54);
  view.setUint8(20, protocol);
  view.setUint8(21, 64);
  for (const address of [22, 38]) {
    view.setUint32(address, 0x20010db8);
    view.setUint32(address + 12, 1 + random(512));
  }
  writeTransport(view, 54, protocol, random);
}

function writeTransport(view: DataView, at: number, protocol: number, random: Random): void {
  if (protocol === 1) {
    view.setUint8(at, random(2) * 8);
    return;
  }
  view.setUint16(at, port(random));
  view.setUint16(at + 2, port(random));
  if (protocol === 17) view.setUint16(at + 4, view.byteLength - at);
  else if (view.byteLength > at + 13) view.setUint16(at + 12, 0x5000 | (1 << random(6)));
}

function port(random: Random): number {
  return random(4) === 0 ? KNOWN_PORTS[random(KNOWN_PORTS.length)]! : random(65536);
}
