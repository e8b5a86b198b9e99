/** A lab file that a command runs by itself, without an emulator that is up. */
import type { Lab } from '../lab/model.ts';
import { CliError } from './errors.ts';

/** @throws LabFileError, CliError when it cannot be read */
export async function readLabFile(path: string): Promise<Lab> {
  const { readLab } = await import('../lab/parse.ts');
  try {
    return await readLab(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new CliError(
      `lab file ${path} ${code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code}`}`,
    );
  }
}
