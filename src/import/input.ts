/** The files an import reads: the one that was named, and those beside it. Their size is bounded. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { MAX_FILE_BYTES } from '../lab/source.ts';
import type { Place } from './draft.ts';

/** A file that cannot be taken for what it was said to be. `message` is one line, `file:line: what is wrong`. */
export class InputError extends Error {
  constructor(place: Place | string, message: string) {
    super(`${typeof place === 'string' ? place : `${place.file}:${place.line}`}: ${message}`);
    this.name = 'InputError';
  }
}

/** The folder of a file, for what lies beside it. */
export class Files {
  readonly #file: string;
  readonly #folder: string;

  constructor(file: string) {
    this.#file = file;
    this.#folder = dirname(file);
  }

  /** The file's name without what follows the dot. */
  get fileName(): string {
    return basename(this.#file).replace(/\..*$/s, '');
  }

  /** What a lab without a name is called. */
  get folderName(): string {
    return basename(resolve(this.#folder));
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  has(name: string): boolean {
    return existsSync(this.path(name));
  }

  hasFolder(name: string): boolean {
    return statSync(this.path(name), { throwIfNoEntry: false })?.isDirectory() === true;
  }

  /** A file beside it, or undefined when there is none. Throws InputError. */
  read(name: string): { readonly file: string; readonly text: string } | undefined {
    const file = this.path(name);
    return this.has(name) ? { file, text: readInput(file) } : undefined;
  }
}

/** The text of a file. Throws InputError: not there, not a file, too large, not text. */
export function readInput(file: string): string {
  try {
    const status = statSync(file);
    if (!status.isFile()) throw new InputError(file, 'is not a file');
    if (status.size > MAX_FILE_BYTES) throw new InputError(file, `is larger than ${MAX_FILE_BYTES} bytes`);
    const text = readFileSync(file, 'utf8');
    if (text.includes('\0')) throw new InputError(file, 'is not text');
    return text;
  } catch (error) {
    if (error instanceof InputError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError(file, code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code}`);
  }
}
