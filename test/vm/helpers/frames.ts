/** Hand-made Ethernet frames for filter tests; each builder takes only what a test wants to vary. */

const DESTINATION = '02005e100002';
const SOURCE = '02005e100001';

/** Bytes from hexadecimal; blanks are ignored. */
export function bytes(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, '');
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** `value` in big-endian hexadecimal of `size` bytes. */
export function be(value: number, size: number): string {
  return value.toString(16).padStart(2 * size, '0');
}

/** An Ethernet frame around a payload in hexadecimal. */
export function ethernet(etherType: number, payload: string, destination: string = DESTINATION): Uint8Array {
  return bytes(destination + SOURCE + be(etherType, 2) + payload);
}

type Ipv4Options = { readonly fragment?: number; readonly optionBytes?: number };

/** An IPv4 packet; `fragment` is the 16-bit flags-and-offset field, `optionBytes` a multiple of 4. */
export function ipv4(
  protocol: number,
  payload: string,
  { fragment = 0, optionBytes = 0 }: Ipv4Options = {},
): string {
  const headerLength = 20 + optionBytes;
  const total = headerLength + payload.length / 2;
  return (
    `4${(headerLength / 4).toString(16)}00${be(total, 2)}0001${be(fragment, 2)}40${be(protocol, 1)}0000` +
    `c6120001c6120002${'01'.repeat(optionBytes)}${payload}`
  );
}

/** An IPv6 packet. */
export function ipv6(nextHeader: number, payload: string): string {
  const address = (last: number): string => `fd00${'00'.repeat(13)}${be(last, 1)}`;
  return `60000000${be(payload.length / 2, 2)}${be(nextHeader, 1)}40${address(1)}${address(2)}${payload}`;
}

/** An IPv6 fragment header before `payload`. */
export function ipv6Fragment(nextHeader: number, payload: string): string {
  return `${be(nextHeader, 1)}000001${'00'.repeat(4)}${payload}`;
}

/** TCP flags. */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

export function tcp(sourcePort: number, destinationPort: number, flags: number = ACK): string {
  return `${be(sourcePort, 2)}${be(destinationPort, 2)}${'00'.repeat(8)}50${be(flags, 1)}ffff00000000`;
}

export function udp(sourcePort: number, destinationPort: number): string {
  return `${be(sourcePort, 2)}${be(destinationPort, 2)}00080000`;
}

export function icmp(type: number): string {
  return `${be(type, 1)}00000000010001`;
}
