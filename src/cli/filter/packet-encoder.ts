/**
 * Packets that were read from one capture as bytes of another: pcap or pcapng, little-endian, time stamps in
 * nanoseconds. The encoder collects; `take` gives out what has been collected, always whole packets, so that a file
 * that ends after any of it opens in Wireshark. The first bytes are the file's header.
 *
 * capture/pcapng.ts makes the same blocks from a descriptor's records, whose direction is always known. Here the
 * flags of a packet are kept as they were, and nothing but the batch is allocated for a packet.
 */

import type { CapturePacket } from '../../capture/packet.ts';
import { MAX_CAPTURED_BYTES, PCAP_RECORD_HEADER } from '../../capture/pcap-format.ts';
import { pcapHeader } from '../../capture/pcap-writer.ts';
import { interfaceDescription, sectionHeader } from '../../capture/pcapng.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_OVERHEAD,
  EPB_FLAGS,
  OPTION_END,
  padding,
} from '../../capture/pcapng-format.ts';
import { VERSION } from '../../package.ts';
import { CliError } from '../errors.ts';
import type { CaptureFormat } from './capture-input.ts';

export interface PacketEncoder {
  /** Adds a packet, of which `keptBytes` are kept. Throws CliError when the format cannot hold it. */
  add(packet: CapturePacket, keptBytes: number): void;
  /** To be called last: a file without packets has a header too, for this link type. */
  finish(linkType: number): void;
  /** The bytes that were collected since the last time; the caller may keep them. */
  take(): Uint8Array;
}

const U32 = 0x1_0000_0000;
const NS_PER_SECOND = 1_000_000_000n;
const BATCH_BYTES = 1 << 18;
/** Overhead, interface, time stamp (2), captured and wire length. */
const PACKET_BLOCK_FIXED = BLOCK_OVERHEAD + 20;
/** epb_flags, and the end of options. */
const FLAGS_BYTES = 12;
/** As many as capture/pcapng-reader.ts takes. */
const MAX_INTERFACES = 65_536;

/** Bytes that grow. */
class Batch {
  view: DataView = new DataView(new ArrayBuffer(BATCH_BYTES));
  #bytes = new Uint8Array(this.view.buffer);
  #length = 0;

  /** Makes room for `length` bytes and returns where they begin. */
  reserve(length: number): number {
    const at = this.#length;
    if (at + length > this.#bytes.length) this.#grow(at + length);
    this.#length += length;
    return at;
  }

  append(bytes: Uint8Array): void {
    this.set(bytes, this.reserve(bytes.length));
  }

  set(bytes: Uint8Array, at: number): void {
    this.#bytes.set(bytes, at);
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #grow(length: number): void {
    const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

/** An encoder; `filter` is what pcapng says about how the packets were chosen. */
export function packetEncoder(format: CaptureFormat, name: string, filter: string): PacketEncoder {
  return format === 'pcap' ? new PcapEncoder(name) : new PcapngEncoder(name, filter);
}

class PcapEncoder implements PacketEncoder {
  readonly #name: string;
  readonly #batch = new Batch();
  #linkType: number | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  add(packet: CapturePacket, keptBytes: number): void {
    const { linkType, seconds, nanoseconds, wireLength, bytes } = packet;
    requireTime(packet, this.#name);
    this.#begin(linkType);
    if (linkType !== this.#linkType) {
      throw new CliError(
        `${this.#name}: a pcap file holds one link type, and the packets that match have ${this.#linkType} and ${linkType}; write to a .pcapng file`,
      );
    }
    const kept = bytes.subarray(0, Math.min(keptBytes, MAX_CAPTURED_BYTES));
    const at = this.#batch.reserve(PCAP_RECORD_HEADER + kept.length);
    const { view } = this.#batch;
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, nanoseconds, true);
    view.setUint32(at + 8, kept.length, true);
    view.setUint32(at + 12, wireLength, true);
    this.#batch.set(kept, at + PCAP_RECORD_HEADER);
  }

  finish(linkType: number): void {
    this.#begin(linkType);
  }

  take(): Uint8Array {
    return this.#batch.take();
  }

  #begin(linkType: number): void {
    if (this.#linkType !== undefined) return;
    this.#linkType = linkType;
    this.#batch.append(pcapHeader(linkType));
  }
}

class PcapngEncoder implements PacketEncoder {
  readonly #name: string;
  readonly #filter: string;
  readonly #batch = new Batch();
  /** Ids by link type and name: interfaces of several sections that agree in both become one. */
  readonly #interfaces = new Map<string, number>();

  constructor(name: string, filter: string) {
    this.#name = name;
    this.#filter = filter;
    this.#batch.append(sectionHeader({ application: `taplab ${VERSION}` }));
  }

  add(packet: CapturePacket, keptBytes: number): void {
    requireTime(packet, this.#name);
    const id = this.#interface(packet.linkType, packet.interfaceName);
    const kept = packet.bytes.subarray(0, keptBytes);
    const pad = padding(kept.length);
    const options = packet.flags === undefined ? 0 : FLAGS_BYTES;
    const length = PACKET_BLOCK_FIXED + kept.length + pad + options;
    const at = this.#batch.reserve(length);
    const { view } = this.#batch;
    const time = BigInt(packet.seconds) * NS_PER_SECOND + BigInt(packet.nanoseconds);
    view.setUint32(at, BLOCK_ENHANCED_PACKET, true);
    view.setUint32(at + 4, length, true);
    view.setUint32(at + 8, id, true);
    view.setUint32(at + 12, Number(time >> 32n), true);
    view.setUint32(at + 16, Number(time & 0xffffffffn), true);
    view.setUint32(at + 20, kept.length, true);
    view.setUint32(at + 24, packet.wireLength, true);
    this.#batch.set(kept, at + 28);
    const end = at + 28 + kept.length;
    for (let i = 0; i < pad; i++) view.setUint8(end + i, 0);
    if (packet.flags !== undefined) {
      view.setUint16(end + pad, EPB_FLAGS, true);
      view.setUint16(end + pad + 2, 4, true);
      view.setUint32(end + pad + 4, packet.flags, true);
      view.setUint32(end + pad + 8, OPTION_END, true);
    }
    view.setUint32(at + length - 4, length, true);
  }

  finish(linkType: number): void {
    // libpcap refuses a file without an interface.
    if (this.#interfaces.size === 0) this.#interface(linkType, undefined);
  }

  take(): Uint8Array {
    return this.#batch.take();
  }

  #interface(linkType: number, name: string | undefined): number {
    const key = `${linkType} ${name ?? ''}`;
    const known = this.#interfaces.get(key);
    if (known !== undefined) return known;
    const id = this.#interfaces.size;
    if (id === MAX_INTERFACES) {
      throw new CliError(`${this.#name}: the packets come from more than ${MAX_INTERFACES} interfaces`);
    }
    this.#interfaces.set(key, id);
    const named = name === undefined ? {} : { name };
    this.#batch.append(interfaceDescription({ linkType, snapLength: 0, filter: this.#filter, ...named }));
    return id;
  }
}

/** pcap has 32 bits for the seconds. pcapng has more, but what is beyond is damage rather than a date. */
function requireTime({ seconds }: CapturePacket, name: string): void {
  if (seconds >= 0 && seconds < U32) return;
  throw new CliError(
    `${name}: a packet was captured ${seconds} seconds after 1970, and only 0 to ${U32 - 1} can be written`,
  );
}
