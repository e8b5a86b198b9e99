/**
 * The frames the benchmark filters run over: a fixed mixture of what an Ethernet segment carries, 256 frames from a
 * seeded generator.
 */

/** Number of frames. */
export const FRAME_COUNT = 256;
const SEED = 7;
/** Ports that filters ask for, so that some of the frames match. */
const KNOWN_PORTS = [22, 53, 80, 443, 1234];

/** A generator of numbers below `limit` (xorshift32). */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** The frames, in order. */
export function makeTraffic(): Uint8Array[] {
  const random = generator(SEED);
  return Array.from({ length: FRAME_COUNT }, () => makeFrame(random));
}

/** What the frames are; results mean little without it. */
export const TRAFFIC = 'of 20 frames 9 TCP and 5 UDP over IPv4, 2 TCP and 2 UDP over IPv6, 1 ICMP, 1 ARP';

function makeFrame(random: (limit: number) => number): Uint8Array {
  const frame = new Uint8Array(random(3) === 0 ? 1514 : 60 + random(200));
  const kind = random(20);
  const view = new DataView(frame.buffer);
  for (let i = 0; i < 12; i++) frame[i] = i % 6 === 0 ? 0x02 : random(256);
  if (kind < 14) writeIpv4(view, kind < 9 ? 6 : 17, random);
  else if (kind < 18) writeIpv6(view, kind < 16 ? 6 : 17, random);
  else if (kind === 18) writeIpv4(view, 1, random);
  else view.setUint16(12, 0x0806);
  return frame;
}

function port(random: (limit: number) => number): number {
  return random(4) === 0 ? KNOWN_PORTS[random(KNOWN_PORTS.length)]! : random(65536);
}

function writeIpv4(view: DataView, protocol: number, random: (limit: number) => number): void {
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, view.byteLength - 14);
  view.setUint16(20, random(20) === 0 ? 0x00b9 : 0x4000); // one in twenty is a later fragment
  view.setUint8(23, protocol);
  view.setUint32(26, 0xc6120000 + random(512)); // 198.18.0.0 and up
  view.setUint32(30, 0xc6120000 + random(512));
  writePorts(view, 34, random);
}

function writeIpv6(view: DataView, protocol: number, random: (limit: number) => number): void {
  view.setUint16(12, 0x86dd);
  view.setUint8(14, 0x60);
  view.setUint16(18, view.byteLength - 54);
  view.setUint8(20, protocol);
  writePorts(view, 54, random);
}

function writePorts(view: DataView, at: number, random: (limit: number) => number): void {
  view.setUint16(at, port(random));
  view.setUint16(at + 2, port(random));
  if (view.byteLength > at + 13) view.setUint8(at + 13, 1 << random(6)); // TCP flags
}
