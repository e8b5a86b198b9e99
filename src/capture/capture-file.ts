/**
 * A capture file as a stream to write to. Every chunk must be whole pcapng blocks: chunks are written one after the
 * other, and when one cannot be written to its end (a full disk), the file is cut back to the last whole chunk, so
 * that it opens in Wireshark whatever happens.
 *
 * A file has one writer at a time, of any process: it is locked with flock(2) before anything in it is changed.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Writable } from 'node:stream';

/** A capture file could not be made, written or closed. `code` is the errno name. */
export class CaptureFileError extends Error {
  readonly path: string;
  readonly code: string;

  constructor(path: string, attempted: string, cause: unknown) {
    const code = errnoName(cause);
    const advice = ADVICE[code];
    const reason =
      cause instanceof Error ? cause.message.replace(/^E[A-Z0-9]+: /, '').replace(/, .*$/, '') : '';
    super(
      `capture file ${path}: cannot ${attempted}: ${code}${reason === '' ? '' : ` (${reason})`}${advice ?? ''}`,
      {
        cause,
      },
    );
    this.name = 'CaptureFileError';
    this.path = path;
    this.code = code;
  }
}

/** What to do about it. */
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: '; choose a folder that the user taplab runs as may write to',
  EPERM: '; choose a folder that the user taplab runs as may write to',
  EROFS: '; choose a folder on a file system that is mounted for writing',
  ENOENT: '; create the folder first',
  EISDIR: '; name a file, not a folder',
  ENOTDIR: '; a part of the path is not a folder',
  ENOSPC: '; the disk is full: what was captured until now is in the file',
  EDQUOT: '; the disk quota is used up: what was captured until now is in the file',
  ESPIPE: '; name a file, or get the capture as a stream from the control socket',
  EBUSY: '; name another file, or end that capture first',
  EFBIG: '; the file has reached the largest size allowed: what was captured until now is in it',
};

/**
 * Creates or replaces a file. Throws CaptureFileError: also when it is being written already (EBUSY), and then it is as
 * it was; or when it is a pipe, a device or a socket (ESPIPE).
 */
export async function openCaptureFile(path: string): Promise<Writable> {
  let file: FileHandle | undefined;
  const lock = await fileLock();
  try {
    // Before it is opened: that can have effects when it is a device or a pipe.
    const existing = await stat(path).catch(() => undefined);
    if (existing !== undefined && !existing.isFile() && !existing.isDirectory()) throw notRegular();
    // Not truncated: it may be somebody's. Non-blocking: if it has become a pipe, nobody may read it for ever.
    file = await open(path, constants.O_WRONLY | constants.O_CREAT | (constants.O_NONBLOCK ?? 0), 0o644);
    if (!(await file.stat()).isFile()) throw notRegular();
    lock(file.fd);
    await file.truncate(0);
  } catch (error) {
    await file?.close();
    throw new CaptureFileError(path, 'create it', error);
  }
  return new CaptureFile(path, file);
}

function notRegular(): Error {
  return Object.assign(new Error('it is not a regular file'), { code: 'ESPIPE' });
}

/**
 * What takes the lock of an open file, which goes when the file is closed; to be called before anything in it is
 * changed. It throws EBUSY when somebody has it.
 */
export async function fileLock(): Promise<(fd: number) => void> {
  const libc = await nativeCalls();
  return (fd) => {
    if (libc === undefined || libc.flock(fd, libc.LOCK_EX | libc.LOCK_NB) !== -1) return;
    // Other errors: a file system that has no locks. Captures were written there before as well.
    if (libc.errnoName(libc.errno()) !== 'EAGAIN') return;
    throw Object.assign(new Error('another capture is writing it'), { code: 'EBUSY' });
  };
}

/** Loaded when needed, and missing where virtual labs run without native code: there nothing is locked. */
async function nativeCalls(): Promise<typeof import('../sys/libc.ts') | undefined> {
  if (process.platform !== 'linux') return undefined;
  return import('../sys/libc.ts').catch(() => undefined);
}

class CaptureFile extends Writable {
  readonly #path: string;
  readonly #file: FileHandle;
  /** End of the last chunk that was written whole. */
  #length = 0;

  constructor(path: string, file: FileHandle) {
    super({ decodeStrings: true });
    this.#path = path;
    this.#file = file;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#append(chunk).then(
      () => callback(),
      (error) => callback(error),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#file.close().then(
      () => callback(error),
      (cause) => callback(error ?? new CaptureFileError(this.#path, 'close it', cause)),
    );
  }

  async #append(chunk: Buffer): Promise<void> {
    try {
      for (let done = 0; done < chunk.byteLength; ) {
        const { bytesWritten } = await this.#file.write(
          chunk,
          done,
          chunk.byteLength - done,
          this.#length + done,
        );
        done += bytesWritten;
      }
      this.#length += chunk.byteLength;
    } catch (error) {
      // Best effort: the first error is the one to report.
      await this.#file.truncate(this.#length).catch(() => undefined);
      throw new CaptureFileError(this.#path, 'write to it', error);
    }
  }
}

function errnoName(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'EIO';
}
