/**
 * Reads pcapng: sections of either byte order, their interfaces, and packets from Enhanced, Simple and the obsolete
 * Packet Blocks. Other blocks are passed over.
 */
import type { ByteQueue } from './byte-queue.ts';
import { CaptureFormatError, type CapturePacket, type PacketParser } from './packet.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE_DESCRIPTION,
  BLOCK_OVERHEAD,
  BLOCK_PACKET,
  BLOCK_SECTION_HEADER,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER_MAGIC,
  EPB_FLAGS,
  IF_NAME,
  IF_TIMESTAMP_OFFSET,
  IF_TIMESTAMP_RESOLUTION,
  OPTION_END,
  padding,
  VERSION_MAJOR,
} from './pcapng-format.ts';
import { clockOf, DEFAULT_RESOLUTION, type PcapngClock, timestampOf } from './pcapng-time.ts';

/** As in libpcap. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;
/** Far more than a host has, few enough to keep. */
const MAX_INTERFACES = 65_536;
const MAX_NAME_BYTES = 255;

type Interface = {
  readonly id: number;
  readonly linkType: number;
  readonly snapLength: number;
  readonly name: string | undefined;
  readonly clock: PcapngClock;
};

/** A whole block: `length` bytes from index `at` on, and its offset in the file. */
type Block = {
  readonly type: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
  readonly offset: number;
};

type Option = { readonly code: number; readonly value: Uint8Array };

export class PcapngParser implements PacketParser {
  readonly expecting = 'a block';
  #littleEndian = true;
  #interfaces: Interface[] = [];

  next(queue: ByteQueue): CapturePacket | undefined {
    for (let block = this.#take(queue); block !== undefined; block = this.#take(queue)) {
      switch (block.type) {
        case BLOCK_SECTION_HEADER:
          this.#beginSection(block);
          break;
        case BLOCK_INTERFACE_DESCRIPTION:
          this.#addInterface(block);
          break;
        case BLOCK_ENHANCED_PACKET:
        case BLOCK_PACKET:
          return this.#packet(block);
        case BLOCK_SIMPLE_PACKET:
          return this.#simplePacket(block);
      }
    }
    return undefined;
  }

  /** Takes a whole block off the queue, its lengths checked. */
  #take(queue: ByteQueue): Block | undefined {
    if (!queue.has(BLOCK_OVERHEAD)) return undefined;
    const offset = queue.position;
    // The type of a section header reads the same both ways; what follows its length says which way the rest does.
    if (queue.view.getUint32(queue.at, true) === BLOCK_SECTION_HEADER) {
      this.#littleEndian = isLittleEndian(queue.view, queue.at, offset);
    }
    const type = queue.view.getUint32(queue.at, this.#littleEndian);
    const length = queue.view.getUint32(queue.at + 4, this.#littleEndian);
    if (length < BLOCK_OVERHEAD || length > MAX_BLOCK_BYTES || length % 4 !== 0) {
      throw new CaptureFormatError(
        offset,
        `block of type ${hex(type)} has length ${length}; it must be a multiple of 4 from ${BLOCK_OVERHEAD} to ${MAX_BLOCK_BYTES}`,
      );
    }
    if (!queue.has(length)) return undefined;
    const { view, bytes, at } = queue;
    const repeated = view.getUint32(at + length - 4, this.#littleEndian);
    if (repeated !== length) {
      throw new CaptureFormatError(
        offset,
        `block of type ${hex(type)} begins with length ${length} and ends with length ${repeated}`,
      );
    }
    queue.drop(length);
    return { type, view, bytes, at, length, offset };
  }

  #beginSection(block: Block): void {
    this.#require(block, 28);
    const major = this.#half(block, 12);
    if (major !== VERSION_MAJOR) {
      throw new CaptureFormatError(
        block.offset,
        `pcapng version ${major} is not supported, only ${VERSION_MAJOR}`,
      );
    }
    this.#interfaces = [];
  }

  #addInterface(block: Block): void {
    this.#require(block, 20);
    if (this.#interfaces.length === MAX_INTERFACES) {
      throw new CaptureFormatError(block.offset, `the section has more than ${MAX_INTERFACES} interfaces`);
    }
    let name: string | undefined;
    let resolution = DEFAULT_RESOLUTION;
    let offsetSeconds = 0;
    for (const option of this.#options(block, 16)) {
      const { code, value } = option;
      if (code === IF_NAME) name = Buffer.from(value.subarray(0, MAX_NAME_BYTES)).toString('utf8');
      else if (code === IF_TIMESTAMP_RESOLUTION && value.byteLength >= 1) resolution = value[0] ?? resolution;
      else if (code === IF_TIMESTAMP_OFFSET && value.byteLength >= 8) {
        const view = new DataView(value.buffer, value.byteOffset, 8);
        offsetSeconds = Number(view.getBigInt64(0, this.#littleEndian));
      }
    }
    const clock = clockOf(resolution, offsetSeconds);
    if (clock === undefined) {
      throw new CaptureFormatError(
        block.offset,
        `if_tsresol ${hex(resolution)} is too fine for a 64-bit time stamp`,
      );
    }
    this.#interfaces.push({
      id: this.#interfaces.length,
      linkType: this.#half(block, 8),
      snapLength: this.#word(block, 12),
      name,
      clock,
    });
  }

