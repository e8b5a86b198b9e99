/** Addresses as numbers, so that they compare with ===: a MAC address has 48 bits, an IPv4 address 32. */

export type MacAddress = number;
export type Ipv4Address = number;

export const BROADCAST_MAC: MacAddress = 0xffff_ffff_ffff;

/** From `02:00:00:00:00:01`. Throws TypeError. */
export function parseMac(text: string): MacAddress {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new TypeError(`"${text}" is not a MAC address`);
  return Number.parseInt(text.replaceAll(':', ''), 16);
}

/** From `198.18.0.1`. Throws TypeError. */
export function parseIpv4(text: string): Ipv4Address {
  const bytes = text.split('.').map(Number);
  const valid = /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && bytes.every((byte) => byte <= 255);
  if (!valid) throw new TypeError(`"${text}" is not an IPv4 address`);
  return bytes.reduce((address, byte) => address * 256 + byte, 0);
}

export function formatIpv4(address: Ipv4Address): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}
