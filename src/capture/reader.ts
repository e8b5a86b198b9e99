/**
 * Reads captures, pcap and pcapng in either byte order, as they arrive: from a file, a pipe or a socket.
 *
 * Memory is bounded whatever the bytes are: one chunk, one block of at most MAX_BLOCK_BYTES, and the interfaces of the
 * section. Bytes that make no sense end the reading with a CaptureFormatError that names their offset; the packets
 * before them have been given out by then.
 */
import { ByteQueue } from './byte-queue.ts';
import { CaptureFormatError, type CapturePacket, type PacketParser } from './packet.ts';
import { isPcapMagic, PcapParser } from './pcap-reader.ts';
import { BLOCK_SECTION_HEADER } from './pcapng-format.ts';
import { PcapngParser } from './pcapng-reader.ts';

/** Takes bytes in, gives packets out. `readCapture` is the same over a stream. */
export class CaptureReader {
  readonly #queue = new ByteQueue();
  #parser: PacketParser | undefined;

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
  }

  /** The next packet; undefined when more bytes are needed. Throws CaptureFormatError. */
  next(): CapturePacket | undefined {
    this.#parser ??= this.#recognise();
    return this.#parser?.next(this.#queue);
  }

  /** To be called when no more bytes come. Throws CaptureFormatError when a packet is cut short. */
  end(): void {
    const { position, length } = this.#queue;
    if (this.#parser === undefined) {
      throw new CaptureFormatError(
        0,
        length === 0 ? 'the file is empty' : `the file is no capture: it has only ${length} bytes`,
      );
    }
    if (length > 0) {
      throw new CaptureFormatError(
        position,
        `the file is cut short: it ends after ${length} bytes of ${this.#parser.expecting}`,
      );
    }
  }

  #recognise(): PacketParser | undefined {
    const queue = this.#queue;
    if (!queue.has(4)) return undefined;
    const magic = queue.view.getUint32(queue.at, true);
    if (magic === BLOCK_SECTION_HEADER) return new PcapngParser();
    if (isPcapMagic(magic)) return new PcapParser();
    const bytes = Array.from(queue.bytes.subarray(queue.at, queue.at + 4), hexByte).join(' ');
    throw new CaptureFormatError(0, `the file is neither pcap nor pcapng: it begins with ${bytes}`);
  }
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** The packets of a stream, for example of `createReadStream(path)`. Throws CaptureFormatError. */
export async function* readCapture(source: AsyncIterable<Uint8Array>): AsyncGenerator<CapturePacket> {
  const reader = new CaptureReader();
  for await (const chunk of source) {
    reader.push(chunk);
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) yield packet;
  }
  reader.end();
}
