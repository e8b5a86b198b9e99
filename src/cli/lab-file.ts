/** A lab file that a command runs by itself, without an emulator that is up. */
import type { Lab } from '../lab/model.ts';
import { unreadable } from './files.ts';

/** @throws LabFileError, CliError when it cannot be read */
export async function readLabFile(path: string): Promise<Lab> {
  const { readLab } = await import('../lab/parse.ts');
  try {
    return await readLab(path);
  } catch (error) {
    throw unreadable('lab file', path, error);
  }
}
