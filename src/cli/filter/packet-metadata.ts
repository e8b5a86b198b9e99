/**
 * What a capture says of a packet beside its bytes, for programs of the linux dialect: the direction, where a pcapng
 * packet has it in its flags, and the interface, which is the number of its description in the file, from 1. A capture
 * has no more; a program that reads what it does not say is an error, never a guess.
 */

import { linkTypeByNumber } from '../../../vm/compiler/index.ts';
import type { FrameMetadata, Program } from '../../../vm/index.ts';
import {
  META_INTERFACE_INDEX,
  META_PACKET_TYPE,
  META_RANDOM_STATE,
  META_VLAN_PROTOCOL,
  META_VLAN_TAG,
  META_VLAN_TAG_PRESENT,
  META_XOR_X,
  SKF_AD_OFF,
} from '../../../vm/metadata.ts';
import { ANCILLARY } from '../../../vm/mnemonics.ts';
import { isAncillary } from '../../../vm/wasm/flow.ts';
import type { CapturePacket } from '../../capture/packet.ts';
import { CliError } from '../errors.ts';

/** epb_flags: direction in bits 0 and 1, how it was received in bits 2 to 4. */
const DIRECTION_MASK = 0b11;
const OUTBOUND = 2;
/** linux/if_packet.h by the reception type of epb_flags: not known, unicast, multicast, broadcast, promiscuous. */
const PACKET_TYPE_OF_RECEPTION: readonly number[] = [0, 0, 2, 1, 3];
const PACKET_OUTGOING = 4;

/** Words of metadata that are what they should be: a frame in a capture has its VLAN tag in place. */
const ALWAYS_KNOWN: ReadonlySet<number> = new Set([
  META_XOR_X,
  META_RANDOM_STATE,
  META_VLAN_TAG,
  META_VLAN_TAG_PRESENT,
  META_VLAN_PROTOCOL,
]);

/** What a program asks that not every packet has an answer to. */
export type MetadataNeeds = { readonly direction: boolean; readonly interface: boolean };

/** What a program reads. Throws CliError when it reads what no capture holds. */
export function metadataNeeds({ dialect, instructions }: Program): MetadataNeeds {
  const needs = { direction: false, interface: false };
  if (dialect !== 'linux') return needs;
  for (const [pc, instruction] of instructions.entries()) {
    if (!isAncillary(instruction)) continue;
    const word = (instruction.k - SKF_AD_OFF) / 4;
    if (word === META_PACKET_TYPE) needs.direction = true;
    else if (word === META_INTERFACE_INDEX) needs.interface = true;
    else if (!ALWAYS_KNOWN.has(word)) {
      throw new CliError(`instruction ${pc} loads '${nameOf(word)}', which captures do not hold`);
    }
  }
  return needs;
}

function nameOf(word: number): string {
  return [...ANCILLARY].find(([, offset]) => offset === 4 * word)?.[0] ?? `#${word}`;
}

/** What a program needs to know of a packet and the capture does not say, if anything. */
export function missingFact(
  needs: MetadataNeeds,
  { flags = 0, interfaceId }: CapturePacket,
): string | undefined {
  if (needs.direction && (flags & DIRECTION_MASK) === 0) {
    return 'the capture does not say in which direction it went';
  }
  if (needs.interface && interfaceId === undefined)
    return 'the capture does not say on which interface it was';
  return undefined;
}

/** What is known of a packet; `ordinal` distinguishes the packets that draw random numbers. */
export function metadataOf(
  { flags = 0, interfaceId, linkType }: CapturePacket,
  ordinal: number,
): FrameMetadata {
  const isOutbound = (flags & DIRECTION_MASK) === OUTBOUND;
  return {
    packetType: isOutbound ? PACKET_OUTGOING : (PACKET_TYPE_OF_RECEPTION[(flags >> 2) & 0b111] ?? 0),
    interfaceIndex: interfaceId === undefined ? 0 : interfaceId + 1,
    networkOffset: linkTypeByNumber(linkType)?.payloadOffset ?? 0,
    randomState: ordinal,
  };
}
