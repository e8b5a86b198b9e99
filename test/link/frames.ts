/** IP frames with correct header checksums. */

/** An Ethernet frame with a UDP packet of IPv4. */
export function ipv4Frame({
  port = 1000,
  ecn = 0,
  length = 100,
  source = 1,
}: {
  readonly port?: number;
  readonly ecn?: number;
  readonly length?: number;
  readonly source?: number;
}): Uint8Array {
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  frame[14] = 0x45;
  frame[15] = ecn;
  view.setUint16(16, length - 14);
  frame[22] = 64;
  frame[23] = 17;
  frame.set([198, 18, 0, source, 198, 18, 0, 254], 26);
  view.setUint16(34, 4000);
  view.setUint16(36, port);
  view.setUint16(24, ~headerSum(frame) & 0xffff);
  return frame;
}

/** The ones' complement sum of an IPv4 header at 14; 0xffff when its checksum is right. */
export function headerSum(frame: Uint8Array): number {
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += (frame[at]! << 8) | frame[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** An Ethernet frame with a UDP packet of IPv6. */
export function ipv6Frame({
  ecn = 0,
  length = 100,
}: {
  readonly ecn?: number;
  readonly length?: number;
}): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([0x86, 0xdd, 0x60, ecn << 4], 12);
  frame[20] = 17;
  return frame;
}
