/**
 * A file whose writer says when to wait for it: what is appended is kept until flush(), which waits for the disk, so that
 * memory stays bounded; its SHA-256 is known at the end. It is never left with half a record (capture-file.ts).
 */
import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { openCaptureFile } from './capture-file.ts';

export class OutputFile {
  readonly path: string;
  readonly #sink: Writable;
  readonly #hash = createHash('sha256');
  #chunks: Uint8Array[] = [];
  #pendingBytes = 0;

  private constructor(path: string, sink: Writable) {
    this.path = path;
    this.#sink = sink;
    // Reported by the write that failed.
    sink.on('error', () => {});
  }

  /** Creates or replaces the file. Throws CaptureFileError. */
  static async create(path: string): Promise<OutputFile> {
    return new OutputFile(path, await openCaptureFile(path));
  }

  /** Bytes that flush() would write. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Takes whole records; they belong to the file from now on. */
  append(records: Uint8Array): void {
    this.#chunks.push(records);
    this.#pendingBytes += records.byteLength;
  }

  /** Throws CaptureFileError. */
  async flush(): Promise<void> {
    if (this.#chunks.length === 0) return;
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#pendingBytes = 0;
    this.#hash.update(bytes);
    await new Promise<void>((resolve, reject) => {
      this.#sink.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Completes the file. Returns its SHA-256 in hexadecimal. Throws CaptureFileError. */
  async complete(): Promise<string> {
    await this.flush();
    const done = finished(this.#sink);
    this.#sink.end();
    await done;
    return this.#hash.digest('hex');
  }

  /** Gives the file up as it is. */
  abandon(): void {
    this.#sink.destroy();
  }
}
