/**
 * A capture to read: a file, or standard input as `-`. Gives its bytes in chunks of at most CHUNK_BYTES, so memory
 * stays bounded whatever the length. What the bytes mean is capture/reader.ts's matter; only the format and the link
 * type of a pcap file's header are looked at here, because whoever writes packets on needs them even when none comes.
 */
import { type BigIntStats, createReadStream, fstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { PCAP_FILE_HEADER, PCAP_MAGIC_NS, PCAP_MAGIC_US } from '../../capture/pcap-format.ts';
import { BLOCK_SECTION_HEADER } from '../../capture/pcapng-format.ts';
import { CliError } from '../errors.ts';
import { unreadable } from '../files.ts';

const CHUNK_BYTES = 1 << 20;
const STDIN = 0;
/** The upper half of the field says whether frames end in a checksum (FCS). */
const LINK_TYPE_MASK = 0xffff;

export type CaptureInput = {
  /** For messages. */
  readonly name: string;
  /** Undefined when nobody can tell: a pipe. */
  readonly totalBytes: number | undefined;
  /** Of the file, to know it again; undefined when that is impossible. */
  readonly status: BigIntStats | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
};

/** A capture that exists; its file is open while `chunks` are taken. Throws CliError, and so do `chunks`. */
export async function openCapture(path: string): Promise<CaptureInput> {
  if (path === '-') return standardInput();
  let status: BigIntStats;
  try {
    status = await stat(path, { bigint: true });
  } catch (error) {
    throw unreadable('capture file', path, error);
  }
  if (status.isDirectory()) throw new CliError(`capture file ${path} is a folder`);
  const totalBytes = status.isFile() ? Number(status.size) : undefined;
  return { name: path, totalBytes, status, chunks: chunksOf(path) };
}

function standardInput(): CaptureInput {
  if (process.stdin.isTTY === true) {
    throw new CliError('standard input is a terminal; pipe a capture into it, or name a file');
  }
  let status: BigIntStats | undefined;
  try {
    status = fstatSync(STDIN, { bigint: true });
  } catch {
    // Closed: then reading ends at once, and says so.
  }
  return { name: 'standard input', totalBytes: undefined, status, chunks: process.stdin };
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw unreadable('capture file', path, error);
  }
}

export type CaptureFormat = 'pcap' | 'pcapng';
export type CaptureKind = {
  readonly format: CaptureFormat;
  /** Of all packets of a pcap file. */
  readonly linkType: number | undefined;
};

/** What a capture is by its first bytes; undefined as long as they are too few, or when it is none. */
export function captureKind(head: Uint8Array): CaptureKind | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.byteLength < 4) return undefined;
  if (view.getUint32(0, true) === BLOCK_SECTION_HEADER) return { format: 'pcapng', linkType: undefined };
  const isMagic = (magic: number): boolean => magic === PCAP_MAGIC_US || magic === PCAP_MAGIC_NS;
  const littleEndian = isMagic(view.getUint32(0, true));
  if (head.byteLength < PCAP_FILE_HEADER || !isMagic(view.getUint32(0, littleEndian))) return undefined;
  return { format: 'pcap', linkType: view.getUint32(20, littleEndian) & LINK_TYPE_MASK };
}

/** The first bytes of a stream that arrives in chunks of any size. */
export class Head {
  readonly #bytes = new Uint8Array(PCAP_FILE_HEADER);
  #length = 0;

  push(chunk: Uint8Array): void {
    const more = chunk.subarray(0, this.#bytes.length - this.#length);
    this.#bytes.set(more, this.#length);
    this.#length += more.length;
  }

  get kind(): CaptureKind | undefined {
    return captureKind(this.#bytes.subarray(0, this.#length));
  }
}
