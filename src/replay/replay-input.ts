/**
 * A capture that enters a lab at one of its interfaces: its frames in the order of the file, one at a time. Memory is
 * bounded by a chunk and a block, whatever the length of the file (capture/reader.ts).
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CaptureFormatError, type CapturePacket } from '../capture/packet.ts';
import { CaptureReader } from '../capture/reader.ts';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../device/link-type.ts';

/** RAW, IPV4 and IPV6: all begin with an IP header. */
const RAW_LINK_TYPES = [LINKTYPE_RAW, 228, 229];
const CHUNK_BYTES = 1 << 18;

/** A replay cannot be done, or not be gone on with. */
export class ReplayError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReplayError';
  }
}

export class ReplayInput {
  readonly interfaceName: string;
  readonly file: string;
  /** Bytes of the file; 0 when it is none, as a pipe. */
  readonly totalBytes: number;
  readBytes = 0;
  /** Frames that were taken. */
  frames = 0;
  /** Of these: captured shorter than they were. They enter the lab as they are. */
  cutShort = 0;
  /** Of these: stamped earlier than one before. They enter the lab together with that one. */
  backwards = 0;
  /** The next frame; undefined at the end. */
  next: CapturePacket | undefined;
  readonly #reader = new CaptureReader();
  readonly #linkType: number;
  readonly #fd: number;

  /**
   * Opens a capture. Throws ReplayError: it cannot be read, is none, or not of the interface's frames.
   * @param linkType of the interface, as in pcap
   */
  constructor(interfaceName: string, linkType: number, file: string) {
    this.interfaceName = interfaceName;
    this.#linkType = linkType;
    this.file = file;
    this.#fd = this.#attempt(() => openSync(file, 'r'));
    try {
      const status = fstatSync(this.#fd);
      this.totalBytes = status.isFile() ? status.size : 0;
      this.advance();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The file's identity, to tell whether another name means it too. */
  get identity(): string {
    const { dev, ino } = fstatSync(this.#fd, { bigint: true });
    return `${dev}:${ino}`;
  }

  /** Goes on to the next frame. Throws ReplayError. */
  advance(): void {
    this.next = this.#attempt(() => this.#read());
    if (this.next === undefined) return;
    const { linkType } = this.next;
    const fits = this.#linkType === LINKTYPE_RAW ? RAW_LINK_TYPES : [LINKTYPE_ETHERNET];
    if (fits.includes(linkType)) return;
    const expected =
      this.#linkType === LINKTYPE_RAW ? `raw IP (${fits.join(', ')})` : `Ethernet (${LINKTYPE_ETHERNET})`;
    throw this.#error(
      `its link type is ${linkType}, and the frames of ${this.interfaceName} are ${expected}`,
    );
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(): CapturePacket | undefined {
    for (;;) {
      const packet = this.#reader.next();
      if (packet !== undefined) return packet;
      // A new one each time: packets are views into it.
      const chunk = new Uint8Array(CHUNK_BYTES);
      const length = readSync(this.#fd, chunk);
      if (length === 0) {
        this.#reader.end();
        return undefined;
      }
      this.readBytes += length;
      this.#reader.push(chunk.subarray(0, length));
    }
  }

  #attempt<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof CaptureFormatError) throw this.#error(error.message);
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw this.#error(ADVICE[code] ?? `it cannot be read: ${code}`);
    }
  }

  #error(why: string): ReplayError {
    return new ReplayError(`capture ${this.file} for ${this.interfaceName}: ${why}`);
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EISDIR: 'it is a folder; name a file in it',
  EACCES: 'it cannot be read: EACCES; run as a user who may read it',
};
