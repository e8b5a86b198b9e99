/** Reads classic pcap: a file header of 24 bytes, then records of 16 bytes and the packet. */
import type { ByteQueue } from './byte-queue.ts';
import { CaptureFormatError, type CapturePacket, type PacketParser } from './packet.ts';
import {
  MAX_CAPTURED_BYTES,
  PCAP_FILE_HEADER,
  PCAP_MAGIC_NS,
  PCAP_MAGIC_US,
  PCAP_RECORD_HEADER,
  PCAP_VERSION_MAJOR,
} from './pcap-format.ts';

const NS_PER_SECOND = 1_000_000_000;
/** The upper half of the field says whether frames end in a checksum (FCS). */
const LINK_TYPE_MASK = 0xffff;

/** Whether four bytes, read little-endian, begin a pcap file in one of its byte orders and resolutions. */
export function isPcapMagic(magic: number): boolean {
  return [PCAP_MAGIC_US, PCAP_MAGIC_NS, swap(PCAP_MAGIC_US), swap(PCAP_MAGIC_NS)].includes(magic);
}

export class PcapParser implements PacketParser {
  expecting = 'a file header';
  #headerRead = false;
  #littleEndian = true;
  #nsPerUnit = 1;
  #linkType = 0;

  next(queue: ByteQueue): CapturePacket | undefined {
    if (!this.#headerRead && !this.#readFileHeader(queue)) return undefined;
    if (!queue.has(PCAP_RECORD_HEADER)) return undefined;
    const captured = queue.view.getUint32(queue.at + 8, this.#littleEndian);
    if (captured > MAX_CAPTURED_BYTES) {
      throw new CaptureFormatError(
        queue.position,
        `a packet record claims ${captured} captured bytes, more than the ${MAX_CAPTURED_BYTES} allowed`,
      );
    }
    if (!queue.has(PCAP_RECORD_HEADER + captured)) return undefined;
    const { view, bytes, at } = queue;
    queue.drop(PCAP_RECORD_HEADER + captured);
    const fractionNs = view.getUint32(at + 4, this.#littleEndian) * this.#nsPerUnit;
    return {
      linkType: this.#linkType,
      seconds: view.getUint32(at, this.#littleEndian) + Math.floor(fractionNs / NS_PER_SECOND),
      nanoseconds: fractionNs % NS_PER_SECOND,
      wireLength: view.getUint32(at + 12, this.#littleEndian),
      bytes: bytes.subarray(at + PCAP_RECORD_HEADER, at + PCAP_RECORD_HEADER + captured),
      interfaceId: undefined,
      interfaceName: undefined,
      flags: undefined,
    };
  }

  #readFileHeader(queue: ByteQueue): boolean {
    if (!queue.has(PCAP_FILE_HEADER)) return false;
    const { view, at } = queue;
    const magic = view.getUint32(at, true);
    this.#littleEndian = magic === PCAP_MAGIC_US || magic === PCAP_MAGIC_NS;
    this.#nsPerUnit = view.getUint32(at, this.#littleEndian) === PCAP_MAGIC_NS ? 1 : 1000;
    const major = view.getUint16(at + 4, this.#littleEndian);
    const minor = view.getUint16(at + 6, this.#littleEndian);
    if (major !== PCAP_VERSION_MAJOR) {
      throw new CaptureFormatError(
        4,
        `pcap version ${major}.${minor} is not supported, only ${PCAP_VERSION_MAJOR}.x`,
      );
    }
    this.#linkType = view.getUint32(at + 20, this.#littleEndian) & LINK_TYPE_MASK;
    this.#headerRead = true;
    this.expecting = 'a packet record';
    queue.drop(PCAP_FILE_HEADER);
    return true;
  }
}

function swap(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
