/**
 * struct virtio_net_hdr, which stands in front of each frame of a device with IFF_VNET_HDR: how far its checksum and
 * its segmentation are left to whoever passes it on (virtio 1.2, section 5.1.6; linux/virtio_net.h). Little-endian.
 */

/** Bytes of the header, the size TUN has unless told otherwise. */
export const VNET_HEADER = 10;

/** Byte offsets of the fields. */
export const VNET_FLAGS = 0;
export const VNET_GSO_TYPE = 1;
/** Bytes of all headers of the frame; a hint. */
export const VNET_HEADER_LENGTH = 2;
/** Payload bytes of each segment but the last. */
export const VNET_GSO_SIZE = 4;
/** Where the bytes to be summed start, and where from there the sum goes. */
export const VNET_CHECKSUM_START = 6;
export const VNET_CHECKSUM_OFFSET = 8;

/** Flag: the checksum field holds the sum of the pseudo header only. */
export const NEEDS_CHECKSUM = 1;

export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** UDP segments of one size (UDP_SEGMENT of udp(7)). */
export const GSO_UDP_L4 = 5;
/** A bit besides the type: TCP with explicit congestion notification. */
export const GSO_ECN = 0x80;

export function readU16(u8: Uint8Array, at: number): number {
  return u8[at]! | (u8[at + 1]! << 8);
}

export function writeU16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value;
  u8[at + 1] = value >>> 8;
}

/** A header that leaves nothing to be done. */
export function clearVnetHeader(u8: Uint8Array, at: number): void {
  u8.fill(0, at, at + VNET_HEADER);
}
