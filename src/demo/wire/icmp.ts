/** ICMP echo (RFC 792). */
import { checksum, sum } from './checksum.ts';

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const IDENTIFIER = 4;
const SEQUENCE = 6;
const HEADER = 8;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_ECHO_REQUEST = 8;

export type IcmpEcho = {
  readonly type: typeof ICMP_ECHO_REPLY | typeof ICMP_ECHO_REQUEST;
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
};

/** Undefined when it is too short, the checksum is wrong, or it is not an echo. */
export function parseIcmpEcho(bytes: Uint8Array): IcmpEcho | undefined {
  if (bytes.length < HEADER || checksum(sum(bytes)) !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const type = view.getUint8(TYPE);
  const isEcho = type === ICMP_ECHO_REPLY || type === ICMP_ECHO_REQUEST;
  if (!isEcho || view.getUint8(CODE) !== 0) return undefined;
  return {
    type,
    identifier: view.getUint16(IDENTIFIER),
    sequence: view.getUint16(SEQUENCE),
    payload: bytes.subarray(HEADER),
  };
}

export function emitIcmpEcho(echo: IcmpEcho): Uint8Array {
  const bytes = new Uint8Array(HEADER + echo.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(TYPE, echo.type);
  view.setUint16(IDENTIFIER, echo.identifier);
  view.setUint16(SEQUENCE, echo.sequence);
  bytes.set(echo.payload, HEADER);
  view.setUint16(CHECKSUM, checksum(sum(bytes)));
  return bytes;
}