  /** Enhanced and obsolete Packet Blocks differ in their first word only, which holds the interface. */
  #packet(block: Block): CapturePacket {
    this.#require(block, 32);
    const obsolete = block.type === BLOCK_PACKET;
    const from = this.#interface(block, obsolete ? this.#half(block, 8) : this.#word(block, 8));
    const captured = this.#word(block, 20);
    this.#requireCaptured(block, captured, 28);
    const { seconds, nanoseconds } = timestampOf(from.clock, this.#word(block, 12), this.#word(block, 16));
    return {
      linkType: from.linkType,
      seconds,
      nanoseconds,
      wireLength: this.#word(block, 24),
      bytes: this.#slice(block, 28, captured),
      interfaceId: from.id,
      interfaceName: from.name,
      flags: this.#flags(block, 28 + captured + padding(captured)),
    };
  }

  #simplePacket(block: Block): CapturePacket {
    this.#require(block, 16);
    const from = this.#interface(block, 0);
    const wireLength = this.#word(block, 8);
    const limit = from.snapLength === 0 ? wireLength : Math.min(wireLength, from.snapLength);
    this.#requireCaptured(block, limit, 12);
    return {
      linkType: from.linkType,
      seconds: 0,
      nanoseconds: 0,
      wireLength,
      bytes: this.#slice(block, 12, limit),
      interfaceId: from.id,
      interfaceName: from.name,
      flags: undefined,
    };
  }

  #flags(block: Block, at: number): number | undefined {
    // What taplab and dumpcap write first, without a generator for each packet.
    if (block.length >= at + 12 && this.#half(block, at) === EPB_FLAGS && this.#half(block, at + 2) === 4) {
      return this.#word(block, at + 4);
    }
    for (const { code, value } of this.#options(block, at)) {
      if (code === EPB_FLAGS && value.byteLength === 4) {
        return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, this.#littleEndian);
      }
    }
    return undefined;
  }

  /** The options from byte `at` of the block to its end, or to the end-of-options. */
  *#options(block: Block, at: number): Generator<Option> {
    const end = block.length - 4;
    for (let next = at; next + 4 <= end; ) {
      const code = this.#half(block, next);
      const length = this.#half(block, next + 2);
      if (code === OPTION_END) return;
      if (next + 4 + length > end) {
        throw new CaptureFormatError(
          block.offset + next,
          `option ${code} has length ${length} and runs past the end of its block`,
        );
      }
      yield { code, value: this.#slice(block, next + 4, length) };
      next += 4 + length + padding(length);
    }
  }

  #interface(block: Block, id: number): Interface {
    const found = this.#interfaces[id];
    if (found === undefined) {
      throw new CaptureFormatError(
        block.offset,
        `a packet names interface ${id}, but the section has described ${this.#interfaces.length}`,
      );
    }
    return found;
  }

  #requireCaptured(block: Block, captured: number, at: number): void {
    const room = block.length - 4 - at;
    if (captured > room) {
      throw new CaptureFormatError(
        block.offset,
        `a packet claims ${captured} captured bytes, its block has room for ${room}`,
      );
    }
  }

  /** Checks the length of the whole block. */
  #require(block: Block, length: number): void {
    if (block.length < length) {
      throw new CaptureFormatError(
        block.offset,
        `block of type ${hex(block.type)} has length ${block.length}, at least ${length} is needed`,
      );
    }
  }

  #word(block: Block, at: number): number {
    return block.view.getUint32(block.at + at, this.#littleEndian);
  }

  #half(block: Block, at: number): number {
    return block.view.getUint16(block.at + at, this.#littleEndian);
  }

  #slice(block: Block, at: number, length: number): Uint8Array {
    return block.bytes.subarray(block.at + at, block.at + at + length);
  }
}

function isLittleEndian(view: DataView, at: number, offset: number): boolean {
  if (view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) return true;
  if (view.getUint32(at + 8, false) === BYTE_ORDER_MAGIC) return false;
  throw new CaptureFormatError(
    offset,
    `section header without byte-order magic: ${hex(view.getUint32(at + 8, false))}`,
  );
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
