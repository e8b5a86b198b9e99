/**
 * Address literals as pcap-filter(7) writes them: dotted IPv4 (also short, as in `net 192.168`), IPv6 (RFC 4291)
 * and 48-bit MAC addresses. All functions return undefined for text that is not an address; none throws.
 */

/** An IPv4 address or prefix: `bits` is how many leading bits the text gave (8 for each part). */
export type Ipv4Literal = { readonly value: number; readonly bits: number };

/** An IPv4 network: `value` and `mask` as unsigned 32-bit numbers. */
export type Ipv4Network = { readonly value: number; readonly mask: number };

/** An IPv6 network: four 32-bit words each. */
export type Ipv6Network = { readonly words: readonly number[]; readonly masks: readonly number[] };

/** Reads one to four decimal parts; a short address is left-justified, as in `net 10.1`. */
export function parseIpv4(text: string): Ipv4Literal | undefined {
  const parts = text.split('.');
  if (parts.length > 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^\d{1,10}$/.test(part)) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    value = value * 256 + byte;
  }
  const bits = parts.length * 8;
  return { value: value * 2 ** (32 - bits), bits };
}

/** The mask of `length` leading ones in 32 bits; `length` may exceed 32 or be negative. */
export function prefixMask(length: number): number {
  if (length <= 0) return 0;
  return length >= 32 ? 0xffffffff : (0xffffffff << (32 - length)) >>> 0;
}

/** Left-justifies a network number: 10 means 10.0.0.0/8, 0x0a01 means 10.1.0.0/16. */
export function justifyNetwork(value: number): Ipv4Network {
  let mask = 0xffffffff;
  let justified = value;
  while (justified !== 0 && justified < 0x1000000) {
    justified *= 256;
    mask = (mask << 8) >>> 0;
  }
  return { value: justified, mask };
}

/** Reads an IPv6 address into four 32-bit words. */
export function parseIpv6(text: string): readonly number[] | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return [0, 2, 4, 6].map((at) => groups[at]! * 0x10000 + groups[at + 1]!);
}

/** Colon-separated 16-bit groups; the last may be a dotted IPv4 address when `dottedTail`. */
function parseGroups(text: string, dottedTail: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const ipv4 = parseIpv4(part);
      if (!dottedTail || index !== parts.length - 1 || ipv4?.bits !== 32) return undefined;
      groups.push(Math.floor(ipv4.value / 0x10000), ipv4.value % 0x10000);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** The four mask words of an IPv6 prefix length. */
export function prefixMasks(length: number): readonly number[] {
  return [0, 32, 64, 96].map((bit) => prefixMask(length - bit));
}

const MAC_FORMS: readonly RegExp[] = [
  /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i,
  /^[0-9a-f]{1,2}(?:-[0-9a-f]{1,2}){5}$/i,
  /^[0-9a-f]{1,2}(?:\.[0-9a-f]{1,2}){5}$/i,
];

/** Reads `1:2:3:4:5:6` (also with `-` or `.`), `0102.0304.0506` or `010203040506` into six bytes. */
export function parseMac(text: string): Uint8Array | undefined {
  if (text.length > 17) return undefined;
  if (MAC_FORMS.some((form) => form.test(text))) {
    return Uint8Array.from(text.split(/[:.-]/), (part) => Number.parseInt(part, 16));
  }
  if (!/^[0-9a-f]{4}(\.?)[0-9a-f]{4}\1[0-9a-f]{4}$/i.test(text)) return undefined;
  const digits = text.replaceAll('.', '');
  return Uint8Array.from({ length: 6 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
