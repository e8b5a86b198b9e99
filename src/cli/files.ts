/** What to say of a file that a command was given and that cannot be read or written. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { likelyWord } from '../text/suggest.ts';
import { CliError } from './errors.ts';

/**
 * @param what it should be, as in `lab file`
 * @param error of a call of node:fs; what is another's is thrown as it is
 */
export function unreadable(what: string, path: string, error: unknown): CliError {
  const code = codeOf(error);
  if (code !== 'ENOENT') return new CliError(`cannot read ${what} ${path}: ${WHY[code] ?? code}`);
  const near = neighbour(path);
  return new CliError(`${what} ${path} does not exist${near === undefined ? '' : `; did you mean ${near}?`}`);
}

/** @param error of a call of node:fs; what is another's is thrown as it is */
export function unwritable(path: string, error: unknown): CliError {
  const code = codeOf(error);
  const why = code === 'ENOENT' ? `there is no folder ${dirname(path)}` : WHY[code];
  return new CliError(`cannot write ${path}: ${why ?? code}`);
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'you may not (EACCES)',
  EISDIR: 'it is a folder',
  ENOSPC: 'the disk is full (ENOSPC)',
  EROFS: 'the file system is read-only',
};

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return code;
}

/** The file beside it that it was probably mistaken for. */
function neighbour(path: string): string | undefined {
  try {
    const name = likelyWord(basename(path), readdirSync(dirname(path)));
    return name === undefined ? undefined : join(dirname(path), name);
  } catch {
    return undefined;
  }
}
