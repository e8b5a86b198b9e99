/** One line about a packet of a capture, as `taplab dump` shows frames. Pure. */
import { type LinkType, linkTypeByNumber } from '../../../vm/compiler/index.ts';
import type { CapturePacket } from '../../capture/packet.ts';
import { EPB_INBOUND, EPB_OUTBOUND } from '../../capture/pcapng-format.ts';
import { summarize } from '../summary.ts';

const LINK_ETHERNET = 1;
const LINK_RAW = 101;
const DIRECTION_MASK = 3;

/** Time of day, direction where the capture tells, length on the wire, and what the packet holds; ends with `\n`. */
export function packetLine(packet: CapturePacket): string {
  const length = String(packet.wireLength).padStart(5);
  return `${timeOfDay(packet)} ${direction(packet.flags).padEnd(3)} ${length}  ${contents(packet)}\n`;
}

/** The time of day here, with microseconds. */
function timeOfDay({ seconds, nanoseconds }: CapturePacket): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return '--:--:--.------';
  const two = (value: number): string => String(value).padStart(2, '0');
  const micros = String(Math.floor(nanoseconds / 1000)).padStart(6, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`;
}

function direction(flags = 0): string {
  const bits = flags & DIRECTION_MASK;
  if (bits === EPB_INBOUND) return 'in';
  return bits === EPB_OUTBOUND ? 'out' : '';
}

function contents({ bytes, linkType }: CapturePacket): string {
  if (linkType === LINK_ETHERNET || linkType === LINK_RAW) return summarize(bytes, linkType);
  const known = linkTypeByNumber(linkType);
  if (known === undefined) return summarize(bytes, linkType);
  if (!isInternet(known, bytes)) return `link type ${known.name}`;
  return summarize(bytes.subarray(known.payloadOffset), LINK_RAW);
}

const ETHERTYPES: readonly number[] = [0x0800, 0x86dd];
/** AF_INET, and what AF_INET6 is on Linux and the BSDs. */
const FAMILIES: readonly number[] = [2, 10, 24, 28, 30];

/** Whether IPv4 or IPv6 follows the link header. */
function isInternet({ encapsulation, protocolOffset: at }: LinkType, bytes: Uint8Array): boolean {
  if (at === undefined) return true;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (encapsulation === 'sll' || encapsulation === 'sll2') {
    return bytes.length >= at + 2 && ETHERTYPES.includes(view.getUint16(at));
  }
  if (bytes.length < at + 4) return false;
  // The family is in the byte order of the machine that captured it, except for LOOP.
  return FAMILIES.includes(view.getUint32(at)) || FAMILIES.includes(view.getUint32(at, true));
}
