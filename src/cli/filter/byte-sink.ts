/** Where bytes of `taplab filter run` go: stdout, or a file that never ends inside a packet. */

import { once } from 'node:events';
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  statSync,
  writeSync,
} from 'node:fs';
import { CaptureFileError } from '../../capture/capture-file.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../terminal.ts';

export interface ByteSink {
  /** Writes whole packets; resolves when more may come, so that a slow reader bounds the memory. */
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** Passes bytes on to a stream that stays open. */
export class StreamSink implements ByteSink {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    if (bytes.length > 0 && !this.#out.write(bytes)) await once(this.#out, 'drain');
  }

  close(): void {}
}

/** Writes a file, which is locked, or to a pipe that has a name. Throws CaptureFileError. */
export class FileSink implements ByteSink {
  readonly #path: string;
  readonly #fd: number;
  /** End of the last packet that was written whole. */
  #length = 0;

  /** @param lock as fileLock() of capture-file.ts gives it */
  constructor(path: string, lock: (fd: number) => void) {
    this.#path = path;
    let fd: number | undefined;
    try {
      // Not truncated: it may be somebody's.
      fd = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o644);
      if (fstatSync(fd).isFile()) {
        lock(fd);
        ftruncateSync(fd, 0);
      }
      this.#fd = fd;
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw new CaptureFileError(path, 'create it', error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      this.#length += bytes.length;
    } catch (error) {
      this.#cutBack();
      throw new CaptureFileError(this.#path, 'write to it', error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Best effort: the error that led here is the one to report. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#length);
    } catch {
      // A pipe has no end to cut off.
    }
  }
}

/**
 * Refuses to write where the input is read from: that would destroy it, or read what was just written for ever.
 *
 * @param output a path, or the number of an open file
 */
export function refuseInput(input: BigIntStats | undefined, output: string | number, name: string): void {
  if (input?.isFile() !== true) return;
  let status: BigIntStats | undefined;
  try {
    status =
      typeof output === 'string'
        ? statSync(output, { bigint: true, throwIfNoEntry: false })
        : fstatSync(output, { bigint: true });
  } catch {
    // Opening it will say what is wrong.
    return;
  }
  if (status?.dev !== input.dev || status.ino !== input.ino) return;
  throw new CliError(`${name} is the capture that is read; write to another file`);
}
