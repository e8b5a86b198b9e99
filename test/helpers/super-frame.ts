/** Super-frames as the kernel hands them over, and whether a frame is intact. */
import { addWords, fold } from '../../src/offload/checksum.ts';
import { VNET_HEADER } from '../../src/offload/virtio-net.ts';

/** What to build: `options` words of TCP options, `size` bytes in a segment. */
export type Made = {
  ipv6: boolean;
  tcp: boolean;
  vlan: boolean;
  options: number;
  payload: Uint8Array;
  size: number;
};

/** Writes a super-frame whose virtio_net_hdr is at `header`. Returns the frame's length. */
export function buildSuperFrame(
  u8: Uint8Array,
  header: number,
  { ipv6, tcp, vlan, options, payload, size }: Made,
): number {
  const view = new DataView(u8.buffer, u8.byteOffset);
  const frame = header + VNET_HEADER;
  const network = vlan ? 18 : 14;
  const transport = network + (ipv6 ? 40 : 20);
  const headers = transport + (tcp ? 20 + 4 * options : 8);
  const length = headers + payload.length;
  u8.fill(0, header, frame + headers);
  u8[header] = 1;
  u8[header + 1] = tcp ? (ipv6 ? 4 : 1) : 5;
  view.setUint16(header + 2, headers, true);
  view.setUint16(header + 4, size, true);
  view.setUint16(header + 6, transport, true);
  view.setUint16(header + 8, tcp ? 16 : 6, true);
  if (vlan) view.setUint32(frame + 12, 0x81000005);
  view.setUint16(frame + network - 2, ipv6 ? 0x86dd : 0x0800);
  const ip = frame + network;
  if (ipv6) {
    u8[ip] = 0x60;
    view.setUint16(ip + 4, length - transport);
    u8[ip + 6] = tcp ? 6 : 17;
    for (let i = 8; i < 40; i++) u8[ip + i] = i * 7;
  } else {
    u8[ip] = 0x45;
    view.setUint16(ip + 2, length - network);
    view.setUint16(ip + 4, 0xfffe);
    u8[ip + 9] = tcp ? 6 : 17;
    view.setUint32(ip + 12, 0xc6120001);
    view.setUint32(ip + 16, 0xc6120002);
  }
  const l4 = frame + transport;
  view.setUint32(l4, 0x1f901f91);
  if (tcp) {
    view.setUint32(l4 + 4, 0xfffffff0);
    u8[l4 + 12] = (5 + options) << 4;
    u8[l4 + 13] = 0x99; // CWR, ACK, PSH, FIN
  } else view.setUint16(l4 + 4, length - transport);
  u8.set(payload, frame + headers);
  // As the kernel leaves them: the network header's checksum is there, of the transport's only the pseudo header's sum.
  if (!ipv6) view.setUint16(ip + 10, ~fold(addWords(u8, ip, l4, 0)));
  const pseudo = (tcp ? 6 : 17) + length - transport;
  const sum = addWords(u8, ip + (ipv6 ? 8 : 12), ip + (ipv6 ? 40 : 20), pseudo);
  view.setUint16(l4 + (tcp ? 16 : 6), fold(sum));
  return length;
}

/** The checksums of a frame as it would go over a wire: true when all hold. */
export function isIntact(u8: Uint8Array, at: number, length: number, { ipv6, tcp, vlan }: Made): boolean {
  const ip = at + (vlan ? 18 : 14);
  const l4 = ip + (ipv6 ? 40 : 20);
  const pseudo = (tcp ? 6 : 17) + (at + length - l4);
  const addresses = ipv6 ? addWords(u8, ip + 8, ip + 40, pseudo) : addWords(u8, ip + 12, ip + 20, pseudo);
  const transport = fold(addWords(u8, l4, at + length, addresses)) === 0xffff;
  return transport && (ipv6 || fold(addWords(u8, ip, l4, 0)) === 0xffff);
}
