/**
 * VLAN tags (IEEE 802.1Q): two bytes of type 0x8100 and two of control information, after the addresses. The control
 * information is a priority and the VLAN's number; number 0 is a priority and no VLAN.
 */
const TAG_TYPE = 0x8100;
/** Where the tag, or the type, stands. */
const TAG_AT = 12;
const TAG_BYTES = 4;
const VLAN_MASK = 0x0fff;

export const KEEP = 0;
export const PUSH = 1;
export const POP = 2;
export const RENUMBER = 3;
/** What becomes of a frame's tag on its way out. */
export type TagChange = typeof KEEP | typeof PUSH | typeof POP | typeof RENUMBER;

/** Whether the frame has a tag. It has at least 14 bytes. */
export function isTagged(bytes: Uint8Array, at: number, length: number): boolean {
  const type = (bytes[at + TAG_AT]! << 8) | bytes[at + TAG_AT + 1]!;
  return type === TAG_TYPE && length >= TAG_AT + TAG_BYTES + 2;
}

/** The number in a frame's tag; 0 is none. */
export function tagVlan(bytes: Uint8Array, at: number): number {
  return ((bytes[at + TAG_AT + 2]! << 8) | bytes[at + TAG_AT + 3]!) & VLAN_MASK;
}

/** Length of a frame once its tag was changed. */
export function changedLength(length: number, change: TagChange): number {
  if (change === PUSH) return length + TAG_BYTES;
  return change === POP ? length - TAG_BYTES : length;
}

/** Copies a frame elsewhere, with its tag changed. There is room for changedLength(). */
export function copyChanged(
  bytes: Uint8Array,
  from: number,
  length: number,
  to: number,
  change: TagChange,
  vlan: number,
): void {
  bytes.copyWithin(to, from, from + TAG_AT);
  const rest = from + TAG_AT + (change === POP || change === RENUMBER ? TAG_BYTES : 0);
  const hasTag = change === PUSH || change === RENUMBER;
  bytes.copyWithin(to + TAG_AT + (hasTag ? TAG_BYTES : 0), rest, from + length);
  if (!hasTag) return;
  const priority = change === RENUMBER ? bytes[from + TAG_AT + 2]! & 0xf0 : 0;
  bytes[to + TAG_AT] = TAG_TYPE >> 8;
  bytes[to + TAG_AT + 1] = TAG_TYPE & 0xff;
  bytes[to + TAG_AT + 2] = priority | (vlan >> 8);
  bytes[to + TAG_AT + 3] = vlan & 0xff;
}
