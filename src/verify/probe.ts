/**
 * Probes: Ethernet frames of a type for local experiments (IEEE 802, 88-B5), which nobody answers, with a number.
 * One whose number was hit by bit errors is not a probe any more.
 */
const ETHERTYPE = 0x88b5;
const NUMBER = 14;
const COMPLEMENT = 18;
export const MIN_PROBE_BYTES = 60;

export function probe(number: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes);
  const view = new DataView(frame.buffer);
  // From one locally administered address to another.
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
  view.setUint16(12, ETHERTYPE);
  view.setUint32(NUMBER, number);
  view.setUint32(COMPLEMENT, ~number >>> 0);
  return frame;
}

/** The number of a probe; undefined when the frame is none. */
export function probeNumber(frame: Uint8Array): number | undefined {
  if (frame.length < MIN_PROBE_BYTES) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const number = view.getUint32(NUMBER);
  return view.getUint32(COMPLEMENT) === ~number >>> 0 ? number : undefined;
}
